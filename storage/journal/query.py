"""Searches the records by room, person, kind, case and time: the last ones, or new ones as they arrive.

Rules kept here:
- Lines are handed out exactly as on disk.
- Days are read from the newest back, so that the last fifty records of a long log are found at once.
- Text is searched in whole blocks, and only a line that contains it is parsed.
- Nothing is written or locked.
- A person is found by the Matrix id in a part, so that erased parts are no longer found by name.
Left to others: what may be shown to whom (`bot/cli/logs/command.py`).
"""

import os
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import orjson

from moderation.values.errors import Broken

from .days import DamagedDay, Day, DayLines, list_days
from .line_format import BadLine, DecodedLine, day_of, open_line, time_text


@dataclass(frozen=True, slots=True)
class Query:
    """The search criteria; an empty one matches everything."""

    groups: frozenset[str] = frozenset()
    person: str = ""  # Matrix id
    text: bytes = b""  # anywhere in the line, as written there
    kinds: frozenset[str] = frozenset()
    case: int = 0  # 0: any
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def needles(self) -> list[bytes]:
        """Texts of which a matching line contains at least one; empty if there is no such text."""
        if self.text:
            return [self.text]
        if self.person:
            return [orjson.dumps(self.person)]
        if self.case:
            return [b'"n":%d' % self.case]
        return [b'"k":"%s"' % kind.encode() for kind in sorted(self.kinds)]

    def accepts(self, raw: bytes) -> bool:
        """Tell whether the line matches. Raises `BadLine`."""
        if self.text not in raw or (self.person and orjson.dumps(self.person) not in raw):
            return False  # this rules out most lines
        return self._fits(open_line(raw))

    def may_be_in(self, day: Day) -> bool:
        """Tell whether the day can hold a match: no record in it is younger than the day or more than a day older."""
        if self.since_ms is not None and day.name < day_of(self.since_ms):
            return False
        return self.until_ms is None or day.name <= day_of(self.until_ms + 86_400_000)

    def _fits(self, opened: DecodedLine) -> bool:
        skeleton = opened.skeleton
        at = cast(str, skeleton["t"])
        return (
            (not self.groups or skeleton.get("g") in self.groups)
            and (not self.case or skeleton.get("n") == self.case)
            and (not self.kinds or skeleton["k"] in self.kinds)
            and (self.since_ms is None or at >= time_text(self.since_ms))
            and (self.until_ms is None or at < time_text(self.until_ms))
            and (not self.person or any(_is_about(part, self.person) for part in opened.parts))
        )


def last(folder: Path, query: Query, count: int) -> list[bytes]:
    """Return the last `count` matching lines (0: all), oldest first. Raises `Broken` at a damaged line."""
    found: deque[bytes] = deque(maxlen=count or None)
    for day in reversed(list_days(folder / "day")):
        if query.may_be_in(day):
            room = count - len(found) if count else None
            found.extendleft(reversed(deque(_matching(day, query), maxlen=room)))
            if len(found) == count > 0:
                break
    return list(found)


def follow(folder: Path, query: Query, after: int) -> Generator[bytes | None, None, None]:
    """Yield matching lines with an index above `after` as they arrive, and None whenever there is nothing new."""
    tail = _Tail(folder / "day")
    try:
        while True:
            for raw in tail.new_lines():
                if cast(int, open_line(raw).skeleton["i"]) > after and query.accepts(raw):
                    yield raw
            yield None
    finally:
        tail.close()


def group_of_room(folder: Path, room: str) -> str | None:
    """Return the group code of a room, from the newest record of the bot joining it; None if there is none."""
    needle = orjson.dumps(room)
    for day in reversed(list_days(folder / "day")):
        for raw in reversed(list(_matching(day, Query(text=needle)))):
            opened = open_line(raw)
            code = opened.skeleton.get("code")
            if type(code) is str and any(type(part) is dict and part.get("room_id") == room for part in opened.parts):
                return code
    return None


class _Tail:
    """Reads on at the end of the newest day as it grows, and continues with the next day."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._day = ""
        self._file: BinaryIO | None = None
        self._lines = 0  # whole lines handed out
        self._at = 0  # offset up to which the file was read
        self._rest = b""  # the beginning of a line that is not whole yet

    def new_lines(self) -> Iterator[bytes]:
        """Yield the complete lines that were added since the last call."""
        while True:
            following = self._next_day()  # looked up first: a day that has a successor does not grow any more
            yield from self._read()
            if following is None:
                return
            yield from self._enter(following)

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def _next_day(self) -> Day | None:
        later = [day for day in list_days(self._folder) if day.name > self._day]
        if not self._day:  # at the first call, the contents of closed days are not new
            later = later[-1:]
        return later[0] if later else None

    def _enter(self, day: Day) -> Iterator[bytes]:
        """Continue with another day; if it is closed already, read it at once."""
        self._day, self._lines = day.name, 0
        self._open(day.path)
        if self._file is None:
            yield from DayLines(day.path).each()

    def _open(self, path: Path) -> None:
        self.close()
        self._file, self._at, self._rest = None, 0, b""
        with suppress(FileNotFoundError):  # closed just now
            self._file = path.open("rb") if path.suffix == ".jsonl" else None

    def _read(self) -> list[bytes]:
        lines = self._read_on()
        if self._was_replaced():
            self._open(Path(cast(BinaryIO, self._file).name))
            lines += self._read_on(known=self._lines)
        return lines

    def _read_on(self, known: int = 0) -> list[bytes]:
        """Return the lines after the place where reading ended, without the first `known`, already handed out."""
        if self._file is None:
            return []
        end = self._file.seek(0, 2)
        if end < self._at:  # a torn end was truncated meanwhile
            self._at, self._rest = end, b""
        self._file.seek(self._at)
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        self._at = self._file.tell()
        self._lines += len(lines) - known
        return lines[known:]

    def _was_replaced(self) -> bool:
        """Tell whether the day was rewritten by an erasure: then the old file grows no more."""
        if self._file is None:
            return False
        try:
            return Path(self._file.name).stat().st_ino != os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:
            return False  # closed


def _is_about(part: object, person: str) -> bool:
    return type(part) is dict and part.get("mxid") == person


def _matching(day: Day, query: Query) -> Iterator[bytes]:
    number = 0
    try:
        for number, raw in DayLines(day.path).holding(query.needles):  # noqa: B007  (told below)
            if query.accepts(raw):
                yield raw
    except BadLine as error:
        raise Broken(f"{day.path}, line {number}: it cannot be read ({error.code})") from error
    except DamagedDay as error:
        raise Broken(f"{day.path}, after line {number}: it cannot be read ({error.code})") from error
