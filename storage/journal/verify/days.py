"""The part of `verify` that reads the day files, and yields batches of lines for others to check.

Rules kept here:
- Days are read in the order of the log, the open one last. So what another process writes meanwhile is always newer
  than what was read.
- A file that cannot be read to its end yields what can be read.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from storage.journal.days import DamagedDay, Day, DayLines, agree, closed_path, first_index
from storage.journal.line_format import BadLine

from .lines import Batch

_PACKED = 3  # a closed day is about this many times smaller
_BATCH = 512 * 1024  # bytes: some 1,300 records, a few milliseconds


@dataclass(frozen=True, slots=True)
class DayBegins:
    """Announces the lines of a day."""

    day: Day
    file: str  # path within the records


@dataclass(frozen=True, slots=True)
class DayEnds:
    """Ends a day, at its end or where it is `damaged`. `is_cut`: something follows its last complete line."""

    day: Day
    file: str
    damaged: str = ""
    is_cut: bool = False


def read_days(days: Sequence[Day], first: int) -> Iterator[DayBegins | Batch | DayEnds]:
    """Read the days, the first line of which must be record `first`."""
    index = first
    for day in days:
        file = f"day/{day.path.name}"
        yield DayBegins(day, file)
        lines = DayLines(day.path)
        damaged = ""
        try:
            for text in _joined(lines):
                yield Batch(day.name, index, text)
                index += text.count(b"\n") + 1
        except DamagedDay as error:
            damaged = error.code
        yield DayEnds(day, file, damaged, bool(lines.rest) and not damaged)


def size_of(days: Sequence[Day]) -> int:
    """Estimate the number of bytes in all lines."""
    size = 0
    for day in days:
        with suppress(OSError):  # reported when it is read
            size += day.path.stat().st_size * (_PACKED if day.closed else 1)
    return size


def first_of(days: Sequence[Day]) -> int | None:
    """Return the index of the first record; None if there is no record or it cannot be read."""
    for day in days:
        try:
            if (index := first_index(day)) is not None:
                return index
        except (DamagedDay, BadLine):
            return None  # it is read again later, and then reported
    return None


def twin_differs(day: Day) -> bool:
    """Tell whether a closed day's open file, left by a crash while closing, exists and differs from it."""
    twin = day.path.with_suffix("")
    if not day.closed or not twin.exists():
        return False
    try:
        return not agree(twin, day.path)
    except DamagedDay:
        return not closed_path(twin).exists() or twin.exists()


def _joined(lines: DayLines) -> Iterator[bytes]:
    """Yield the lines in batches of an efficient size."""
    waiting: list[bytes] = []
    size = 0
    try:
        for block in lines.blocks():
            waiting.append(block)
            size += len(block)
            if size >= _BATCH:
                yield b"\n".join(waiting)
                waiting, size = [], 0
    except DamagedDay:
        if waiting:
            yield b"\n".join(waiting)
        raise
    if waiting:
        yield b"\n".join(waiting)
