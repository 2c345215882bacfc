"""Reads the records, in the process that writes them or in any other.

Rules kept here:
- Nothing is written or locked.
- An error about damage names the file and the line.
- A record of a closed day is found by decompressing that day up to it, which needs no index on disk that could
  disagree.
Left to others: whether the records are those that were signed (`storage/journal/verify/verify.py`).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from moderation.values.errors import Broken

from .days import DamagedDay, Day, DayLines, first_index, list_days
from .line_format import BadLine, DecodedLine, decode, open_line
from .record import Record

_T = TypeVar("_T")


class Log:
    """The records in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._firsts: dict[str, int] = {}  # first index of each closed day; an open one may be given another name

    def days(self) -> list[Day]:
        """Return the days there are, oldest first."""
        return list_days(self.folder / "day")

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Record]:
        """Yield the records from `start` up to, not including, `stop`. Raises `Broken` at a damaged line."""
        for day, first in self.starting_with(start):
            if stop is not None and first >= stop:
                return
            yield from _records(day, max(0, start - first), None if stop is None else stop - first)

    def get(self, index: int) -> Record:
        """Return one record. Raises `LookupError` if it does not exist or was purged."""
        for record in self.read(index, index + 1):
            if record.index == index:
                return record
        raise LookupError(f"there is no record {index}")

    def several(self, indexes: Iterable[int]) -> dict[int, Record]:
        """Return those of the records that exist, reading each day once. Raises `Broken` at a damaged line."""
        wanted = sorted({index for index in indexes if index >= 0})
        found: dict[int, Record] = {}
        starts = self.starts() if wanted else []
        for at, (day, first) in enumerate(starts):
            beyond = starts[at + 1][1] if at + 1 < len(starts) else wanted[-1] + 1
            here = wanted[bisect_left(wanted, first) : bisect_left(wanted, beyond)]
            if here:
                found |= _chosen(day, first, here)
        return found

    def raws(self, indexes: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Yield the lines of those of the records that exist, in order, reading each day once. Raises `Broken`."""
        wanted, starts = sorted(set(indexes)), self.starts()
        for at, (day, first) in enumerate(starts):
            beyond = starts[at + 1][1] if at + 1 < len(starts) else 2**53
            here = set(wanted[bisect_left(wanted, first) : bisect_left(wanted, beyond)])
            try:
                for number, raw in enumerate(DayLines(day.path).each(), first) if here else ():
                    if number in here:
                        yield number, raw
            except DamagedDay as error:
                raise Broken(f"{day.path}: it cannot be read ({error.code})") from error

    def raw(self, index: int) -> bytes:
        """Return the line of one record, without its newline. Raises `LookupError` if it does not exist, `Broken`."""
        return self._find(index, bytes)

    def line(self, index: int) -> DecodedLine:
        """Return the parsed line of one record. Raises `LookupError` and `Broken`."""
        return self._find(index, open_line)

    def _find(self, index: int, read: Callable[[bytes], _T]) -> _T:
        for day, first in self.starting_with(index)[:1]:
            if (number := index - first) < 0:
                break
            try:
                for raw in DayLines(day.path).each(number):
                    return read(raw)
            except (DamagedDay, BadLine) as error:
                raise Broken(f"{day.path}, line {number + 1}: it cannot be read ({error.code})") from error
        raise LookupError(f"there is no record {index}")

    def first_of(self, day: Day) -> int | None:
        """Return the index of a day's first record; None while it has none. Raises `Broken`."""
        if day.name in self._firsts:
            return self._firsts[day.name]
        try:
            index = first_index(day)
        except (DamagedDay, BadLine) as error:
            raise Broken(f"{day.path}: the first record cannot be read ({error.code})") from error
        if index is not None and day.closed:
            self._firsts[day.name] = index
        return index

    def starts(self) -> list[tuple[Day, int]]:
        """Return the days that have records, each with the index of its first. Raises `Broken`."""
        return [(day, first) for day in self.days() if (first := self.first_of(day)) is not None]

    def starting_with(self, start: int) -> list[tuple[Day, int]]:
        """Return the days from the one that holds record `start`, each with the index of its first record."""
        known = self.starts()
        holder = bisect_right([first for _, first in known], start) - 1
        return known[max(0, holder) :]


def _records(day: Day, skip: int, stop: int | None) -> Iterator[Record]:
    number = skip
    try:
        for raw in islice(DayLines(day.path).each(skip), None if stop is None else max(0, stop - skip)):
            number += 1
            yield decode(raw)
    except (DamagedDay, BadLine) as error:
        raise Broken(f"{day.path}, line {number}: it cannot be read ({error.code})") from error


def _chosen(day: Day, first: int, indexes: Sequence[int]) -> dict[int, Record]:
    """Return records of one day, whose first record is `first`; `indexes` in order."""
    found, number, wanted = {}, indexes[0] - 1, set(indexes)
    try:
        lines = DayLines(day.path).each(indexes[0] - first)
        for number, raw in enumerate(islice(lines, indexes[-1] - indexes[0] + 1), indexes[0]):
            if number in wanted:
                found[number] = decode(raw)
    except (DamagedDay, BadLine) as error:
        raise Broken(f"{day.path}, line {number - first + 1}: it cannot be read ({error.code})") from error
    return found
