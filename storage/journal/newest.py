"""Goes through the records from the newest back: all, those that fit, or those that hold a text.

Rules kept here:
- Lines are handed out as they are found, newest first, exactly as on disk.
- An open day is read from its end. Of a closed one, which can only be read forwards, the newest lines that may fit are
  kept, and it is read again if they are not enough: memory does not grow with the log.
- A line is parsed only if its bytes may fit, and before it is handed out; without criteria none is.
Left to others: whether the content may be shown (`bot/console/pages/records.py`).
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import dropwhile, takewhile
from pathlib import Path

import orjson

from moderation.values.errors import Broken

from .days import DamagedDay, Day, DayLines, list_days
from .line_format import BadLine
from .query import Query
from .report import Progress
from .search import holds, line_index, quick_test

_BLOCK = 1 << 18
_MOST_KEPT = 5_000  # lines
_NO_END = 10**16  # above every index


def newest_first(
    folder: Path, query: Query, words: str = "", *, below: int = _NO_END, most: int, progress: Progress | None = None
) -> Iterator[bytes]:
    """Yield up to `most` lines that fit, hold the text and have an index below `below`, newest first.

    Raises `Broken` at a damaged line. `progress` is called with the numbers of days done and of all days.
    """
    criteria = _Criteria(query, words)
    days = [day for day in reversed(list_days(folder / "day")) if query.may_be_in(day)]
    for done, day in enumerate(days):
        beat = partial(progress, done, len(days)) if progress else _still
        for raw in _of_day(day, criteria, below, beat):
            yield raw
            most -= 1
            if not most:
                return


def newest_below(folder: Path, below: int) -> bytes | None:
    """Return the line of the newest record below an index. Raises `Broken`."""
    return next(newest_first(folder, Query(), below=below, most=1), None)


class _Criteria:
    """A search."""

    def __init__(self, query: Query, words: str) -> None:
        self._query, self._takes_all = query, query == Query() and not words
        self._needles, self._folded = query.needles, words.casefold()
        self._may_hold = quick_test(words) if words else None

    def may_fit(self, raw: bytes) -> bool:
        """Tell from its bytes whether a line, or one of several, may fit."""
        if self._may_hold is not None and not self._may_hold(raw):
            return False
        return not self._needles or any(needle in raw for needle in self._needles)

    def fits(self, raw: bytes) -> bool:
        """Tell whether a line fits. Raises `BadLine`."""
        if self._takes_all:
            return True
        if not self.may_fit(raw) or not self._query.accepts(raw):
            return False
        return not self._folded or holds(orjson.loads(raw), self._folded)


@dataclass(slots=True)
class _Place:
    """The place of reading, named when a line is damaged."""

    index: int = -1


def _of_day(day: Day, criteria: _Criteria, below: int, beat: Callable[[], None]) -> Iterator[bytes]:
    place = _Place()
    lines = _open_day(day, criteria, below, beat) if not day.closed else _closed_day(day, criteria, below, beat)
    try:
        for raw in lines:
            place.index = line_index(raw)
            if criteria.fits(raw):
                yield raw
    except (BadLine, DamagedDay) as error:
        raise Broken(f"{day.path}, line of record {place.index}: it cannot be read ({error.code})") from error


def _open_day(day: Day, criteria: _Criteria, below: int, beat: Callable[[], None]) -> Iterator[bytes]:
    with suppress(FileNotFoundError):  # it was closed just now
        lines = _backwards(day.path, criteria.may_fit, beat)
        yield from dropwhile(lambda raw: not 0 <= line_index(raw) < below, lines)
        return
    yield from _closed_day(day, criteria, below, beat)


def _closed_day(day: Day, criteria: _Criteria, below: int, beat: Callable[[], None]) -> Iterator[bytes]:
    """Yield the lines that may fit, as many at a time as are kept."""
    while True:
        kept = deque(_lines_below(day, criteria, below, beat), maxlen=_MOST_KEPT)
        yield from reversed(kept)
        if len(kept) < _MOST_KEPT:
            return
        below = next((index for index in map(line_index, kept) if index >= 0), 0)


def _lines_below(day: Day, criteria: _Criteria, below: int, beat: Callable[[], None]) -> Iterator[bytes]:
    """Yield the lines of a day that may fit and have an index below `below`, oldest first."""
    for block in DayLines(day.path).blocks():
        beat()
        if line_index(block) >= below:
            return
        if criteria.may_fit(block):
            lines = takewhile(lambda raw: line_index(raw) < below, block.split(b"\n"))
            yield from filter(criteria.may_fit, lines)


def _still() -> None:
    """Report no progress."""


def _backwards(path: Path, may_fit: Callable[[bytes], bool], beat: Callable[[], None] = _still) -> Iterator[bytes]:
    """Yield the whole lines of a file from the last one back, without blocks in which none may fit."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        rest, is_torn = b"", True  # what follows the last newline is no line yet
        while end:
            start = max(0, end - _BLOCK)
            file.seek(start)
            beat()
            rest, *whole = (file.read(end - start) + rest).split(b"\n", 1)
            if whole and is_torn:
                whole, is_torn = whole[0].rsplit(b"\n", 1)[:-1], False
            if whole and may_fit(whole[0]):
                yield from reversed(whole[0].split(b"\n"))
            end = start
        if not is_torn:
            yield rest
