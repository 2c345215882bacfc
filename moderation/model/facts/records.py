"""What is done to the records, and with them."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moderation.values.ids import UserId

from .base import Fact, person, private, unowned


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAsked(Fact):
    """A person asked for something about their own data; or the owner of a room for the bot to take it over."""

    KIND: ClassVar[str] = "request"

    what: Literal["mydata", "erase", "receipt", "adopt", "adopt-confirmed"]
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
    records: str = unowned()  # storage/journal/retention/targets.py has the form
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
    """Records left the log as an export. `records` and `contents` say which, and which files it has."""

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
    """The log goes on from a backup. What was recorded and signed after it was made is lost, and stands nowhere here.

    Numbers that were given out in the lost time are not given again: cases go on from `cases`, and requests to the
    homeserver bear `era`.
    """

    KIND: ClassVar[str] = "restore"

    size: int  # records in the backup
    made: int  # when it was made
    era: str
    cases: int
    signed: int = -1  # size of the newest checkpoint that is known from elsewhere; -1: none is
    reader: str = unowned()


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
class ContentRead(Fact):
    """Somebody read what is held on people: on the command line as `reader`, in a chat as `by`."""

    KIND: ClassVar[str] = "access"

    what: str
    n: int = 0  # the case that it was about
    read: int = 0  # when; 0: when it was recorded
    note: str = "-"  # names the note that the command line left
    subject: UserId = person()  # whom it was about; "": may have been anybody
    by: UserId = person()
    reader: str = unowned()
    reason: str = unowned()
    filters: str = unowned()


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
class NotSeen(Fact):
    """Something the bot could not see or read, and why."""

    KIND: ClassVar[str] = "coverage"

    what: Literal["gap", "torn", "cut", "failed", "down"]
    count: int = 0  # "down": milliseconds in which the bot could not see or say anything
    since: int = 0  # "down": when that began, milliseconds since 1970; 0: so long before the record
    detail: str = unowned()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRead(Fact):
    """Why the event recorded at `on` cannot be read, learnt after it was recorded."""

    KIND: ClassVar[str] = "coverage"

    what: Literal["withheld"] = "withheld"
    code: str
