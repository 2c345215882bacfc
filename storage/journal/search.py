"""Searches what people wrote, over all days, ignoring case; and goes through the records from the newest back.

The text is searched in the content of the parts and in the words of the skeleton.

Rules kept here:
- Lines are handed out as they are found, exactly as on disk.
- Memory does not grow with the log.
Left to others: the other filters (`query.py`), whether the content may be shown (`bot/cli/access/access_reason.py`).
"""

import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import dropwhile, islice, takewhile
from pathlib import Path
from typing import Any

import orjson

from moderation.values.errors import Broken

from .days import DamagedDay, Day, DayLines, list_days
from .line_format import BadLine
from .query import Query, matching_lines
from .report import Progress

_INDEX = re.compile(rb'\{"i":([0-9]{1,16}),')
_BLOCK = 1 << 18
_NO_END = 10**16  # above every index


def matching(folder: Path, query: Query, words: str, progress: Progress | None = None) -> Iterator[bytes]:
    """Yield the lines that fit and hold the text somewhere, oldest first. Raises `Broken` at a damaged line."""
    total = _size(folder)
    for day in list_days(folder / "day"):
        if query.may_be_in(day):
            yield from _in_day(day, query, words, lambda index: progress(index, total) if progress else None)


def newest_first(
    folder: Path, query: Query, words: str = "", *, below: int = _NO_END, most: int, progress: Progress | None = None
) -> Iterator[bytes]:
    """Yield up to `most` lines that fit, hold the text and have an index below `below`, newest first, a day at a time.

    Raises `Broken` at a damaged line. `progress` is told the days.
    """
    days = [day for day in reversed(list_days(folder / "day")) if query.may_be_in(day)]
    for done, day in enumerate(days):
        if progress:
            progress(done, len(days))
        if words or query != Query():
            lines = _in_day(day, query, words) if words else matching_lines(day, query)
            found = [*reversed(deque(takewhile(lambda raw: line_index(raw) < below, lines), maxlen=most))]
        else:
            found = _last_below(day, below, most)
        yield from found
        most -= len(found)
        if not most:
            return


def _in_day(day: Day, query: Query, words: str, at: Callable[[int], None] = lambda _: None) -> Iterator[bytes]:
    may_hold, folded, number = quick_test(words), words.casefold(), 0
    try:
        for batch in DayLines(day.path):
            at(line_index(batch[0]))
            for raw in batch:
                number += 1
                if may_hold(raw) and query.accepts(raw) and _holds(orjson.loads(raw), folded):
                    yield raw
    except (BadLine, DamagedDay) as error:
        raise Broken(f"{day.path}, line {number}: it cannot be read ({error.code})") from error


def _last_below(day: Day, below: int, most: int) -> list[bytes]:
    """Return the last lines of a day below an index, newest first; an open day is read from its end."""
    try:
        if not day.closed:
            with suppress(FileNotFoundError):  # it was closed just now
                return [*islice(dropwhile(lambda raw: line_index(raw) >= below, _backwards(day.path)), most)]
        lines = takewhile(lambda raw: line_index(raw) < below, DayLines(day.path).each())
        return [*reversed(deque(lines, maxlen=most))]
    except DamagedDay as error:
        raise Broken(f"{day.path}: it cannot be read ({error.code})") from error


def _backwards(path: Path) -> Iterator[bytes]:
    """Yield the whole lines of a file from the last one back."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        rest, is_torn = b"", True  # what follows the last newline is no line yet
        while end:
            start = max(0, end - _BLOCK)
            file.seek(start)
            rest, *lines = (file.read(end - start) + rest).split(b"\n")
            if lines and is_torn:
                lines.pop()
                is_torn = False
            yield from reversed(lines)
            end = start
        if not is_torn:
            yield rest


def line_index(raw: bytes) -> int:
    """Return the index of a record from the beginning of its line, which may be damaged; 0 if it is not there."""
    found = _INDEX.match(raw)
    return int(found[1]) if found else 0


def quick_test(words: str) -> Callable[[bytes], bool]:
    """Return a test whether a line may hold the text, from its bytes alone; it rules out most lines."""
    written = orjson.dumps(words)[1:-1]  # as it stands in the line
    if written.isascii() or words.lower() == words.upper():
        pattern = re.compile(re.escape(written), re.IGNORECASE)  # of bytes: ASCII letters only
        return lambda raw: pattern.search(raw) is not None
    folded = written.decode().casefold()
    return lambda raw: folded in raw.decode("utf-8", "replace").casefold()


def _holds(value: Any, folded: str) -> bool:
    """Tell whether the text stands in any value; names of members do not count."""
    match value:
        case str():
            return folded in value.casefold()
        case dict():
            return any(_holds(item, folded) for name, item in value.items() if name not in ("s", "c"))
        case list():
            return any(_holds(item, folded) for item in value)
        case _:
            return False


def _size(folder: Path) -> int:
    """Return roughly how many records there are, for the progress only."""
    try:
        return int((folder / "checkpoint").read_text("utf-8").split("\n")[1])
    except (OSError, ValueError, IndexError):
        return 0
