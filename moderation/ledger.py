"""Writes entries into a ledger: the facts, and the balance that each leaves.

Rules kept here: there are two ledgers, with the same mechanics: credit, which everybody has, and standing, that of
those who run groups. Standing is kept for the whole deployment, whatever credit is.
"""

from dataclasses import dataclass, replace
from typing import Literal

from .context import Context, PersonView
from .credit import Entry, Price, balance
from .facts import CreditChanged, Ledger
from .ids import RoomId
from .policy import CreditSettings, Policy

LEDGERS: tuple[Ledger, ...] = ("credit", "standing")


@dataclass(frozen=True, slots=True)
class Account:
    """The entries of one person that count, and by which numbers."""

    entries: tuple[Entry, ...]
    settings: CreditSettings

    def balance(self, now_ms: int) -> int:
        """The points at `now_ms`."""
        return balance(self.entries, now_ms, self.settings)


def settings_of(ledger: Ledger, policy: Policy) -> CreditSettings:
    """The numbers of a ledger."""
    if ledger == "credit":
        return policy.credit
    own = policy.standing
    return policy.credit.model_copy(update={"start": own.start, "ceiling": own.ceiling, "scope": "deployment"})


def account(subject: PersonView, ledger: Ledger, room: RoomId | None, policy: Policy) -> Account:
    """What counts in `room` of somebody's ledger."""
    settings = settings_of(ledger, policy)
    if ledger == "credit":
        return Account(subject.ledger(room, settings), settings)
    return Account(subject.standing, settings)


def credit_now(context: Context, policy: Policy) -> int:
    """The subject's credit in this room, before anything that is being judged."""
    return account(context.subject, "credit", context.room.room, policy).balance(context.now_ms)


def charge(context: Context, policy: Policy, cost: Price, *, rule: str, grade: str, n: int, on: int) -> CreditChanged:
    """A charge against credit, or the warning that stands in its place."""
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


def charge_standing(context: Context, policy: Policy, cost: int, *, rule: str, n: int, on: int) -> CreditChanged:
    """A charge against standing."""
    fact = CreditChanged(
        room=context.room.room,
        on=on,
        entry="charge",
        ledger="standing",
        cost=cost,
        grade="-",
        rule=rule,
        n=n,
        left=0,
        subject=context.subject.user,
    )
    return _with_balance(fact, context, policy)


def compensate(
    context: Context, policy: Policy, undone: Entry, ledger: Literal["credit", "standing"], *, on: int
) -> CreditChanged:
    """The entry that takes the effect of `undone` away."""
    fact = CreditChanged(
        room=context.room.room,
        on=on,
        entry="compensation",
        ledger=ledger,
        cost=0,
        grade=undone.grade or "-",
        rule=undone.rule,
        n=undone.case or 0,
        undoes=undone.id,
        left=0,
        subject=context.subject.user,
    )
    return _with_balance(fact, context, policy)


def with_entry(subject: PersonView, changed: CreditChanged, at_ms: int) -> PersonView:
    """The person as they will be once `changed` is written."""
    newest = max((entry.id for entry in (*subject.entries, *subject.standing)), default=-1) + 1
    made = entry_of(changed, newest, subject, at_ms)
    if changed.ledger == "standing":
        return replace(subject, standing=(*subject.standing, made))
    return replace(subject, entries=(*subject.entries, made))


def entry_of(changed: CreditChanged, record: int, subject: PersonView, at_ms: int) -> Entry:
    """The line of the ledger that a fact becomes."""
    return Entry(
        id=record,
        person=subject.person,
        at_ms=at_ms,
        entry=changed.entry,
        cost=changed.cost,
        grade=changed.grade if changed.grade != "-" else None,
        rule=changed.rule,
        case=changed.n or None,
        room=changed.room,
        undoes=changed.undoes if changed.undoes >= 0 else None,
    )


def _with_balance(fact: CreditChanged, context: Context, policy: Policy) -> CreditChanged:
    after = with_entry(context.subject, fact, context.now_ms)
    left = account(after, fact.ledger, context.room.room, policy).balance(context.now_ms)
    return replace(fact, left=left)
