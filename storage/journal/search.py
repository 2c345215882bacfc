"""Searches what people wrote, over all days, ignoring case.

The text is searched in the content of the parts and in the words of the skeleton.

Rules kept here:
- Lines are handed out as they are found, oldest first, exactly as on disk.
- Memory does not grow with the log.
Left to others: the other filters (`query.py`), the newest first (`newest.py`), whether the content
may be shown (`bot/cli/access/access_reason.py`).
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from moderation.values.errors import Broken

from .days import DamagedDay, Day, DayLines, list_days
from .line_format import BadLine
from .query import Query
from .report import Progress

_INDEX = re.compile(rb'\{"i":([0-9]{1,16}),')


def matching(folder: Path, query: Query, words: str, progress: Progress | None = None) -> Iterator[bytes]:
    """Yield the lines that fit and hold the text somewhere, oldest first. Raises `Broken` at a damaged line."""
    total = _size(folder)
    for day in list_days(folder / "day"):
        if query.may_be_in(day):
            yield from _in_day(day, query, words, lambda index: progress(index, total) if progress else None)


def _in_day(day: Day, query: Query, words: str, at: Callable[[int], None] = lambda _: None) -> Iterator[bytes]:
    may_hold, folded, number = quick_test(words), words.casefold(), 0
    try:
        for batch in DayLines(day.path):
            at(line_index(batch[0]))
            for raw in batch:
                number += 1
                if may_hold(raw) and query.accepts(raw) and holds(orjson.loads(raw), folded):
                    yield raw
    except (BadLine, DamagedDay) as error:
        raise Broken(f"{day.path}, line {number}: it cannot be read ({error.code})") from error


def line_index(raw: bytes) -> int:
    """Return the index of a record from the beginning of its line, which may be damaged; -1 if it is not there."""
    found = _INDEX.match(raw)
    return int(found[1]) if found else -1


def quick_test(words: str) -> Callable[[bytes], bool]:
    """Return a test whether a line may hold the text, from its bytes alone; it rules out most lines."""
    written = orjson.dumps(words)[1:-1]  # as it stands in the line
    if written.isascii() or words.lower() == words.upper():
        lowered = written.lower()  # of bytes: ASCII letters only
        return lambda raw: lowered in raw.lower()
    folded = written.decode().casefold()
    return lambda raw: folded in raw.decode("utf-8", "replace").casefold()


def holds(value: Any, folded: str) -> bool:
    """Tell whether the text, in lower case, stands in any value; names of members do not count."""
    match value:
        case str():
            return folded in value.casefold()
        case dict():
            return any(holds(item, folded) for name, item in value.items() if name not in ("s", "c"))
        case list():
            return any(holds(item, folded) for item in value)
        case _:
            return False


def _size(folder: Path) -> int:
    """Return roughly how many records there are, for the progress only."""
    try:
        return int((folder / "checkpoint").read_text("utf-8").split("\n")[1])
    except (OSError, ValueError, IndexError):
        return 0
