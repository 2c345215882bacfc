"""The part of `verify` that reads the days' files and says what comes when, for others to look at.

Rules kept here: days are read in the order of the log and the open one last, so that what another process writes
meanwhile is only ever newer than what was read; a file that cannot be read to its end gives what can be read.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from storage.journal.days import DamagedDay, Day, DayLines, agree, closed_path
from storage.journal.line_format import BadLine, open_line

from .lines import Batch

_PACKED = 3  # how many times smaller a closed day is, about
_BATCH = 512 * 1024  # bytes: some 1,300 records, a few milliseconds


@dataclass(frozen=True, slots=True)
class DayBegins:
    """The lines of a day come next."""

    day: Day
    file: str  # within the records


@dataclass(frozen=True, slots=True)
class DayEnds:
    """A day was read: to its end, or to where it is `damaged`; `is_cut`: something stands after its last line."""

    day: Day
    file: str
    damaged: str = ""
    is_cut: bool = False


def read_days(days: Sequence[Day], first: int) -> Iterator[DayBegins | Batch | DayEnds]:
    """The days, the first line of which must be record `first`."""
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
    """About how many bytes of lines there are."""
    size = 0
    for day in days:
        with suppress(OSError):  # said when it is read
            size += day.path.stat().st_size * (_PACKED if day.closed else 1)
    return size


def first_of(days: Sequence[Day]) -> int | None:
    """The index of the first record; None if there is none that can be read."""
    for day in days:
        try:
            for raw in DayLines(day.path).each():
                return cast(int, open_line(raw).skeleton["i"])
        except (DamagedDay, BadLine):
            return None  # it is read once more, and then named
    return None


def twin_differs(day: Day) -> bool:
    """A crash while a day was being closed leaves both of its files; they must say the same."""
    twin = day.path.with_suffix("")
    if not day.closed or not twin.exists():
        return False
    try:
        return not agree(twin, day.path)
    except DamagedDay:
        return not closed_path(twin).exists() or twin.exists()


def _joined(lines: DayLines) -> Iterator[bytes]:
    """The lines in batches of a size that pays."""
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
