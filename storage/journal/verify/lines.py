"""The part of `verify` that looks at the lines themselves: a pure function of some lines and where they must stand.

It is the part that takes the time, and as it needs nothing but its input it can be done by several processes
(`pool.py`). What it cannot decide alone, since that lies in other lines or files, it hands on.

Rules kept here: any bytes give a result, never an exception; a line that is not the bot's own, or not in its place, is
named; memory is in proportion to the input.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from moderation.values.events import Json
from storage.journal.clock_order import is_late, noted
from storage.journal.line_format import BadLine, erased_by, is_clock, is_committed, is_date, is_time, open_line
from storage.journal.merkle import HASH_BYTES
from storage.journal.record_kinds import KEPT
from storage.journal.report import MAX_PROBLEMS
from storage.journal.retention.ranges import Builder

Marks = dict[tuple[int, str], dict[int, Builder]]  # by which record, on which date -> place -> records
_NO_LEAF = bytes(HASH_BYTES)
_LATEST = "~"  # later than any time, so that the first time is looked at
_TELLING = frozenset({"genesis", "erase", "purge", "restore", "coverage"})  # kinds that say something about the log


class Batch(NamedTuple):
    """Some lines of one day: whole ones, without the last newline; `first` is the index the first must have."""

    day: str
    first: int
    text: bytes


class Fault(NamedTuple):
    """What is wrong with one line, and how many lines of the batch come before it."""

    at: int
    code: str
    fields: dict[str, Any]


@dataclass(slots=True)
class Checked:
    """What was found in some lines. `leaves` has one hash for each line, up to the one at which it had to stop."""

    leaves: bytes = b""
    faults: list[Fault] = field(default_factory=list)
    holes: list[Fault] = field(default_factory=list)  # lines that cannot be read: their leaf is zero
    marks: Marks = field(default_factory=dict)
    told: list[tuple[dict[str, Json], list[Json]]] = field(default_factory=list)  # skeleton and parts
    late: list[int] = field(default_factory=list)  # records much older than the one before
    ahead: Builder = field(default_factory=Builder)  # records dated after their day
    noted: list[range] = field(default_factory=list)  # records whose times are said not to fit
    first: tuple[int, str] | None = None  # the first record that has a time, and that time
    last: str = ""  # time of the last record; empty if none has a time
    is_ended: bool = False  # the lines after that cannot be told


def check_lines(batch: Batch) -> Checked:
    """Look at some lines."""
    reading = _Reading(batch)
    take = reading.take
    for raw in batch.text.split(b"\n"):
        if not take(raw):
            break
    return reading.finish()


class _Reading:
    """The lines of a batch, one after the other."""

    def __init__(self, batch: Batch) -> None:
        self.checked = Checked()
        self._day = batch.day
        self._today = batch.day if is_date(batch.day) else "never"  # the name of a file can be anything
        self._first = batch.first
        self._at = 0  # how many lines came before
        self._last = _LATEST  # time of the last one
        self._leaves: list[bytes] = []

    def take(self, raw: bytes) -> bool:
        """The next line. Returns whether to go on. This runs once for each record there is."""
        try:
            skeleton, parts, leaf = open_line(raw)
        except BadLine as error:
            return self._take_unreadable(f"line_{error.code}")
        index = self._first + self._at
        if skeleton["i"] != index:
            self.checked.faults.append(Fault(self._at, "sequence", {"found": skeleton["i"]}))
            return self._end()
        at: Any = skeleton["t"]
        if at < self._last or at[:10] != self._today or not is_clock(at):
            self._take_odd_time(at)
        else:
            self._last = at
        if skeleton["k"] in _TELLING or not index:
            self._take_told(skeleton, parts)
        commitments: Any = skeleton["c"]
        for place, part in enumerate(parts):
            if not is_committed(part, commitments[place]):
                self._take_gone(part, place, skeleton["k"])
        self._leaves.append(leaf)
        self._at += 1
        return True

    def finish(self) -> Checked:
        """What was found."""
        self.checked.leaves = b"".join(self._leaves)
        if self._last != _LATEST:
            self.checked.last = self._last
        return self.checked

    def _end(self) -> bool:
        self.checked.is_ended = True
        return False

    def _take_unreadable(self, code: str) -> bool:
        self.checked.holes.append(Fault(self._at, code, {}))
        self._leaves.append(_NO_LEAF)
        self._at += 1
        return len(self.checked.holes) <= MAX_PROBLEMS or self._end()

    def _take_odd_time(self, at: str) -> None:
        """Take a time that does not go on evenly: it may have to be explained by a note."""
        if not is_time(at):
            self.checked.faults.append(Fault(self._at, "time", {}))
            return
        if at[:10] > self._day:
            self.checked.ahead.add(self._first + self._at)
        if self._last == _LATEST:
            self.checked.first = (self._first + self._at, at)
        elif is_late(at, self._last):
            self.checked.late.append(self._first + self._at)
        self._last = at

    def _take_told(self, skeleton: dict[str, Json], parts: list[Json]) -> None:
        if self._first + self._at == 0:  # should be genesis
            self.checked.told.append((skeleton, parts))
        elif about := noted(skeleton):
            self.checked.noted.append(about)
        elif skeleton["k"] != "coverage":
            self.checked.told.append((skeleton, parts))

    def _take_gone(self, part: Json, place: int, kind: Json) -> None:
        """Take a part that is not what was committed to: erased by a later record, or wrong."""
        index, by = self._first + self._at, erased_by(part)
        if by is None or by <= index:
            self.checked.faults.append(Fault(self._at, "part", {"part": place + 1}))
            return
        if kind in KEPT:
            self.checked.faults.append(Fault(self._at, "erased_kept", {"part": place + 1, "kind": kind}))
            return
        date = cast(str, cast("dict[str, Json]", part)["erased"])
        self.checked.marks.setdefault((by, date), {}).setdefault(place, Builder()).add(index)
