"""Operations on the records: requests, erasure, holds, purges, exports, access."""

from typing import Literal

from moderation.values.ids import UserId

from .base import Fact, person, private, unowned

MediaResult = Literal["done", "refused", "large"]
LabelsResult = Literal["done", "refused", "large", "gone", "late", "wrong"]


class DataAsked(Fact, kind="request"):
    """A person asked for something about their own data, or to be asked why they appeal.

    Or an owner asked the bot to take over or to leave a room, or somebody gave an order for many rooms at once.
    "erase-confirmed" and "erase-relayed" tell other shards of an erasure here; the latter began in another shard.
    """

    what: Literal[
        "mydata",
        "erase",
        "erase-confirmed",
        "erase-relayed",
        "receipt",
        "appeal",
        "adopt",
        "adopt-confirmed",
        "leave",
        "leave-confirmed",
        "everywhere",
        "everywhere-confirmed",
        "policy",
    ]
    subject: UserId = person()


class DataGiven(Fact, kind="disclosure", of_acting=True):
    """A person was given the data held on them, or the receipt of a message of theirs."""

    what: Literal["mydata", "receipt"]
    count: int  # records in it
    subject: UserId = person()


class PartsErased(Fact, kind="erase", renames=True):
    """Parts of earlier records are removed from now on; `records` says which."""

    parts: int
    what: Literal["request", "operator", "retention"]
    records: str = unowned()  # storage/journal/retention/targets.py defines the form
    reader: str = unowned()  # the operator who did it, as a user of the operating system
    reason: str = unowned()


class HoldPlaced(Fact, kind="hold"):
    """Erasing and purging of what it covers are stopped until `until`. The index of this record names the hold."""

    step: Literal["placed"] = "placed"
    until: int
    n: int = 0
    duty: str = unowned()  # the duty or claim it rests on
    covers: str = unowned()  # JSON: persons, groups, cases, record ranges, times
    reader: str = unowned()


class HoldEnded(Fact, kind="hold"):
    """The hold that began with record `start` ends before its time."""

    step: Literal["ended"] = "ended"
    start: int
    reader: str = unowned()
    reason: str = unowned()


class RecordsPurged(Fact, kind="purge"):
    """Records below `below` are removed from now on: their retention time is over."""

    below: int
    what: Literal["schedule", "command"]
    reader: str = unowned()


class RecordsExported(Fact, kind="export"):
    """Records left the log as an export. `records` says which, `contents` which files it has."""

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


class RecordsRestored(Fact, kind="restore"):
    """The log continues from a backup. Records and signatures made after it are lost and stand nowhere here.

    Numbers given out in the lost time are not given out again: cases go on from `cases`, and requests to the homeserver
    bear `era`.
    """

    size: int  # records in the backup
    made: int  # when it was made
    era: str
    cases: int
    signed: int = -1  # size of the newest checkpoint known from elsewhere; -1: none is known
    reader: str = unowned()


class CheckpointAnchored(Fact, kind="anchor", of_acting=True):
    """A signed checkpoint was put where others keep it."""

    where: Literal["desk", "room", "witness", "timestamp"]
    size: int
    day: str = "-"
    result: Literal["done", "refused"] = "done"
    joint: str = "-"  # the root of the joint checkpoint of all shards, if that was posted
    made: str = unowned()  # the event or the file that holds it


class ContentRead(Fact, kind="access"):
    """Somebody read data held on people: on the command line as `reader`, in a chat as `by`."""

    what: str
    n: int = 0  # the case that it was about
    read: int = 0  # when; 0: when it was recorded
    note: str = "-"  # names the note that the command line left
    subject: UserId = person()  # whom it was about; "": possibly anybody
    by: UserId = person()
    reader: str = unowned()
    reason: str = unowned()
    filters: str = unowned()


class MediaKept(Fact, kind="media", of_acting=True):
    """A file of the event recorded at `on` was fetched and hashed; `kept` 1: it is stored, encrypted.

    `pdq`: the perceptual hashes of a picture, in hexadecimal. Rules about files judge by this fact (`FileSeen`).
    """

    bytes: int
    kept: int = 0
    result: MediaResult = "done"
    subject: UserId = person()
    sha256: str = private("subject")
    pdq: str = private("subject")
    url: str = private("subject")


class FileLabelled(Fact, kind="labels", changes="nothing", of_acting=True):
    """A plug-in was asked about a file of the event recorded at `on`; `labels`: the score of each, as JSON.

    Rules about labels judge by this fact (`FileSeen`), so the plug-in is not asked again.
    """

    plugin: str
    result: LabelsResult = "done"
    subject: UserId = person()
    labels: str = private("subject")
    url: str = private("subject")


KnownOfFile = MediaKept | FileLabelled  # what makes a file known, and is judged


class NotSeen(Fact, kind="coverage"):
    """Something the bot could not see or read, and the reason."""

    what: Literal["gap", "torn", "cut", "failed", "down"]
    count: int = 0  # "down": milliseconds in which the bot could neither see nor say anything
    since: int = 0  # "down": when that began, in milliseconds since 1970; 0: that long before the record
    detail: str = unowned()


class NotRead(Fact, kind="coverage"):
    """The reason why the event recorded at `on` cannot be read, learnt after it was recorded."""

    what: Literal["withheld"] = "withheld"
    code: str
