"""Sanctions against people and rooms, and what is kept in rooms for them."""

from typing import Literal

from moderation.values.ids import EventId, UserId

from .base import Fact, person, private, unowned

SanctionKind = Literal[
    "redact",
    "withhold",
    "warn",
    "mute",
    "demote",
    "kick",
    "ban",
    "rectify",
    "suspend",
    "close",
    "slow",
    "gate",
    "lockdown",
    "server",
]
# Those against a room; the person named in the fact is responsible for the room and may appeal.
OF_ROOMS: frozenset[SanctionKind] = frozenset({"rectify", "suspend", "close", "slow", "gate", "lockdown", "server"})
# Those that take an event away: out of the room, or before anybody saw it (`MessageWithheld`).
REMOVING: frozenset[SanctionKind] = frozenset({"redact", "withhold"})
REOPENED: frozenset[SanctionKind] = OF_ROOMS - {"server"}  # those that end when the room is reopened
# Those that hold over time and are reconciled with the room; the others happen once.
LASTING: frozenset[SanctionKind] = frozenset({"mute", "demote", "ban", *OF_ROOMS})
Basis = Literal[
    "rule", "decision", "command", "credit", "interim", "standing", "neglect", "operator", "verification", "list"
]
KeptStep = Literal["intended", "held", "corrected", "released", "overruled"]
WhyEnded = Literal[
    "time", "credit", "reversed", "command", "overtaken", "standing", "mended", "verified", "settings", "list"
]


class SanctionStarted(Fact, kind="sanction"):
    """A measure applies from now on, until `until` (0: no end, or an act of one moment).

    `room` None means every protected room; with a `reach` it holds in all rooms of that community, not only in the room
    it was decided in. `basis` says what it rests on.
    """

    step: Literal["start"] = "start"
    kind: SanctionKind
    until: int = 0
    n: int = 0
    basis: Basis
    rule: str = "-"
    credit: int = -1  # the balance that it rested on, if it did
    # Of slow mode and the messages it held back: milliseconds between two messages. Of what somebody new cannot post
    # yet: milliseconds until their time as a newcomer is over.
    every: int = 0
    # Of messages held back by a pace: how many since the last notice of it, this one included. Of what somebody new
    # cannot post yet: how many more of their messages must stand.
    messages: int = 1
    quiet: int = 0  # 1: the person was told of something similar not long ago, and is not told again
    reach: str = ""
    subject: UserId = person()
    event: EventId = private("subject")
    by: UserId = person()
    reason: str = private("by")
    reader: str = unowned()  # of a measure set at the command line: the operator, as a user of the operating system
    server: str = unowned()  # of kind "server": the server, or the glob over servers, that is let in no longer


class SanctionEnded(Fact, kind="sanction"):
    """The measure that began with record `start` no longer holds."""

    step: Literal["end"] = "end"
    start: int
    kind: SanctionKind
    why: WhyEnded
    n: int = 0
    reach: str = ""  # as when it began
    subject: UserId = person()
    by: UserId = person()
    reason: str = private("by")
    reader: str = unowned()  # as in `SanctionStarted`
    server: str = unowned()  # likewise


class SanctionExtended(Fact, kind="sanction"):
    """The measure that began with record `start` now holds until `until`."""

    step: Literal["extend"] = "extend"
    start: int
    kind: SanctionKind
    until: int
    credit: int = -1
    reach: str = ""  # as when it began
    subject: UserId = person()


class Swept(Fact, kind="sanction", changes="nothing"):
    """The messages of `subject` in a room from `since` until `until` (ms) are removed, at most `count` of them.

    `oldest` is the record of the oldest of them. What belongs to this time and reaches the bot later is removed, too:
    with a ban, until the person is out of the room.
    """

    step: Literal["sweep"] = "sweep"
    since: int = 0
    until: int
    oldest: int
    count: int  # how many were known when this was recorded
    n: int = 0
    rule: str = "-"
    subject: UserId = person()
    by: UserId = person()
    reason: str = private("by")


class LevelKept(Fact, kind="outcome", of_acting=True):
    """A level or state that the bot changed in a room because of a sanction, and the value before.

    `what` "level": levels are written as text, "-" meaning "no entry, `users_default` holds"; "ban": the membership.
    For the room itself (no subject) "posting", "posting TYPE", "inviting": the level that it takes; "joining": the join
    rule; "acl": whether a `server` is denied.
    `step`: "intended" is recorded before the request goes out, so that `prior` is known whatever happens; "held" after
    it; "corrected" when somebody changed it by hand and it was set again; "released" when it was given back;
    "overruled" when somebody changed it by hand and it was left alone.
    """

    action: Literal["hold"] = "hold"
    step: KeptStep
    what: str = "level"
    prior: str
    held: str
    subject: UserId = person()
    server: str = unowned()
