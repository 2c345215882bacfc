"""Entries in a ledger: the facts, and the balance after each.

Rules kept here:
- There are two ledgers, with the same mechanics: credit, which everybody has, and standing, that of those who run
  groups.
- In a room those entries count that reach it (`moderation/model/reach.py`): of the whole deployment, and of its
  community; for the deployment, those that reach all of it.
- If credit is kept by rooms (`scope = "room"`), the entries made in the room count; standing is never kept so.
"""

from dataclasses import dataclass, replace
from typing import Literal

from moderation.model.context import Context, PersonView
from moderation.model.facts import CreditChanged, Ledger
from moderation.model.ledger_entry import LedgerEntry
from moderation.model.reach import DEPLOYMENT, Place, counts_in, reach_of
from moderation.policy import CreditSettings, Grade, Policy

from .credit import Price, balance

LEDGERS: tuple[Ledger, ...] = ("credit", "standing")


@dataclass(frozen=True, slots=True)
class Account:
    """The entries of one person that count, and the settings for them."""

    entries: tuple[LedgerEntry, ...]
    settings: CreditSettings

    def balance(self, now_ms: int) -> int:
        """Return the points at `now_ms`."""
        return balance(self.entries, now_ms, self.settings)


def settings_of(ledger: Ledger, policy: Policy) -> CreditSettings:
    """Return the settings of a ledger."""
    if ledger == "credit":
        return policy.credit
    own = policy.standing
    return policy.credit.model_copy(update={"start": own.start, "ceiling": own.ceiling, "scope": "deployment"})


def account(subject: PersonView, ledger: Ledger, place: Place | None, policy: Policy) -> Account:
    """Return what counts of somebody's ledger in a room; if `place` is None, in all rooms."""
    settings = settings_of(ledger, policy)
    entries = subject.entries if ledger == "credit" else subject.standing
    if place is None:
        return Account(tuple(each for each in entries if each.reach == DEPLOYMENT), settings)
    if settings.scope == "room":
        return Account(tuple(each for each in entries if each.room == place.room), settings)
    return Account(tuple(each for each in entries if counts_in(place, each.reach, each.room)), settings)


def account_of_reach(subject: PersonView, ledger: Ledger, reach: str, place: Place, policy: Policy) -> Account:
    """Return what counts of somebody's ledger for a consequence of this reach that is decided in `place`.

    Decisions by the people of a room do not raise the price of a consequence that reaches further than their word.
    """
    by_room = settings_of(ledger, policy).scope == "room"
    return account(subject, ledger, place if reach != DEPLOYMENT or by_room else None, policy)


def credit_now(context: Context, policy: Policy) -> int:
    """Return the subject's credit in this room, before the event being judged."""
    return account(context.subject, "credit", context.room, policy).balance(context.now_ms)


def charge(
    context: Context, policy: Policy, cost: Price, *, rule: str, grade: Grade, n: int, on: int, reach: str
) -> CreditChanged:
    """Return a charge against credit, or the warning in its place."""
    fact = CreditChanged(
        room=context.room.room,
        on=on,
        entry=cost.entry,
        cost=cost.cost,
        grade=grade,
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
    """Return a charge against standing; `by` "": the bot found the reason."""
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
    """Return the entry that cancels the effect of `undone`."""
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
    """Return the person as they will be once `changed` is written."""
    newest = max((entry.id for entry in (*subject.entries, *subject.standing)), default=-1) + 1
    made = entry_of(changed, newest, subject, at_ms)
    if changed.ledger == "standing":
        return replace(subject, standing=(*subject.standing, made))
    return replace(subject, entries=(*subject.entries, made))


def entry_of(changed: CreditChanged, record: int, subject: PersonView, at_ms: int) -> LedgerEntry:
    """Return the ledger entry that a fact becomes."""
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
    """Return the person as they will be once the entry recorded at `entry` counts everywhere."""

    def widened(entries: tuple[LedgerEntry, ...]) -> tuple[LedgerEntry, ...]:
        return tuple(replace(each, reach=DEPLOYMENT) if each.id == entry else each for each in entries)

    return replace(subject, entries=widened(subject.entries), standing=widened(subject.standing))


def _with_balance(fact: CreditChanged, context: Context, policy: Policy) -> CreditChanged:
    after = with_entry(context.subject, fact, context.now_ms)
    left = account(after, fact.ledger, context.room, policy).balance(context.now_ms)
    return replace(fact, left=left)
