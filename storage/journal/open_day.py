"""The day to which records are added: its name, its file, and where its records stand in it.

Rules kept here:
- Lines reach the table that the machines share before the file.
- A record goes to the UTC day of its time, but never to a day before the open one.

Left to others: what is signed and when (`journal.py`), closed days (`days.py`).
"""

import datetime as dt
import os
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from . import disk
from .days import Day, close_day, line_ends
from .line_format import Written, day_of
from .line_log import LineLog
from .record import Draft
from .recover import RecoveredLog


class OpenDay:
    """The open day of a log; if none is open, `name` is that of the last one."""

    def __init__(self, folder: Path, table: LineLog | None, state: RecoveredLog) -> None:
        self._folder = folder / "day"
        self._table = table
        self.name = state.days[-1].name if state.days else ""
        self.first = state.first  # index of its first record
        self._offsets = state.offsets  # of each line, and the end of the last one
        self._appender = disk.Appender(state.open_day.path) if state.open_day else None

    @property
    def is_open(self) -> bool:
        """Tell whether a day is open."""
        return self._appender is not None

    def days_of(self, drafts: Sequence[Draft]) -> Iterator[str]:
        """Yield the day that each draft goes to, never an earlier one than before."""
        earliest = self.name if self.is_open else day_after(self.name)
        for draft in drafts:
            earliest = max(earliest, day_of(draft.at_ms))
            yield earliest

    def begin(self, name: str, first: int) -> None:
        """Begin a new day with the record `first`; the one before is closed."""
        self.name = name
        self.first = first
        self._offsets = array("Q", [0])
        self._appender = disk.Appender(self._folder / f"{name}.jsonl")

    def append(self, lines: Sequence[Written], start: int) -> None:
        """Add lines, the first of the record `start`; they are durable after the next `sync`."""
        assert self._appender
        if self._table is not None:
            self._table.append(start, [(self.name, line.line[:-1]) for line in lines])
        self._appender.append(b"".join([line.line for line in lines]))
        self._offsets.extend(list(accumulate([len(line.line) for line in lines], initial=self._offsets[-1]))[1:])

    def sync(self) -> None:
        """Flush: on return all lines are durable."""
        if self._appender:
            self._appender.sync()

    def offset_of(self, index: int) -> int:
        """Return where the line of a record begins, or the last one ends; 0 for a record of an earlier day."""
        return self._offsets[max(0, index - self.first)]

    def line_of(self, index: int) -> bytes | None:
        """Return the line of a record; None if it is not in the open day."""
        if self._appender is None or not 0 <= index - self.first < len(self._offsets) - 1:
            return None
        begin, end = self.offset_of(index), self.offset_of(index + 1)
        with self._appender.path.open("rb") as file:
            return os.pread(file.fileno(), end - begin - 1, begin)

    def move(self, name: str) -> None:
        """Give the open day another name."""
        assert self._appender
        path = self._appender.path.with_name(f"{name}.jsonl")
        if self._table is not None:
            self._table.move_day(self.name, name)
        self._appender.close()
        disk.rename(self._appender.path, path)
        self._appender = disk.Appender(path)
        self.name = name

    def close(self) -> None:
        """Compress the day, to which no more records are added."""
        assert self._appender
        path = self._appender.path
        self._appender.close()
        self._appender = None
        close_day(Day(self.name, path))

    def was_replaced(self) -> bool:
        """Tell whether an erasure has put another file in the place of this one."""
        return self._appender is not None and self._appender.was_replaced()

    def open_again(self) -> None:
        """Continue with the file that has replaced this one."""
        assert self._appender
        self._appender.close()
        self._appender = disk.Appender(self._appender.path)
        self._offsets = array("Q", line_ends(self._appender.path))

    def release(self) -> None:
        """Let go of the file as it is."""
        if self._appender:
            self._appender.close()
            self._appender = None


def day_after(day: str) -> str:
    """Return the earliest day that may still be opened after `day` was closed."""
    if not day:
        return ""
    return (dt.date.fromisoformat(day) + dt.timedelta(days=1)).isoformat()
