"""The day files: listing them, reading their lines, closing a day and rewriting one.

Rules kept here:
- A day is `DAY.jsonl` while it is open, and one zstd frame with a checksum once it is closed.
- At most `MAX_LINE` and a few MiB are ever held in memory, whatever a file claims.
- An incomplete last line is handed out separately from the lines.
Left to others: what the lines say (`line_format.py`), when a day is closed (`journal.py`).
"""

import datetime as dt
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import BinaryIO

import zstandard

from moderation.values.errors import Broken

from . import disk
from .line_format import MAX_LINE, open_line

_NAME = re.compile(r"(?P<day>\d{4}-\d{2}-\d{2})\.jsonl(?P<closed>\.zst)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BLOCK = 1 << 20
# One byte of zstd can claim some 30,000 bytes of text: with input pieces of this size, no call yields over 32 MiB.
_FEED = 1024
_WINDOW = 1 << 27
_LEVEL = 6  # most of a record is hashes and salts, which no level makes smaller
_EPOCH = dt.date(1970, 1, 1).toordinal()


class DamagedDay(Exception):
    """A day's file cannot be read to its end. `code`: compression, truncated, trailing, long or missing."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, order=True)
class Day:
    """One day and its file."""

    name: str
    path: Path

    @property
    def closed(self) -> bool:
        """Tell whether the day is closed: no more records will be added to it."""
        return self.path.suffix == ".zst"

    @property
    def end_ms(self) -> int:
        """The end of the day in milliseconds since 1970 UTC: no record in it is younger."""
        return (dt.date.fromisoformat(self.name).toordinal() - _EPOCH + 1) * 86_400_000


def is_day(name: str) -> bool:
    """Tell whether a text is written as the name of a day is: ``2026-11-24``."""
    return _DAY.fullmatch(name) is not None


def list_days(folder: Path) -> list[Day]:
    """Return the days in ``day/``, oldest first. If a crash left both files of a day, the closed one counts."""
    found: dict[str, Day] = {}
    for path in sorted(folder.glob("*.jsonl*")):
        if match := _NAME.fullmatch(path.name):
            found[match["day"]] = Day(match["day"], path)  # ".jsonl" sorts before ".jsonl.zst"
    return sorted(found.values())


class DayLines:
    """The lines of one day in batches, in order; afterwards `rest` holds what follows the last newline.

    Iteration raises `DamagedDay`. A day that is closed in the meantime can still be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rest = b""

    def __iter__(self) -> Iterator[list[bytes]]:
        for block in self.blocks():
            yield block.split(b"\n")

    def blocks(self) -> Iterator[bytes]:
        """Yield the batches as undivided text: whole lines, without the last newline."""
        for block in _blocks(self._path):
            whole, newline, rest = block.rpartition(b"\n")
            if newline:
                whole = self.rest + whole
                self.rest = rest
                yield whole
            else:
                self.rest += rest
            if len(self.rest) > MAX_LINE:
                raise DamagedDay("long")

    def holding(self, needles: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
        """Yield each line that contains one of the needles, with its number from 1; without needles, every line.

        Whole blocks are searched, so that a line without a match costs next to nothing.
        """
        before = 0
        for block in self.blocks():
            if not needles:
                yield from enumerate(block.split(b"\n"), before + 1)
            else:
                yield from _holding(block, needles, before)
            before += block.count(b"\n") + 1

    def each(self, skip: int = 0) -> Iterator[bytes]:
        """Yield one line at a time, without the first `skip`: those are counted, which is cheaper."""
        for block in self.blocks():
            if skip and (lines := block.count(b"\n") + 1) <= skip:
                skip -= lines
                continue
            yield from islice(block.split(b"\n"), skip, None)
            skip = 0


def first_index(day: Day) -> int | None:
    """Return the index of a day's first record, or None if it has none. Raises `DamagedDay`, `BadLine`."""
    for raw in DayLines(day.path).each():
        index = open_line(raw).skeleton["i"]
        assert isinstance(index, int)
        return index
    return None


def line_ends(path: Path) -> Iterator[int]:
    """Yield the offset at which each line of an open day begins, then the end of the last. Raises `DamagedDay`."""
    at = 0
    yield at
    for raw in DayLines(path).each():
        at += len(raw) + 1
        yield at


def close_day(day: Day) -> None:
    """Turn ``DAY.jsonl`` into ``DAY.jsonl.zst``. A crash leaves one of them, or both, complete."""
    closed = closed_path(day.path)
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, write_content_size=True)
    with day.path.open("rb") as source, disk.replacing(closed) as target:
        compressor.copy_stream(source, target, size=day.path.stat().st_size)
    disk.remove(day.path)


def finish_closing(folder: Path) -> None:
    """After a crash, remove the open file of each day that has both files, once the two are found to agree.

    Raises `Broken` if they differ.
    """
    for path in sorted(folder.glob("*.jsonl")):
        closed = closed_path(path)
        if closed.exists():
            if not agree(path, closed):
                raise Broken(f"{path} and {closed} differ; one of them was altered. Keep both and compare them.")
            disk.remove(path)


def agree(one: Path, other: Path) -> bool:
    """Tell whether two files of one day hold the same text. Raises `DamagedDay`."""
    a, b = DayLines(one), DayLines(other)
    return all(mine == theirs for mine, theirs in zip_longest(a.each(), b.each())) and a.rest == b.rest


def closed_path(path: Path) -> Path:
    """Return the path of an open day's closed form."""
    return path.with_name(path.name + ".zst")


@contextmanager
def rewriting(day: Day) -> Iterator[Callable[[bytes], object]]:
    """Rewrite a day's file in its present form; the yielded function takes the text.

    Readers see either the old file or the new one. If the block raises, the old file is left as it was.
    """
    with disk.replacing(day.path) as file:
        if not day.closed:
            yield file.write
            return
        # The length is unknown until the end, so the frame does not state it; its checksum still ends the frame.
        compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, threads=_threads())
        with compressor.stream_writer(file, closefd=False) as packed:
            yield packed.write


def _threads() -> int:
    return min(4, os.cpu_count() or 1)


def _holding(block: bytes, needles: Sequence[bytes], before: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of one block; `before` lines came before it."""
    found: dict[int, int] = {}  # start and end of each line
    for needle in needles:
        at = block.find(needle) if b"\n" not in needle else -1  # no line contains a newline
        while at >= 0:
            end = block.find(b"\n", at + len(needle))
            end = len(block) if end < 0 else end
            found[block.rfind(b"\n", 0, at) + 1] = end
            at = block.find(needle, end)
    number, counted = before + 1, 0
    for start, end in sorted(found.items()):
        number += block.count(b"\n", counted, start)
        counted = start
        yield number, block[start:end]


def _blocks(path: Path) -> Iterator[bytes]:
    with _open(path) as file:
        if path.suffix == ".zst" or file.name.endswith(".zst"):
            yield from _unpacked(file)
        else:
            while block := file.read(_BLOCK):
                yield block


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        try:
            return closed_path(path).open("rb")
        except FileNotFoundError:
            raise DamagedDay("missing") from None


def _unpacked(file: BinaryIO) -> Iterator[bytes]:
    """Yield the text of exactly one zstd frame."""
    frame = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
    try:
        while not frame.eof and (piece := file.read(_FEED)):
            text = frame.decompress(piece)
            for at in range(0, len(text), _BLOCK):
                yield text[at : at + _BLOCK]
    except zstandard.ZstdError as error:
        raise DamagedDay("compression") from error
    if not frame.eof:
        raise DamagedDay("truncated")
    if frame.unused_data or file.read(1):
        raise DamagedDay("trailing")
