"""Consequences of a balance: sanctions that rest on credit or standing begin, last longer or end.

docs/model.md, "Credit". A balance is computed for each reach separately (`_Level`): what the entries of the whole
deployment cause holds in every protected room; what they cause together with those of a community holds in its rooms
(`moderation/model/reach.py`).

Rules kept here:
- People with management rights whose credit or standing is below `manage_from` lose them, wherever the rooms' own
  levels gave them within that reach; standing has no other consequence.
- A sanction ends as soon as its ground is gone (a reversed decision), or when its time is over *and* credit is back.
- `missing_sanctions` finds, from the balances alone, a sanction that should hold and did not begin, because the
  numbers of the tiers were changed or something went wrong.
- Nothing here looks at power levels: the reconciler finds and reports what cannot be done in a room.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from moderation.model.context import Context, InForce, PersonView
from moderation.model.facts import (
    CreditChanged,
    Fact,
    Ledger,
    SanctionEnded,
    SanctionExtended,
    SanctionKind,
    SanctionStarted,
)
from moderation.model.ledger_entry import LedgerEntry
from moderation.model.reach import DEPLOYMENT, Spot
from moderation.policy import Policy
from moderation.values.ids import RoomId

from .credit import balance, charges_in, reaches
from .ledger import LEDGERS, Account, account, settings_of, with_entry


@dataclass(frozen=True, slots=True)
class _Due:
    """A sanction that follows from a balance."""

    kind: SanctionKind
    until: int


@dataclass(frozen=True, slots=True)
class _Level:
    """The place where a balance counts, as in its sanctions: `room` None, everywhere; `reach`, a whole community."""

    room: RoomId | None = None
    reach: str = DEPLOYMENT

    def account(self, subject: PersonView, ledger: Ledger, policy: Policy) -> Account:
        """Return the entries that count there."""
        place = Spot(self.room, self.reach) if self.room is not None else None
        return account(subject, ledger, place, policy)


def tier_facts(context: Context, policy: Policy, changed: CreditChanged) -> tuple[Fact, ...]:
    """Return what follows from the entry `changed`. A warning has no consequences."""
    follows = {"charge": _charged, "compensation": _reversed}.get(changed.entry)
    if follows is None:
        return ()
    after = with_entry(context.subject, changed, context.now_ms)
    found: tuple[Fact, ...] = ()
    for level in _levels(context, policy, changed.ledger, changed.reach):  # the widest first
        own = level.account(after, changed.ledger, policy)
        found += tuple(follows(_with(context, found), policy, level, own, changed))
    return found


def entry_learnt(context: Context, policy: Policy, after: PersonView, entry: CreditChanged) -> tuple[Fact, ...]:
    """Return what follows here from the entry of another shard; `after` is `context.subject` with that entry.

    It counts from when it was made there: what would be over by now does not begin.
    """
    follows = {"charge": _charged_elsewhere, "compensation": _reversed}.get(entry.entry)
    if follows is None or settings_of(entry.ledger, policy).scope == "room":
        return ()
    found: tuple[Fact, ...] = ()
    for level in _levels(context, policy, entry.ledger, DEPLOYMENT):
        own = level.account(after, entry.ledger, policy)
        found += tuple(follows(_with(context, found), policy, level, own, entry))
    return found


def reaching_further(context: Context, policy: Policy, ledger: Ledger, before: str) -> tuple[Fact, ...]:
    """Return what follows when an entry of a community counts everywhere now; `context` already has it so."""
    found: tuple[Fact, ...] = ()
    for level in _levels(context, policy, ledger, DEPLOYMENT):
        if level.reach != before:  # it counted there already
            found += tuple(_missing(_with(context, found), policy, ledger, level))
    return found


def review(sanction: InForce, context: Context, policy: Policy) -> tuple[Fact, ...]:
    """Return what becomes of a sanction whose time is over at `context.now_ms`."""
    ledger = next((each for each in LEDGERS if each == sanction.basis), None)
    if ledger is None or sanction.kind != "demote":
        return (sanction.end("time", on=sanction.record),)
    own = _level_of(sanction).account(context.subject, ledger, policy)
    left = own.balance(context.now_ms)
    if left >= policy.tiers.manage_from:
        return (sanction.end(ledger, on=sanction.record),)
    until = reaches(own.entries, policy.tiers.manage_from, context.now_ms, own.settings)
    return (sanction.extend(until or 0, on=sanction.record, credit=left),)


def made_manager(context: Context, policy: Policy, *, on: int) -> tuple[Fact, ...]:
    """Return what follows when somebody is given management rights: low credit or standing suspends them."""
    return tuple(start for ledger in LEDGERS if (start := _not_for_now(context, policy, ledger, on)) is not None)


def missing_sanctions(context: Context, policy: Policy) -> tuple[Fact, ...]:
    """Return the sanctions that the balances call for and that are not in force, though nobody took them back."""
    found: tuple[Fact, ...] = ()
    for ledger in LEDGERS:
        for level in _levels_here(context, policy, ledger):
            found += tuple(_missing(_with(context, found), policy, ledger, level))
    return found


# Where balances count.


def _levels(context: Context, policy: Policy, ledger: Ledger, reach: str) -> list[_Level]:
    """Return the levels at which an entry of this reach, made here, changes something."""
    if settings_of(ledger, policy).scope == "room":
        return [_Level(context.room.room)]
    communities = _communities(context, ledger)
    if reach != DEPLOYMENT:
        return [_Level(communities.get(reach, context.room.room), reach)]
    return [_Level(), *(_Level(room, each) for each, room in communities.items())]


def _levels_here(context: Context, policy: Policy, ledger: Ledger) -> list[_Level]:
    """Return the levels whose sanctions hold in this room."""
    if settings_of(ledger, policy).scope == "room":
        return [_Level(context.room.room)]
    here = context.room.community
    return [_Level()] if here == DEPLOYMENT else [_Level(), _Level(context.room.room, here)]


def _communities(context: Context, ledger: Ledger) -> dict[str, RoomId]:
    """Map the communities in which somebody has entries of their own to a room of each: this room for its own."""
    own = context.subject.entries if ledger == "credit" else context.subject.standing
    found = {each.reach: each.room for each in own if each.reach != DEPLOYMENT and each.room is not None}
    return {each: context.room.room if each == context.room.community else room for each, room in found.items()}


def _with(context: Context, facts: Sequence[Fact]) -> Context:
    """Return the context as it is once these facts about sanctions are written."""
    held = list(context.subject.in_force)
    for fact in facts:
        match fact:
            case SanctionStarted():
                held.append(_begun(fact))
            case SanctionEnded():
                held = [each for each in held if each.record != fact.start]
            case SanctionExtended():
                held = [replace(s, until=fact.until) if s.record == fact.start else s for s in held]
    return replace(context, subject=replace(context.subject, in_force=tuple(held)))


def _begun(fact: SanctionStarted) -> InForce:
    return InForce(-1, fact.kind, fact.room, fact.subject, fact.until, fact.basis, fact.n, reach=fact.reach)


def _level_of(sanction: InForce) -> _Level:
    return _Level(sanction.room, sanction.reach)


def _missing(context: Context, policy: Policy, ledger: Ledger, level: _Level) -> Iterator[SanctionStarted]:
    own = level.account(context.subject, ledger, policy)
    left, held = own.balance(context.now_ms), _held(context, ledger, level)
    below = {"demote": policy.tiers.manage_from, "mute": policy.tiers.c, "ban": policy.tiers.d}
    for kind, (until, charge) in _ends(charges_in(own.entries), policy, ledger).items():
        if kind in held or left >= below[kind]:
            continue
        if kind == "demote":
            if not _manages(context, level):
                continue
            back = reaches(own.entries, below[kind], context.now_ms, own.settings)
            until = max(until, back) if back is not None else 0
        elif until <= context.now_ms:
            continue
        if not _wider(context, ledger, level, kind, until):
            begun = _started(context, level, ledger, kind, until, left, on=charge.id)
            yield replace(begun, n=charge.case or 0, rule=charge.rule)


def _ends(
    charges: Sequence[LedgerEntry], policy: Policy, ledger: Ledger
) -> dict[SanctionKind, tuple[int, LedgerEntry]]:
    """Return until when each kind of sanction from these charges lasts, and the charge that made it so."""
    ends: dict[SanctionKind, tuple[int, LedgerEntry]] = {}
    for count, charge in enumerate(charges, 1):
        for brought in _brought(charges[:count], charge.at_ms, policy, ledger):
            if brought.until > ends.get(brought.kind, (0, charge))[0]:
                ends[brought.kind] = (brought.until, charge)
    return ends


def not_held_back(context: Context, policy: Policy, *, on: int) -> tuple[Fact, ...]:
    """Return what ends when entries turn out to be somebody else's: rights suspended without need."""
    now = context.now_ms
    return tuple(
        each.end("reversed", on=on)
        for ledger in LEDGERS
        for each in _resting(context, ledger)
        if each.kind == "demote"
        and _level_of(each).account(context.subject, ledger, policy).balance(now) >= policy.tiers.manage_from
    )


def _not_for_now(context: Context, policy: Policy, ledger: Ledger, on: int) -> SanctionStarted | None:
    if any(each.kind == "demote" for each in _resting(context, ledger)):
        return None
    for level in _levels_here(context, policy, ledger):
        own = level.account(context.subject, ledger, policy)
        left = own.balance(context.now_ms)
        if left < policy.tiers.manage_from:
            back = reaches(own.entries, policy.tiers.manage_from, context.now_ms, own.settings)
            return _started(context, level, ledger, "demote", back or 0, left, on=on)
    return None


def _charged(context: Context, policy: Policy, level: _Level, own: Account, changed: CreditChanged) -> Iterator[Fact]:
    """Yield the consequences of the newest charge: a sanction begins, or lasts longer."""
    held, left = _held(context, changed.ledger, level), own.balance(context.now_ms)
    for want in _brought(charges_in(own.entries), context.now_ms, policy, changed.ledger):
        if _wider(context, changed.ledger, level, want.kind, want.until):
            continue
        present = held.get(want.kind)
        if present is not None:
            if present.until and want.until > present.until:
                yield present.extend(want.until, on=changed.on, credit=left)
        elif want.kind != "demote" or _manages(context, level):
            yield _caused(context, level, want, changed, left)


def _charged_elsewhere(
    context: Context, policy: Policy, level: _Level, own: Account, changed: CreditChanged
) -> Iterator[Fact]:
    """Yield what the charges cause together, each from its own date: a sanction begins, or lasts longer."""
    held, left = _held(context, changed.ledger, level), own.balance(context.now_ms)
    for kind, (until, _) in _ends(charges_in(own.entries), policy, changed.ledger).items():
        if until <= context.now_ms or _wider(context, changed.ledger, level, kind, until):
            continue
        present = held.get(kind)
        if present is not None:
            if present.until and until > present.until:
                yield present.extend(until, on=changed.on, credit=left)
        elif kind != "demote" or _manages(context, level):
            yield _caused(context, level, _Due(kind, until), changed, left)


def _reversed(context: Context, policy: Policy, level: _Level, own: Account, changed: CreditChanged) -> Iterator[Fact]:
    """Yield the changes to what would hold without the reversed charge.

    Sanctions end, become shorter, or begin in place of another.
    """
    held, left = _held(context, changed.ledger, level), own.balance(context.now_ms)
    ends = {kind: until for kind, (until, _) in _ends(charges_in(own.entries), policy, changed.ledger).items()}
    for kind, until in ends.items():
        if until <= context.now_ms:
            continue
        if kind in held:
            if until < held[kind].until:
                yield held[kind].extend(until, on=changed.on, credit=left)
        elif (kind != "demote" or _manages(context, level)) and not _wider(context, changed.ledger, level, kind, until):
            yield _caused(context, level, _Due(kind, until), changed, left)
    for sanction in _resting(context, changed.ledger, level):
        if ends.get(sanction.kind, 0) <= context.now_ms:
            ended = sanction.end("reversed", on=changed.on)
            yield replace(ended, n=changed.n or sanction.n)


def _held(context: Context, ledger: Ledger, level: _Level) -> dict[SanctionKind, InForce]:
    """Return what holds at this level and rests on this ledger; of one kind, the sanction imposed last."""
    return {sanction.kind: sanction for sanction in _resting(context, ledger, level)}


def _resting(context: Context, ledger: Ledger, level: _Level | None = None) -> list[InForce]:
    """Return all of it, here or at one level: two accounts of one person may have caused the same."""
    resting = [s for s in context.subject.in_force if s.basis == ledger]
    if level is not None and level.reach != DEPLOYMENT:
        return [s for s in resting if s.reach == level.reach]
    here = [s for s in resting if s.covers(context.room)]
    return here if level is None else [s for s in here if s.reach == DEPLOYMENT]


def _wider(context: Context, ledger: Ledger, level: _Level, kind: SanctionKind, until: int) -> bool:
    """Return whether the same already holds everywhere for as long, so that a community need not repeat it."""
    if level.reach == DEPLOYMENT:
        return False
    return any(
        s.kind == kind and s.basis == ledger and s.room is None and (not s.until or s.until >= until)
        for s in context.subject.in_force
    )


def _brought(charges: Sequence[LedgerEntry], at_ms: int, policy: Policy, ledger: Ledger) -> Iterator[_Due]:
    """Yield the consequences of the last of these charges alone, made at `at_ms`."""
    tiers, settings = policy.tiers, settings_of(ledger, policy)
    credit = balance(charges, at_ms, settings)
    if credit < tiers.manage_from:
        back = reaches(charges, tiers.manage_from, at_ms, settings)
        yield _Due("demote", max(at_ms + tiers.demote_for, back or 0))
    if ledger == "standing":
        return
    if credit < tiers.d:
        yield _Due("ban", at_ms + tiers.barred_for)
    elif credit < tiers.c:
        yield _Due("mute", at_ms + tiers.mute_for)


def _manages(context: Context, level: _Level) -> bool:
    """Return whether there are rights to suspend where this counts, or some suspended on other grounds."""
    subject = context.subject
    suspended = (s for s in subject.in_force if s.kind == "demote")
    if any(s.room is None or _level_of(s) == level for s in suspended):
        return True
    if level.room is None:
        return bool(subject.manages)
    return level.room in subject.manages or (level.reach != DEPLOYMENT and level.reach in subject.manages_in)


def _caused(context: Context, level: _Level, want: _Due, changed: CreditChanged, left: int) -> SanctionStarted:
    """Return a sanction that an entry in the ledger causes."""
    begun = _started(context, level, changed.ledger, want.kind, want.until, left, on=changed.on)
    return replace(begun, n=changed.n, rule=changed.rule)


def _started(
    context: Context, level: _Level, ledger: Ledger, kind: SanctionKind, until: int, left: int, *, on: int
) -> SanctionStarted:
    return SanctionStarted(
        room=level.room,
        on=on,
        kind=kind,
        until=until,
        basis=ledger,
        credit=left,
        reach=level.reach,
        subject=context.subject.user,
    )
