"""What was found and decided: frozen values, each of which becomes one record of the journal.

The database is a projection of these facts: the same function applies them while the bot runs and
when the journal is read again, so replaying the journal gives the same cases, credit and sanctions.

Rules this module keeps: a field is either *public*, an int or a short ASCII word that goes into the
skeleton and can never be erased; or it belongs to a *person* (`person()`, `private(of=...)`), and
goes into the erasable part of that person. `room` is written as the group's code. Left to others: how a
fact becomes a record and back (`storage/entries.py`), what follows from it (`moderation/consequences.py`).
"""

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

from .events import Where
from .ids import EventId, GroupCode, RoomId, UserId
from .policy import Grade

SanctionKind = Literal["redact", "warn", "mute", "demote", "kick", "ban"]
# Those that hold over time and are reconciled with the room; the others happen once.
LASTING: frozenset[SanctionKind] = frozenset({"mute", "demote", "ban"})


def person() -> Any:
    """A field that holds the Matrix id of a person the fact concerns ("" for none)."""
    return field(default=UserId(""), metadata={"of": None})


def private(of: str) -> Any:
    """A field that belongs into the erasable part of the person named by the field `of` ("" for none)."""
    return field(default="", metadata={"of": of})


def unowned() -> Any:
    """A text that concerns no person, yet may not stand in the skeleton."""
    return field(default="", metadata={"of": "nobody"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What all facts share. `on` is the index of the record that gave rise to it (-1: none)."""

    KIND: ClassVar[str] = ""

    room: RoomId | None = None
    on: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Fact):
    """A rule was broken by the event recorded at `on`."""

    KIND: ClassVar[str] = "finding"

    rule: str
    grade: Grade
    where: Where | Literal["-"] = "-"
    count: int = 0
    limit: int = 0
    subject: UserId = person()
    matched: str = private("subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOpened(Fact):
    """A case was opened. `state` is "decided" at once where the rule decides by itself."""

    KIND: ClassVar[str] = "case"

    n: int
    step: Literal["opened"] = "opened"
    rule: str
    grade: Grade
    decide: Literal["auto", "manager"]
    state: Literal["open", "decided"]
    due: int  # milliseconds since 1970; when a decision is due
    manages: int = 0  # 1: the subject held management rights, so nothing applies before a decision
    subject: UserId = person()
    event: EventId = private("subject")
    excerpt: str = private("subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseGrew(Fact):
    """The same rule was broken again by the same person within one incident: more evidence."""

    KIND: ClassVar[str] = "case"

    n: int
    step: Literal["joined"] = "joined"
    subject: UserId = person()
    event: EventId = private("subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDecided(Fact):
    """Somebody upheld or dismissed a case. `state` is the state the case has from now on."""

    KIND: ClassVar[str] = "decision"

    n: int
    what: Literal["upheld", "dismissed"]
    state: Literal["decided", "affirmed", "reversed"] = "decided"  # the last two: on appeal
    subject: UserId = person()
    by: UserId = person()
    reason: str = private("by")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditChanged(Fact):
    """An entry in somebody's ledger. For a compensation, `undoes` is the record of the entry it undoes."""

    KIND: ClassVar[str] = "credit"

    entry: Literal["charge", "warning", "compensation"]
    cost: int
    grade: Grade
    rule: str
    n: int = 0  # the case; 0: none
    undoes: int = -1
    left: int  # the balance with this entry, at that moment
    subject: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class SanctionStarted(Fact):
    """A measure applies from now on, until `until` (0: no end, or a thing of one moment).

    `room` None means every protected room. `basis` says what it rests on.
    """

    KIND: ClassVar[str] = "sanction"

    step: Literal["start"] = "start"
    kind: SanctionKind
    until: int = 0
    n: int = 0
    basis: Literal["rule", "decision", "command", "credit", "interim"]
    rule: str = "-"
    credit: int = -1  # the balance it rested on, where it did
    subject: UserId = person()
    event: EventId = private("subject")
    by: UserId = person()
    reason: str = private("by")


@dataclass(frozen=True, slots=True, kw_only=True)
class SanctionEnded(Fact):
    """The measure that began with record `start` holds no longer."""

    KIND: ClassVar[str] = "sanction"

    step: Literal["end"] = "end"
    start: int
    kind: SanctionKind
    why: Literal["time", "credit", "reversed", "command", "overtaken"]
    n: int = 0
    subject: UserId = person()
    by: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class SanctionExtended(Fact):
    """The measure that began with record `start` now holds until `until`."""

    KIND: ClassVar[str] = "sanction"

    step: Literal["extend"] = "extend"
    start: int
    kind: SanctionKind
    until: int
    credit: int = -1
    subject: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonVerified(Fact):
    """Somebody is verified at `level`, by `method`, until `until`."""

    KIND: ClassVar[str] = "verify"

    step: Literal["verified", "revoked"] = "verified"
    method: Literal["vouch"]
    level: int
    until: int
    subject: UserId = person()
    by: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChanged(Fact):
    """The room's own levels give somebody another role than before."""

    KIND: ClassVar[str] = "role"

    role: Literal["owner", "manager", "member"]
    was: Literal["owner", "manager", "member"]
    subject: UserId = person()
    by: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomEntered(Fact):
    """The bot serves a room from now on. `purpose` says what the room is for; `served` is the group of a desk."""

    KIND: ClassVar[str] = "state"

    what: Literal["entered"] = "entered"
    code: GroupCode
    purpose: Literal["group", "desk", "direct"]
    served: str = "-"  # group code
    room_id: str = unowned()
    via: str = unowned()
    subject: UserId = person()  # whose direct room it is; who invited the bot to a group


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomStateChanged(Fact):
    """The room is observing, protected, left ... from now on."""

    KIND: ClassVar[str] = "state"

    what: Literal["condition"] = "condition"
    condition: Literal["joining", "announced", "observing", "protected", "left"]
    notice: str = unowned()  # "announced": the event that told members what is recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageChosen(Fact):
    """A person, or (subject "") a room, is spoken to in this language from now on."""

    KIND: ClassVar[str] = "state"

    what: Literal["language"] = "language"
    language: str
    subject: UserId = person()
    by: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTaken(Fact):
    """What became of one request to the homeserver. `action` is its kind, `result` how it ended."""

    KIND: ClassVar[str] = "outcome"

    action: str
    result: Literal["done", "refused", "abandoned"]
    code: str = "-"  # the homeserver's errcode
    n: int = 0
    txn: str = "-"  # the transaction id, which names the row of the outbox
    subject: UserId = person()
    event: EventId = private("subject")  # the event it made
    made: str = unowned()  # the event or room it made, where that concerns nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(Fact):
    """What the bot changed in a room on account of a sanction, and what stood there before.

    `what` "level": levels are written as text, "-" meaning "no entry, `users_default` holds"; "ban": the
    membership. `step`: "intended" is recorded before the request goes out, so that `prior` is known whatever
    happens; "held" after it; "corrected" when somebody changed it by hand and it was set again; "released" when
    it was given back; "overruled" when somebody changed it by hand and it was left alone.
    """

    KIND: ClassVar[str] = "outcome"

    action: Literal["hold"] = "hold"
    step: Literal["intended", "held", "corrected", "released", "overruled"]
    what: Literal["level", "ban"] = "level"
    prior: str
    held: str
    subject: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChanged(Fact):
    """The policy in force from now on, whole, so that a record can be judged again by it."""

    KIND: ClassVar[str] = "rules"

    digest: str  # first 32 hex digits of the SHA-256 of `policy`
    policy: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSeen(Fact):
    """Something the bot could not see or read, and why."""

    KIND: ClassVar[str] = "coverage"

    what: Literal["gap", "torn", "failed"]
    count: int = 0
    detail: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStarted(Fact):
    """The bot began to run."""

    KIND: ClassVar[str] = "start"

    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStopped(Fact):
    """The bot stopped cleanly."""

    KIND: ClassVar[str] = "stop"

    why: str = "asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeGiven(Fact):
    """A person was told something: `what` names the text."""

    KIND: ClassVar[str] = "notice"

    what: str
    n: int = 0
    channel: Literal["direct", "room", "desk", "none"]
    subject: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRead(Fact):
    """Somebody read other people's content on the command line, and said why."""

    KIND: ClassVar[str] = "access"

    what: str
    reader: str = unowned()
    reason: str = unowned()
    filters: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported(Fact):
    """A member pointed the managers to the message recorded at `on`."""

    KIND: ClassVar[str] = "report"

    n: int = 0  # the case it joined; 0: none
    subject: UserId = person()  # whose message it is
    by: UserId = person()
    reason: str = private("by")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaKept(Fact):
    """The file of the message recorded at `on` was fetched and hashed; `kept` 1: it is stored, encrypted."""

    KIND: ClassVar[str] = "media"

    bytes: int
    kept: int = 0
    result: Literal["done", "refused", "large"] = "done"
    subject: UserId = person()
    sha256: str = private("subject")
    url: str = private("subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAsked(Fact):
    """A person asked for something about their own data."""

    KIND: ClassVar[str] = "request"

    what: Literal["mydata", "erase", "receipt"]
    subject: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataGiven(Fact):
    """A person was given what is held on them, or the receipt of a message of theirs."""

    KIND: ClassVar[str] = "disclosure"

    what: Literal["mydata", "receipt"]
    count: int  # records in it
    subject: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsErased(Fact):
    """Parts of earlier records are taken away from now on; which ones stands in `records`."""

    KIND: ClassVar[str] = "erase"

    parts: int
    what: Literal["request", "operator", "retention"]
    records: str = unowned()  # storage/records/targets.py has the form
    reader: str = unowned()  # the operator who did it, as the operating system knows them
    reason: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlaced(Fact):
    """Erasing and purging of what it covers wait until `until`. A hold is named by the index of this record."""

    KIND: ClassVar[str] = "hold"

    step: Literal["placed"] = "placed"
    until: int
    n: int = 0
    duty: str = unowned()  # the duty or claim it rests on
    covers: str = unowned()  # JSON: persons, groups, cases, record ranges, times
    reader: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldEnded(Fact):
    """The hold that began with record `start` ends before its time."""

    KIND: ClassVar[str] = "hold"

    step: Literal["ended"] = "ended"
    start: int
    reader: str = unowned()
    reason: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsPurged(Fact):
    """Records below `below` are removed from now on: their time is over."""

    KIND: ClassVar[str] = "purge"

    below: int
    what: Literal["schedule", "command"]
    reader: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsExported(Fact):
    """Records left the log as an export."""

    KIND: ClassVar[str] = "export"

    count: int
    what: str = "export"
    n: int = 0
    reader: str = unowned()
    reason: str = unowned()
    filters: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointAnchored(Fact):
    """A signed checkpoint was put where others keep it."""

    KIND: ClassVar[str] = "anchor"

    where: Literal["desk", "room", "witness", "timestamp"]
    size: int
    day: str = "-"
    result: Literal["done", "refused"] = "done"
    made: str = unowned()  # the event that holds it, or the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Appealed(Fact):
    """The person whom a decided case concerns asks for it to be looked at again."""

    KIND: ClassVar[str] = "appeal"

    n: int
    step: Literal["lodged"] = "lodged"
    state: Literal["appealed"] = "appealed"
    due: int  # milliseconds since 1970; when an answer is due
    subject: UserId = person()
    words: str = private("subject")


FACTS: tuple[type[Fact], ...] = (
    Appealed,
    Reported,
    MediaKept,
    DataAsked,
    DataGiven,
    PartsErased,
    HoldPlaced,
    HoldEnded,
    RecordsPurged,
    RecordsExported,
    CheckpointAnchored,
    Found,
    CaseOpened,
    CaseGrew,
    CaseDecided,
    CreditChanged,
    SanctionStarted,
    SanctionEnded,
    SanctionExtended,
    PersonVerified,
    RoleChanged,
    RoomEntered,
    RoomStateChanged,
    LanguageChosen,
    ActionTaken,
    Held,
    PolicyChanged,
    NotSeen,
    BotStarted,
    BotStopped,
    NoticeGiven,
    ContentRead,
)


def owner_of(cls: type[Fact]) -> dict[str, str | None]:
    """Field name -> "public", "person" or the name of the person field it belongs to ("nobody")."""
    kinds: dict[str, str | None] = {}
    for item in fields(cls):
        if "of" not in item.metadata:
            kinds[item.name] = "public"
        else:
            kinds[item.name] = item.metadata["of"] or "person"
    return kinds
