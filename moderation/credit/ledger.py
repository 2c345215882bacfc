"""Writes entries into a ledger: the facts, and the balance that each leaves.

Rules kept here: there are two ledgers, with the same mechanics: credit, which everybody has, and standing, that of
those who run groups. In a room those entries count that reach it (`moderation/model/reach.py`): of the whole
deployment, and of its community; for the deployment, those that reach it all. Where credit is kept by rooms (`scope =
"room"`), those made in the room; standing never is.
"""

from dataclasses import dataclass, replace
from typing import Literal

from moderation.model.context import Context, PersonView
from moderation.model.facts import CreditChanged, Ledger
from moderation.model.ledger_entry import LedgerEntry
from moderation.model.reach import DEPLOYMENT, Place, counts_in, reach_of
from moderation.policy import CreditSettings, Policy

from .credit import Price, balance

LEDGERS: tuple[Ledger, ...] = ("credit", "standing")


@dataclass(frozen=True, slots=True)
class Account:
    """The entries of one person that count, and by which numbers."""

    entries: tuple[LedgerEntry, ...]
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


def account(subject: PersonView, ledger: Ledger, place: Place | None, policy: Policy) -> Account:
    """What counts of somebody's ledger in a room; without one, what counts in all of them."""
    settings = settings_of(ledger, policy)
    entries = subject.entries if ledger == "credit" else subject.standing
    if place is None:
        return Account(tuple(each for each in entries if each.reach == DEPLOYMENT), settings)
    if settings.scope == "room":
        return Account(tuple(each for each in entries if each.room == place.room), settings)
    return Account(tuple(each for each in entries if counts_in(place, each.reach, each.room)), settings)


def account_of_reach(subject: PersonView, ledger: Ledger, reach: str, place: Place, policy: Policy) -> Account:
    """What counts of somebody's ledger for a consequence of this reach that is decided in `place`.

    What the people of a room decided makes nothing dearer that reaches further than their word.
    """
    by_room = settings_of(ledger, policy).scope == "room"
    return account(subject, ledger, place if reach != DEPLOYMENT or by_room else None, policy)


def credit_now(context: Context, policy: Policy) -> int:
    """The subject's credit in this room, before anything that is being judged."""
    return account(context.subject, "credit", context.room, policy).balance(context.now_ms)


def charge(
    context: Context, policy: Policy, cost: Price, *, rule: str, grade: str, n: int, on: int, reach: str
) -> CreditChanged:
    """A charge against credit, or the warning that stands in its place."""
    fact = CreditChanged(
        room=context.room.room,
        on=on,
        entry=cost.entry,
        cost=cost.cost,
        grade=grade,  # type: ignore[arg-type]
        rule=rule,
        n=n,
        reach=reach,
        left=0,
        subject=context.subject.user,
    )
    return _with_balance(fact, context, policy)


def charge_standing(
    context: Context, policy: Policy, cost: int, *, rule: str, n: int, on: int, by: str
) -> CreditChanged:
    """A charge against standing; `by` "": nobody had to say it."""
    fact = CreditChanged(
        room=context.room.room,
        on=on,
        entry="charge",
        ledger="standing",
        cost=cost,
        grade="-",
        rule=rule,
        n=n,
        reach=reach_of(by, rule, context.room.community, policy),
        left=0,
        subject=context.subject.user,
    )
    return _with_balance(fact, context, policy)


def compensate(
    context: Context, policy: Policy, undone: LedgerEntry, ledger: Literal["credit", "standing"], *, on: int
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
        reach=undone.reach,
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


def entry_of(changed: CreditChanged, record: int, subject: PersonView, at_ms: int) -> LedgerEntry:
    """The line of the ledger that a fact becomes."""
    return LedgerEntry(
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
        reach=changed.reach,
    )


def confirmed(subject: PersonView, entry: int) -> PersonView:
    """The person as they will be once the entry recorded there counts everywhere."""

    def widened(entries: tuple[LedgerEntry, ...]) -> tuple[LedgerEntry, ...]:
        return tuple(replace(each, reach=DEPLOYMENT) if each.id == entry else each for each in entries)

    return replace(subject, entries=widened(subject.entries), standing=widened(subject.standing))


def _with_balance(fact: CreditChanged, context: Context, policy: Policy) -> CreditChanged:
    after = with_entry(context.subject, fact, context.now_ms)
    left = account(after, fact.ledger, context.room, policy).balance(context.now_ms)
    return replace(fact, left=left)
