"""What a balance brings: sanctions that rest on credit begin, last longer or end. docs/model.md, "Credit".

Rules this module keeps: anybody with management rights whose credit is below `manage_from` loses them, wherever the
rooms' own levels gave them; a sanction ends as soon as what it rested on is gone (a reversed decision), or when
its time is over *and* credit is back; nothing here looks at power: what cannot be done in a room is found
and said by the reconciler.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from .context import Context, InForce
from .credit import Entry, balance, reaches
from .facts import CreditChanged, Fact, SanctionEnded, SanctionExtended, SanctionKind, SanctionStarted
from .ids import RoomId
from .ledger import entries_with
from .policy import Policy


@dataclass(frozen=True, slots=True)
class _Due:
    """A sanction that a balance asks for."""

    kind: SanctionKind
    until: int


def tier_facts(context: Context, policy: Policy, changed: CreditChanged) -> tuple[Fact, ...]:
    """What follows from the balance that `changed` leaves."""
    entries = entries_with(context.subject, changed, context.now_ms)
    if policy.credit.scope == "room":
        entries = tuple(entry for entry in entries if entry.room == context.room.room)
    why = "reversed" if changed.entry == "compensation" else "credit"
    return tuple(_settle(context, policy, entries, changed, why))


def review(sanction: InForce, context: Context, policy: Policy) -> tuple[Fact, ...]:
    """What becomes of a sanction whose time is over at `context.now_ms`."""
    if sanction.basis != "credit" or sanction.kind != "demote":
        return (over(sanction, "time", on=sanction.record),)
    ledger = context.subject.ledger(sanction.room, policy.credit)
    credit = balance(ledger, context.now_ms, policy.credit)
    if credit >= policy.tiers.manage_from:
        return (over(sanction, "credit", on=sanction.record),)
    until = reaches(ledger, policy.tiers.manage_from, context.now_ms, policy.credit)
    return (_extended(sanction, until or 0, credit, on=sanction.record),)


def _settle(
    context: Context, policy: Policy, entries: tuple[Entry, ...], changed: CreditChanged, why: str
) -> Iterator[Fact]:
    standing = {s.kind: s for s in context.subject.in_force if s.basis == "credit"}
    due = {want.kind: want for want in _asked_for(context, policy, entries, changed.left)}
    for kind, want in due.items():
        if kind not in standing:
            yield _started(want, context, policy, changed)
        elif standing[kind].until and want.until > standing[kind].until:
            yield _extended(standing[kind], want.until, changed.left, on=changed.on)
    if why == "reversed":
        for kind, sanction in standing.items():
            if kind not in due:
                yield over(sanction, "reversed", on=changed.on, n=changed.n)


def _asked_for(context: Context, policy: Policy, entries: tuple[Entry, ...], credit: int) -> Iterator[_Due]:
    tiers, now = policy.tiers, context.now_ms
    if credit < tiers.manage_from and context.subject.manages:
        back = reaches(entries, tiers.manage_from, now, policy.credit)
        yield _Due("demote", max(now + tiers.demote_for, back or 0))
    if credit < tiers.d:
        yield _Due("ban", now + tiers.barred_for)
    elif credit < tiers.c:
        yield _Due("mute", now + tiers.mute_for)


def _started(want: _Due, context: Context, policy: Policy, changed: CreditChanged) -> SanctionStarted:
    return SanctionStarted(
        room=_scope(context, policy),
        on=changed.on,
        kind=want.kind,
        until=want.until,
        n=changed.n,
        basis="credit",
        rule=changed.rule,
        credit=changed.left,
        subject=context.subject.user,
    )


def _scope(context: Context, policy: Policy) -> RoomId | None:
    return None if policy.credit.scope == "deployment" else context.room.room


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
