"""Operations on the records: requests, erasure, holds, purges, exports, access."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moderation.values.ids import UserId

from .base import Fact, person, private, unowned

MediaResult = Literal["done", "refused", "large"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAsked(Fact):
    """A person asked for something about their own data, or an owner asked the bot to take over or to leave a room."""

    KIND: ClassVar[str] = "request"

    what: Literal["mydata", "erase", "receipt", "adopt", "adopt-confirmed", "leave", "leave-confirmed"]
    subject: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataGiven(Fact):
    """A person was given the data held on them, or the receipt of a message of theirs."""

    KIND: ClassVar[str] = "disclosure"
    OF_ACTING: ClassVar[bool] = True

    what: Literal["mydata", "receipt"]
    count: int  # records in it
    subject: UserId = person()


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsErased(Fact):
    """Parts of earlier records are removed from now on; `records` says which."""

    KIND: ClassVar[str] = "erase"
    RENAMES: ClassVar[bool] = True

    parts: int
    what: Literal["request", "operator", "retention"]
    records: str = unowned()  # storage/journal/retention/targets.py defines the form
    reader: str = unowned()  # the operator who did it, as a user of the operating system
    reason: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlaced(Fact):
    """Erasing and purging of what it covers are stopped until `until`. The index of this record names the hold."""

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
    """Records below `below` are removed from now on: their retention time is over."""

    KIND: ClassVar[str] = "purge"

    below: int
    what: Literal["schedule", "command"]
    reader: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsExported(Fact):
    """Records left the log as an export. `records` says which, `contents` which files it has."""

    KIND: ClassVar[str] = "export"

    count: int
    what: str = "export"
    n: int = 0
    read: int = 0  # when; 0: when it was recorded
    note: str = "-"  # names the note that the command line left, and the export
    records: str = unowned()  # such as 0,740-745
    contents: str = unowned()  # a line each: SHA-256, two spaces, name
    reader: str = unowned()
    reason: str = unowned()
    filters: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsRestored(Fact):
    """The log goes on from a backup. Records and signatures made after it are lost and stand nowhere here.

    Numbers given out in the lost time are not given out again: cases go on from `cases`, and requests to the homeserver
    bear `era`.
    """

    KIND: ClassVar[str] = "restore"

    size: int  # records in the backup
    made: int  # when it was made
    era: str
    cases: int
    signed: int = -1  # size of the newest checkpoint known from elsewhere; -1: none is known
    reader: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointAnchored(Fact):
    """A signed checkpoint was put where others keep it."""

    KIND: ClassVar[str] = "anchor"
    OF_ACTING: ClassVar[bool] = True

    where: Literal["desk", "room", "witness", "timestamp"]
    size: int
    day: str = "-"
    result: Literal["done", "refused"] = "done"
    made: str = unowned()  # the event or the file that holds it


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRead(Fact):
    """Somebody read data held on people: on the command line as `reader`, in a chat as `by`."""

    KIND: ClassVar[str] = "access"

    what: str
    n: int = 0  # the case that it was about
    read: int = 0  # when; 0: when it was recorded
    note: str = "-"  # names the note that the command line left
    subject: UserId = person()  # whom it was about; "": possibly anybody
    by: UserId = person()
    reader: str = unowned()
    reason: str = unowned()
    filters: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaKept(Fact):
    """The file of the message recorded at `on` was fetched and hashed; `kept` 1: it is stored, encrypted."""

    KIND: ClassVar[str] = "media"
    OF_ACTING: ClassVar[bool] = True

    bytes: int
    kept: int = 0
    result: MediaResult = "done"
    subject: UserId = person()
    sha256: str = private("subject")
    url: str = private("subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSeen(Fact):
    """Something the bot could not see or read, and the reason."""

    KIND: ClassVar[str] = "coverage"

    what: Literal["gap", "torn", "cut", "failed", "down"]
    count: int = 0  # "down": milliseconds in which the bot could neither see nor say anything
    since: int = 0  # "down": when that began, in milliseconds since 1970; 0: that long before the record
    detail: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRead(Fact):
    """The reason why the event recorded at `on` cannot be read, learnt after it was recorded."""

    KIND: ClassVar[str] = "coverage"

    what: Literal["withheld"] = "withheld"
    code: str
