"""What is known when an event is judged: read from the database before, frozen, and never looked up during.

Left to others: reading it (`storage/queries/`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from moderation.policy import Below, Grade
from moderation.values.ids import CaseNumber, EventId, GroupCode, PersonId, RoomId, UserId
from moderation.values.levels import Method
from moderation.values.power_levels import Power

from .facts import Asked, SanctionKind
from .ledger_entry import LedgerEntry
from .reach import Place, counts_in, holds_in

Condition = Literal["joining", "announced", "observing", "protected", "followed", "left"]
Purpose = Literal["group", "desk", "direct", "lobby", "space"]


@dataclass(frozen=True, slots=True)
class Slow:
    """Slow mode: members may write one message in `every` milliseconds, since `since`."""

    every: int
    since: int


@dataclass(frozen=True, slots=True)
class Choices:
    """What the owner of a room chose for it, beyond what the operator says."""

    write: int = 0  # level that members are asked for
    below: Below = "off"  # what happens below it
    digest: bool = True


@dataclass(frozen=True, slots=True)
class RoomView:
    """One room the bot is in, and who may do what there."""

    room: RoomId
    code: GroupCode
    purpose: Purpose
    condition: Condition
    power: Power
    community: str = ""  # how far the word of its people reaches (`reach.py`)
    served: RoomId | None = None  # the group a desk or a lobby serves
    name: str = ""
    language: str = ""
    notice: EventId | None = None  # the event that told members what is recorded
    asked: int = 0  # since when it asks to be verified as it does now
    slow: Slow | None = None
    choices: Choices = Choices()
    rules: tuple[str, ...] = ()  # of its own, as recorded (`moderation/judge/room_rules.py`)
    # Of those whom its levels make owner or manager: against whom, by whichever account, a demotion or ban holds here.
    suspended: frozenset[UserId] = frozenset()

    @property
    def active(self) -> bool:
        """Whether what is said here is recorded and judged."""
        return self.condition in ("observing", "protected")


@dataclass(frozen=True, slots=True)
class InForce:
    """A sanction that holds now. `room` None: in every protected room; with `reach`: in all of that community."""

    record: int
    kind: SanctionKind
    room: RoomId | None
    subject: UserId
    until: int
    basis: str
    n: int = 0
    every: int = 0  # milliseconds, of slow mode
    reach: str = ""

    def covers(self, place: Place) -> bool:
        """Whether it holds in a room."""
        return holds_in(place, self.room, self.reach)


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case as it stands."""

    n: CaseNumber
    room: RoomId
    subject: UserId
    person: PersonId
    rule: str
    grade: Grade
    decide: str
    manages: bool
    state: str
    outcome: str  # "", "upheld" or "dismissed"
    opened: int
    asked: Asked = "managers"  # whose word it waits for
    about: int = 0  # the case that was neglected or decided wrongly
    lead: int = 0  # the case on whose card it is shown, until that one is decided
    due: int = 0
    events: tuple[EventId, ...] = ()
    messages: tuple[EventId, ...] = ()  # those of `events` that are messages, and so can be taken away
    on: int = -1  # the record of the first event
    accounts: frozenset[UserId] = frozenset()  # of the person it is about
    deciders: frozenset[UserId] = frozenset()  # all accounts of whoever decided it
    appellants: frozenset[UserId] = frozenset()  # all accounts of whoever appealed last
    done: frozenset[tuple[SanctionKind, EventId]] = frozenset()  # measures taken on its account and not taken back
    # Whether an appeal is for the operator: what rests on it reaches beyond one room, or it was heard once before.
    to_operator: bool = False
    friends: frozenset[UserId] = frozenset()  # of whoever decided it, who were not asked to hear the appeal

    def is_about(self, user: UserId) -> bool:
        """Whether it is about this person, by whichever account."""
        return user == self.subject or user in self.accounts


@dataclass(frozen=True, slots=True)
class VerificationInForce:
    """A verification of a person, in force or over. `until`: when it ends, or ended."""

    method: Method
    level: int
    until: int
    reach: str = ""
    room: RoomId | None = None  # where it was said, of a vouch

    def counts(self, place: Place | None) -> bool:
        """Whether it counts in a room; without one, for the deployment."""
        return not self.reach if place is None else counts_in(place, self.reach, self.room)


@dataclass(frozen=True, slots=True)
class PersonView:
    """One account, the person behind it, and what counts for or against them."""

    user: UserId
    person: PersonId
    accounts: frozenset[UserId] = frozenset()  # all of the person, this one among them
    entries: tuple[LedgerEntry, ...] = ()
    standing: tuple[LedgerEntry, ...] = ()  # the ledger of those who run groups
    in_force: tuple[InForce, ...] = ()
    manages: frozenset[RoomId] = frozenset()  # groups whose own levels make any of their accounts manager or owner
    manages_in: frozenset[str] = frozenset()  # the communities of these
    recent_cases: Mapping[tuple[RoomId, str], CaseView] = field(default_factory=dict)
    verified: int = 0  # level
    language: str = ""
    proofs: tuple[VerificationInForce, ...] = ()
    since: Mapping[RoomId, int] = field(default_factory=dict)  # when this account was first seen in a room
    told: Mapping[tuple[RoomId, str], int] = field(default_factory=dict)  # what of verification, and when last

    def is_(self, user: UserId) -> bool:
        """Whether an account is this person's."""
        return user == self.user or user in self.accounts


@dataclass(frozen=True, slots=True)
class Context:
    """Everything judgement needs beside the event and the policy."""

    now_ms: int
    room: RoomView
    subject: PersonView
    bot: UserId
    next_case: int
    recent_ms: tuple[int, ...] = ()
    recent_others: tuple[tuple[int, Literal["reactions", "joins"]], ...] = ()
    # When the sender's last message here that was not held back counts as said; read where a pace is set.
    stood: int | None = None
    # How many messages of the sender the pace has held back here since it was last said to them; read when it is due.
    held_back: int = 0
    keeps_words: bool = True  # whether what people write is recorded
