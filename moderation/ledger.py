"""Writes entries into a ledger: the facts, and the balance that each leaves."""

from dataclasses import replace

from .context import Context, PersonView
from .credit import Entry, Price, balance
from .facts import CreditChanged
from .policy import Policy


def credit_now(context: Context, policy: Policy) -> int:
    """The subject's credit in this room, before anything that is being judged."""
    return balance(context.subject.ledger(context.room.room, policy.credit), context.now_ms, policy.credit)


def charge(context: Context, policy: Policy, cost: Price, *, rule: str, grade: str, n: int, on: int) -> CreditChanged:
    """A charge, or the warning that stands in its place."""
    fact = CreditChanged(
        room=context.room.room,
        on=on,
        entry=cost.entry,
        cost=cost.cost,
        grade=grade,  # type: ignore[arg-type]
        rule=rule,
        n=n,
        left=0,
        subject=context.subject.user,
    )
    return _with_balance(fact, context, policy)


def compensate(context: Context, policy: Policy, undone: Entry, *, on: int) -> CreditChanged:
    """The entry that takes the effect of `undone` away."""
    fact = CreditChanged(
        room=context.room.room,
        on=on,
        entry="compensation",
        cost=0,
        grade=undone.grade or "minor",
        rule=undone.rule,
        n=undone.case or 0,
        undoes=undone.id,
        left=0,
        subject=context.subject.user,
    )
    return _with_balance(fact, context, policy)


def entries_with(subject: PersonView, changed: CreditChanged, at_ms: int) -> tuple[Entry, ...]:
    """The ledger as it will be once `changed` is written."""
    newest = max((entry.id for entry in subject.entries), default=-1) + 1
    return (*subject.entries, entry_of(changed, newest, subject, at_ms))


def entry_of(changed: CreditChanged, record: int, subject: PersonView, at_ms: int) -> Entry:
    """The line of the ledger that a fact becomes."""
    return Entry(
        id=record,
        person=subject.person,
        at_ms=at_ms,
        entry=changed.entry,
        cost=changed.cost,
        grade=changed.grade,
        rule=changed.rule,
        case=changed.n or None,
        room=changed.room,
        undoes=changed.undoes if changed.undoes >= 0 else None,
    )


def _with_balance(fact: CreditChanged, context: Context, policy: Policy) -> CreditChanged:
    ledger = replace(context.subject, entries=entries_with(context.subject, fact, context.now_ms))
    left = balance(ledger.ledger(context.room.room, policy.credit), context.now_ms, policy.credit)
    return replace(fact, left=left)
