"""The context in which an event is judged: read from the database beforehand, frozen, and not looked up meanwhile.

Left to others: reading it (`storage/queries/`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from moderation.policy import Below, Decide, Grade, Held, WaveMeasure
from moderation.values.ids import NO_USER, CaseNumber, EventId, GroupCode, PersonId, RoomId, UserId, is_named
from moderation.values.levels import Method
from moderation.values.power_levels import Power

from .builtin_rules import TIER_LINKS
from .facts import (
    Asked,
    CaseDecided,
    CaseMoved,
    CaseState,
    CaseStep,
    DecidedState,
    Outcome,
    SanctionEnded,
    SanctionExtended,
    SanctionKind,
    WhyEnded,
)
from .ledger_entry import LedgerEntry
from .reach import Place, counts_in, holds_in

Condition = Literal["joining", "announced", "observing", "protected", "followed", "left"]
Purpose = Literal["group", "desk", "direct", "lobby", "space"]


@dataclass(frozen=True, slots=True)
class Slow:
    """Slow mode: members may write one message in `every` milliseconds, since the time `since`."""

    every: int
    since: int


@dataclass(frozen=True, slots=True)
class Choices:
    """Choices of the owner for a room, beyond the settings of the operator."""

    write: int = 0  # level that members are asked for
    below: Below = "off"  # what happens below it
    digest: bool = True
    hold: tuple[Held, ...] = ()  # what people who are new cannot post yet
    joins: WaveMeasure | None = None  # what follows if many people come in at once


@dataclass(frozen=True, slots=True)
class RoomView:
    """One room the bot is in, and the rights of people there."""

    room: RoomId
    code: GroupCode
    purpose: Purpose
    condition: Condition
    power: Power
    community: str = ""  # how far decisions by its people reach (`reach.py`)
    serves: tuple[RoomId, ...] = ()  # the group of a lobby, or those whose cases a desk shows
    name: str = ""
    language: str = ""
    notice: EventId | None = None  # the event that told members what is recorded
    asked: int = 0  # since when it asks for verification as it does now
    slow: Slow | None = None
    choices: Choices = Choices()
    rules: tuple[str, ...] = ()  # its own rules, as recorded (`moderation/judge/room_rules.py`)
    # Those with a role by the room's levels against whom, by any of their accounts, a demotion or ban holds here.
    suspended: frozenset[UserId] = frozenset()

    @property
    def active(self) -> bool:
        """True if what is said here is recorded and judged."""
        return self.condition in ("observing", "protected")

    def is_among(self, rooms: Collection[str]) -> bool:
        """Return whether the `rooms` of a setting name it."""
        return is_named(rooms, self.room, self.code, community=self.community)


@dataclass(frozen=True, slots=True)
class InForce:
    """A sanction in force.

    `room` None: in every protected room; with `reach`: in all rooms of that community.
    """

    record: int
    kind: SanctionKind
    room: RoomId | None
    subject: UserId
    until: int
    basis: str
    n: int = 0
    every: int = 0  # milliseconds, of slow mode
    reach: str = ""
    server: str = ""  # of kind "server"

    def covers(self, place: Place) -> bool:
        """Return whether it holds in a room."""
        return holds_in(place, self.room, self.reach)

    def end(self, why: WhyEnded, *, on: int, by: UserId = NO_USER, reason: str = "", reader: str = "") -> SanctionEnded:
        """Return the fact that it no longer holds."""
        return SanctionEnded(
            room=self.room,
            on=on,
            start=self.record,
            kind=self.kind,
            why=why,
            n=self.n,
            reach=self.reach,
            subject=self.subject,
            by=by,
            reason=reason,
            reader=reader,
            server=self.server,
        )

    def extend(self, until: int, *, on: int, credit: int = -1) -> SanctionExtended:
        """Return the fact that it holds until another time."""
        return SanctionExtended(
            room=self.room,
            on=on,
            start=self.record,
            kind=self.kind,
            until=until,
            credit=credit,
            reach=self.reach,
            subject=self.subject,
        )


@dataclass(frozen=True, slots=True)
class CaseView:
    """The present state of a case.

    `by`, `reason` and `decided` are of the last decision: by whom ("": by a rule, or erased), why, and when (0: none).
    """

    n: CaseNumber
    room: RoomId
    subject: UserId
    person: PersonId
    rule: str
    grade: Grade
    decide: Decide
    manages: bool
    state: CaseState
    outcome: Outcome | Literal[""]
    opened: int
    asked: Asked = "managers"  # the level that is to decide it now
    about: int = 0  # the case that was neglected or decided wrongly
    lead: int = 0  # the case on whose card it is shown, until that one is decided
    burst: int = 0  # the first case of the burst on whose card it is shown
    due: int = 0
    decided: int = 0
    by: UserId = NO_USER
    reason: str = ""
    excerpt: str = ""  # the beginning of the first message
    card: EventId | None = None  # in the desk
    appealed: int = 0  # when; 0: never
    appeal: str = ""  # the words of the last appellant
    events: tuple[EventId, ...] = ()
    messages: tuple[EventId, ...] = ()  # those of `events` that are messages, and so can be redacted
    on: int = -1  # the record of the first event
    accounts: frozenset[UserId] = frozenset()  # of the person the case is about
    deciders: frozenset[UserId] = frozenset()  # all accounts of the person who decided it
    appellants: frozenset[UserId] = frozenset()  # all accounts of the last appellant
    done: frozenset[tuple[SanctionKind, EventId]] = frozenset()  # measures taken for it and not taken back
    # Whether an appeal goes to the operator: its consequences reach beyond one room, or an appeal was heard before.
    to_operator: bool = False
    elsewhere: tuple[RoomId, ...] = ()  # the other rooms in which measures began for it, one by one
    friends: frozenset[UserId] = frozenset()  # of the person who decided it, and not asked to hear the appeal
    claimed: UserId = NO_USER  # who has taken it
    extended: bool = False  # whether its deadline was put off
    # How often the person was removed from the room or banned for it by its rule, and when last; of recent cases only.
    removals: int = 0
    removed: int = 0
    lists: tuple[str, ...] = ()  # the policy lists whose entries brought it
    takedowns: tuple[str, ...] = ()  # those of them whose entries ask to remove the person's messages
    server: str = ""  # the server, or pattern over servers, that these entries mean

    @property
    def withheld(self) -> tuple[EventId, ...]:
        """Return those of its events that were refused before their delivery, and never came."""
        return tuple(e for e in self.events if ("withhold", e) in self.done and e not in self.messages)

    @property
    def waits(self) -> bool:
        """True if it waits for a decision, or for one on an appeal."""
        return not self.outcome or self.state == "appealed"

    def moved(
        self,
        step: CaseStep,
        state: CaseState,
        due: int,
        *,
        asked: Asked | None = None,
        on: int = -1,
        by: UserId = NO_USER,
    ) -> CaseMoved:
        """Return the fact that it takes a step that is no decision; `asked`: at another level than now."""
        asked = asked or self.asked
        return CaseMoved(room=self.room, on=on, n=self.n, step=step, state=state, asked=asked, due=due, by=by)

    def decision(self, what: Outcome, state: DecidedState, *, by: UserId, on: int, reason: str = "") -> CaseDecided:
        """Return the fact that it is decided."""
        return CaseDecided(
            room=self.room,
            on=on,
            n=self.n,
            what=what,
            state=state,
            subject=self.subject,
            by=by,
            reason=reason,
            waits=int(self.rule == TIER_LINKS),
        )

    def is_about(self, user: UserId) -> bool:
        """Return whether it is about this person, by any of their accounts."""
        return user == self.subject or user in self.accounts

    def was_decided_by(self, user: UserId) -> bool:
        """Return whether this person decided it, by any of their accounts."""
        return user == self.by or user in self.deciders


@dataclass(frozen=True, slots=True)
class VerificationInForce:
    """A verification of a person, in force or over. `until`: when it ends, or ended."""

    method: Method
    level: int
    until: int
    reach: str = ""
    room: RoomId | None = None  # of a vouch: where it was given

    def counts(self, place: Place | None) -> bool:
        """Return whether it counts in a room; if `place` is None, in the deployment."""
        return not self.reach if place is None else counts_in(place, self.reach, self.room)


@dataclass(frozen=True, slots=True)
class PersonView:
    """One account, the person behind it, and everything that counts for or against them."""

    user: UserId
    person: PersonId
    accounts: frozenset[UserId] = frozenset()  # all accounts of the person, including this one
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
    came: Mapping[RoomId, int] = field(default_factory=dict)  # the same, of rooms in which the bot was before
    joined: Mapping[RoomId, int] = field(default_factory=dict)  # when this account last came into a room
    told: Mapping[tuple[RoomId, str], int] = field(default_factory=dict)  # verification notices: when last given

    def is_(self, user: UserId) -> bool:
        """Return whether an account belongs to this person."""
        return user == self.user or user in self.accounts


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that judging needs besides the event and the policy."""

    now_ms: int
    room: RoomView
    subject: PersonView
    bot: UserId
    next_case: int
    recent_ms: tuple[int, ...] = ()
    recent_others: tuple[tuple[int, Literal["reactions", "joins"]], ...] = ()
    # The time as which the sender's last message here that was not held back counts; read if a pace is set.
    stood: int | None = None
    # How many messages of the sender the pace has held back here since they were last told; read when needed.
    held_back: int = 0
    # How many messages of the sender stand here before this one, up to `MOST_MESSAGES`; read if a rule asks for them.
    said: int = 0
    keeps_words: bool = True  # whether what people write is recorded
    beforehand: bool = False  # whether the event is judged before its delivery, so that nobody has seen it
