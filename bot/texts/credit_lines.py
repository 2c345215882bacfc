"""A person's credit, standing and measures in lines, as far as somebody may read of them in one room.

Rules kept here:
- In a room, what counts there is shown; with no room, what counts everywhere.
- Measures that hold in other rooms are shown to the person alone, and so is their standing, except where they run the
  room.

Left to others: who may ask (`bot/commands/credit.py`, `bot/console/`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moderation.credit.credit import reaches, tier
from moderation.credit.ledger import Account, account
from moderation.model.context import InForce, PersonView, RoomView
from moderation.model.facts import OF_ROOMS, Ledger
from moderation.model.ledger_entry import LedgerEntry
from moderation.policy import Policy
from moderation.values.notices import Line, Moment, Phrase, RuleText, Who, line

MAX_ENTRIES = 15


@dataclass(frozen=True, slots=True)
class CreditShown:
    """The credit of a person in a room (None: in no one room) at a time; `own`: they ask themselves."""

    person: PersonView
    room: RoomView | None
    policy: Policy
    now_ms: int
    own: bool = False

    @property
    def credit(self) -> Account:
        """Return the ledger of credit that counts there."""
        return account(self.person, "credit", self.room, self.policy)

    @property
    def standing(self) -> Account | None:
        """Return the ledger of their standing; None if it is not shown."""
        found = account(self.person, "standing", self.room, self.policy)
        here = self.room is not None and self.room.room in self.person.manages
        runs = bool(self.person.manages) if self.own else here
        return found if runs or found.entries else None

    @property
    def in_force(self) -> list[InForce]:
        """Return the measures against them that are shown."""
        return [each for each in self.person.in_force if each.kind not in OF_ROOMS and self._covers(each)]

    def _covers(self, held: InForce) -> bool:
        return self.own or (self.room is not None and held.covers(self.room))


def credit_lines(shown: CreditShown) -> tuple[Line, ...]:
    """Return all lines."""
    return (
        *now_lines(shown),
        *(sanction_line(each.kind, each.until) for each in shown.in_force),
        *entry_lines("credit", shown.credit.entries),
        *standing_lines(shown),
    )


def now_lines(shown: CreditShown) -> Iterator[Line]:
    """Yield the balance and its tier, and when it is full again."""
    own, policy = shown.credit, shown.policy
    now = own.balance(shown.now_ms)
    at = tier(now, policy.tiers)
    yield line("credit.now", who=Who(shown.person.user), credit=now, tier=at, means=Phrase(f"tier.{at}"))
    top = policy.credit.ceiling
    if now < top and (back := reaches(own.entries, top, shown.now_ms, policy.credit)):
        yield line("credit.full-again", when=Moment(back))


def standing_lines(shown: CreditShown) -> Iterator[Line]:
    """Yield the standing of a person who runs a room, or once did, and the reasons."""
    own = shown.standing
    if own is not None:
        yield line("standing.now", who=Who(shown.person.user), standing=own.balance(shown.now_ms))
        yield from entry_lines("standing", own.entries)


def entry_lines(ledger: Ledger, entries: Sequence[LedgerEntry]) -> Iterator[Line]:
    """Yield the newest entries of a ledger."""
    for entry in entries[-MAX_ENTRIES:]:
        key = f"credit.entry.{entry.entry}" if ledger == "credit" else f"standing.entry.{entry.entry}"
        yield line(key, when=Moment(entry.at_ms), cost=entry.cost, rule=RuleText(entry.rule), n=entry.case or 0)


def sanction_line(kind: str, until: int) -> Line:
    """Return the line of a measure in force against somebody; `until` 0: no end."""
    if until:
        return line(f"credit.in-force.{kind}", until=Moment(until))
    return line(f"credit.in-force-open.{kind}")
