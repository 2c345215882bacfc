"""The part of `verify` that checks the lines themselves: a pure function of some lines and their expected place.

This part takes most of the time. As it needs nothing but its input, several processes can do it (`pool.py`). It
returns what it cannot decide alone because that depends on other lines or files.

Rules kept here:
- Any bytes give a result, never an exception.
- A line that is not the bot's own, or not in its place, is reported.
- Memory is in proportion to the input.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from moderation.values.events import Json
from storage.journal.clock_order import is_late, noted
from storage.journal.line_format import (
    BadLine,
    DecodedLine,
    erased_by,
    is_clock,
    is_committed,
    is_date,
    is_time,
    open_line,
)
from storage.journal.merkle import HASH_BYTES
from storage.journal.record_kinds.table import KEPT
from storage.journal.report import MAX_PROBLEMS
from storage.journal.retention.ranges import Builder

Marks = dict[tuple[int, str], dict[int, Builder]]  # (erasing record, date) -> place -> erased records
_NO_LEAF = bytes(HASH_BYTES)
_LATEST = "~"  # later than any time, so that the first time is always examined
_TELLING = frozenset({"genesis", "erase", "purge", "restore", "coverage"})  # kinds of records about the log itself


class Batch(NamedTuple):
    """Some complete lines of one day, without the last newline; `first` is the index that the first must have."""

    day: str
    first: int
    text: bytes


class Fault(NamedTuple):
    """A fault of one line; `at` is the number of lines before it in the batch."""

    at: int
    code: str
    fields: dict[str, Any]


@dataclass(slots=True)
class Checked:
    """The findings in some lines. `leaves` has one hash for each line, up to the one where checking had to stop."""

    leaves: bytes = b""
    faults: list[Fault] = field(default_factory=list)
    holes: list[Fault] = field(default_factory=list)  # lines that cannot be read: their leaf is zero
    marks: Marks = field(default_factory=dict)
    told: list[DecodedLine] = field(default_factory=list)
    late: list[int] = field(default_factory=list)  # records much older than the one before
    ahead: Builder = field(default_factory=Builder)  # records dated after their day
    noted: list[range] = field(default_factory=list)  # records whose times are explained by a note
    first: tuple[int, str] | None = None  # the first record that has a time, and that time
    last: str = ""  # time of the last record; empty if none has a time
    is_ended: bool = False  # checking stopped: the lines after that could not be checked


def check_lines(batch: Batch) -> Checked:
    """Check the lines of a batch."""
    reading = _Reading(batch)
    take = reading.take
    for raw in batch.text.split(b"\n"):
        if not take(raw):
            break
    return reading.finish()


class _Reading:
    """Checks the lines of a batch one after the other."""

    def __init__(self, batch: Batch) -> None:
        self.checked = Checked()
        self._day = batch.day
        self._today = batch.day if is_date(batch.day) else "never"  # the name of a file can be anything
        self._first = batch.first
        self._at = 0  # number of lines before this one
        self._last = _LATEST  # time of the last line
        self._leaves: list[bytes] = []

    def take(self, raw: bytes) -> bool:
        """Check the next line, and return whether to go on. This runs once for each record of the log."""
        try:
            skeleton, parts, leaf = opened = open_line(raw)
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
            self._take_told(opened)
        commitments: Any = skeleton["c"]
        for place, part in enumerate(parts):
            if not is_committed(part, commitments[place]):
                self._take_gone(part, place, skeleton["k"])
        self._leaves.append(leaf)
        self._at += 1
        return True

    def finish(self) -> Checked:
        """Return the findings."""
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
        """Handle a time that does not go forward within the day; a note may have to explain it."""
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

    def _take_told(self, opened: DecodedLine) -> None:
        if self._first + self._at == 0:  # must be genesis
            self.checked.told.append(opened)
        elif about := noted(opened.skeleton):
            self.checked.noted.append(about)
        elif opened.skeleton["k"] != "coverage":
            self.checked.told.append(opened)

    def _take_gone(self, part: Json, place: int, kind: Json) -> None:
        """Handle a part that does not match its commitment: erased by a later record, or wrong."""
        index, by = self._first + self._at, erased_by(part)
        if by is None or by <= index:
            self.checked.faults.append(Fault(self._at, "part", {"part": place + 1}))
            return
        if kind in KEPT:
            self.checked.faults.append(Fault(self._at, "erased_kept", {"part": place + 1, "kind": kind}))
            return
        date = cast(str, cast("dict[str, Json]", part)["erased"])
        self.checked.marks.setdefault((by, date), {}).setdefault(place, Builder()).add(index)
