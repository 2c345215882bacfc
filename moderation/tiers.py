"""What a balance brings: sanctions that rest on credit or standing begin, last longer or end. docs/model.md, "Credit".

Rules this module keeps: anybody with management rights whose credit or standing is below `manage_from` loses them,
wherever the rooms' own levels gave them; standing brings nothing else; a sanction ends as soon as what it rested on is
gone (a reversed decision), or when its time is over *and* credit is back; `missing` finds, from the balances alone, a
sanction that should hold and did not begin, because the numbers of the tiers were changed or something went wrong;
nothing here looks at power: what cannot be done in a room is found and said by the reconciler.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .context import Context, InForce
from .credit import Entry, balance, reaches, standing
from .facts import CreditChanged, Fact, Ledger, SanctionEnded, SanctionExtended, SanctionKind, SanctionStarted
from .ids import RoomId
from .ledger import LEDGERS, account, settings_of, with_entry
from .policy import Policy


@dataclass(frozen=True, slots=True)
class _Due:
    """A sanction that a balance asks for."""

    kind: SanctionKind
    until: int


def tier_facts(context: Context, policy: Policy, changed: CreditChanged) -> tuple[Fact, ...]:
    """What follows from the entry `changed`. A warning brings nothing."""
    after = with_entry(context.subject, changed, context.now_ms)
    entries = account(after, changed.ledger, context.room.room, policy).entries
    charges = [entry for entry in standing(entries) if entry.entry == "charge"]
    if changed.entry == "charge":
        return tuple(_charged(context, policy, charges, changed))
    return tuple(_reversed(context, policy, charges, changed)) if changed.entry == "compensation" else ()


def review(sanction: InForce, context: Context, policy: Policy) -> tuple[Fact, ...]:
    """What becomes of a sanction whose time is over at `context.now_ms`."""
    ledger = next((each for each in LEDGERS if each == sanction.basis), None)
    if ledger is None or sanction.kind != "demote":
        return (over(sanction, "time", on=sanction.record),)
    own = account(context.subject, ledger, sanction.room, policy)
    left = own.balance(context.now_ms)
    if left >= policy.tiers.manage_from:
        return (over(sanction, ledger, on=sanction.record),)
    until = reaches(own.entries, policy.tiers.manage_from, context.now_ms, own.settings)
    return (_extended(sanction, until or 0, left, on=sanction.record),)


def made_manager(context: Context, policy: Policy, *, on: int) -> tuple[Fact, ...]:
    """What follows when somebody is given management rights: with too little credit or standing they do not hold them
    for now."""
    return tuple(start for ledger in LEDGERS if (start := _not_for_now(context, policy, ledger, on)) is not None)


def missing(context: Context, policy: Policy) -> tuple[Fact, ...]:
    """Return the sanctions that the balances bring and that are not in force, though nobody took them back."""
    return tuple(start for ledger in LEDGERS for start in _missing(context, policy, ledger))


def _missing(context: Context, policy: Policy, ledger: Ledger) -> Iterator[SanctionStarted]:
    own = account(context.subject, ledger, context.room.room, policy)
    charges = [entry for entry in standing(own.entries) if entry.entry == "charge"]
    left, held = own.balance(context.now_ms), _held(context, ledger)
    below = {"demote": policy.tiers.manage_from, "mute": policy.tiers.c, "ban": policy.tiers.d}
    for kind, (until, charge) in _ends(charges, policy, ledger).items():
        if kind in held or left >= below[kind]:
            continue
        if kind == "demote":
            if not _manages(context, policy, ledger):
                continue
            back = reaches(own.entries, below[kind], context.now_ms, own.settings)
            until = max(until, back) if back is not None else 0
        elif until <= context.now_ms:
            continue
        yield SanctionStarted(
            room=_scope(context, policy, ledger),
            on=charge.id,
            kind=kind,
            until=until,
            n=charge.case or 0,
            basis=ledger,
            rule=charge.rule,
            credit=left,
            subject=context.subject.user,
        )


def _ends(charges: Sequence[Entry], policy: Policy, ledger: Ledger) -> dict[SanctionKind, tuple[int, Entry]]:
    """Return until when each kind of sanction lasts that these charges brought, and which of them made it so."""
    ends: dict[SanctionKind, tuple[int, Entry]] = {}
    for count, charge in enumerate(charges, 1):
        for brought in _brought(charges[:count], charge.at_ms, policy, ledger):
            if brought.until > ends.get(brought.kind, (0, charge))[0]:
                ends[brought.kind] = (brought.until, charge)
    return ends


def not_held_back(context: Context, policy: Policy, *, on: int) -> tuple[Fact, ...]:
    """What ends when entries turn out to be somebody else's: rights that were suspended, and need not have been."""
    now = context.now_ms
    return tuple(
        over(each, "reversed", on=on)
        for ledger in LEDGERS
        for each in _resting(context, ledger)
        if each.kind == "demote"
        and account(context.subject, ledger, each.room, policy).balance(now) >= policy.tiers.manage_from
    )


def _not_for_now(context: Context, policy: Policy, ledger: Ledger, on: int) -> SanctionStarted | None:
    own = account(context.subject, ledger, context.room.room, policy)
    left = own.balance(context.now_ms)
    if left >= policy.tiers.manage_from or "demote" in _held(context, ledger):
        return None
    back = reaches(own.entries, policy.tiers.manage_from, context.now_ms, own.settings)
    return SanctionStarted(
        room=_scope(context, policy, ledger),
        on=on,
        kind="demote",
        until=back or 0,
        basis=ledger,
        credit=left,
        subject=context.subject.user,
    )


def _charged(context: Context, policy: Policy, charges: Sequence[Entry], changed: CreditChanged) -> Iterator[Fact]:
    """What the newest charge brings: a sanction begins, or lasts longer."""
    held = _held(context, changed.ledger)
    for want in _brought(charges, context.now_ms, policy, changed.ledger):
        present = held.get(want.kind)
        if present is not None:
            if present.until and want.until > present.until:
                yield _extended(present, want.until, changed.left, on=changed.on)
        elif want.kind != "demote" or _manages(context, policy, changed.ledger):
            yield _started(want, context, policy, changed)


def _reversed(context: Context, policy: Policy, charges: Sequence[Entry], changed: CreditChanged) -> Iterator[Fact]:
    """What would hold had the reversed charge never been: sanctions end, are shorter, or begin in another's place."""
    held = _held(context, changed.ledger)
    ends = {kind: until for kind, (until, _) in _ends(charges, policy, changed.ledger).items()}
    for kind, until in ends.items():
        if until <= context.now_ms:
            continue
        if kind in held:
            if until < held[kind].until:
                yield _extended(held[kind], until, changed.left, on=changed.on)
        elif kind != "demote" or _manages(context, policy, changed.ledger):
            yield _started(_Due(kind, until), context, policy, changed)
    for sanction in _resting(context, changed.ledger):
        if ends.get(sanction.kind, 0) <= context.now_ms:
            yield over(sanction, "reversed", on=changed.on, n=changed.n)


def _held(context: Context, ledger: Ledger) -> dict[SanctionKind, InForce]:
    """What holds here and rests on this ledger; of one kind, what was imposed last."""
    return {sanction.kind: sanction for sanction in _resting(context, ledger)}


def _resting(context: Context, ledger: Ledger) -> list[InForce]:
    """All of it: two accounts of one person may have brought the same."""
    here = context.room.room
    return [s for s in context.subject.in_force if s.basis == ledger and s.covers(here)]


def _brought(charges: Sequence[Entry], at_ms: int, policy: Policy, ledger: Ledger) -> Iterator[_Due]:
    """What the last of these charges, made at `at_ms`, brought by itself."""
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


def _manages(context: Context, policy: Policy, ledger: Ledger) -> bool:
    """Whether there are rights to take away where this ledger counts, or some that are suspended on other grounds."""
    scope = _scope(context, policy, ledger)
    if any(s.kind == "demote" and (s.room is None or s.room == scope) for s in context.subject.in_force):
        return True
    return bool(context.subject.manages) if scope is None else scope in context.subject.manages


def _started(want: _Due, context: Context, policy: Policy, changed: CreditChanged) -> SanctionStarted:
    return SanctionStarted(
        room=_scope(context, policy, changed.ledger),
        on=changed.on,
        kind=want.kind,
        until=want.until,
        n=changed.n,
        basis=changed.ledger,
        rule=changed.rule,
        credit=changed.left,
        subject=context.subject.user,
    )


def _scope(context: Context, policy: Policy, ledger: Ledger) -> RoomId | None:
    return None if settings_of(ledger, policy).scope == "deployment" else context.room.room


def _extended(sanction: InForce, until: int, credit: int, *, on: int) -> SanctionExtended:
    return SanctionExtended(
        room=sanction.room,
        on=on,
        start=sanction.record,
        kind=sanction.kind,
        until=until,
        credit=credit,
        subject=sanction.subject,
    )


def over(sanction: InForce, why: str, *, on: int, n: int = 0) -> SanctionEnded:
    """The end of a sanction."""
    return SanctionEnded(
        room=sanction.room,
        on=on,
        start=sanction.record,
        kind=sanction.kind,
        why=why,  # type: ignore[arg-type]
        n=n or sanction.n,
        subject=sanction.subject,
    )
