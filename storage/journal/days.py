"""The files of the days: which there are, their lines, how a day is closed and how it is written anew.

Rules kept here: a day is `DAY.jsonl` while it is open and one zstd frame, with a checksum, once it is closed;
at most `MAX_LINE` and a few MiB are ever held in memory, whatever a file claims; an incomplete last line is
handed out apart from the lines.
Left to others: what the lines say (`line_format.py`), when a day is closed (`journal.py`).
"""

import datetime as dt
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from moderation.values.errors import Broken

from . import disk
from .line_format import MAX_LINE, open_line

_NAME = re.compile(r"(?P<day>\d{4}-\d{2}-\d{2})\.jsonl(?P<closed>\.zst)?")
_BLOCK = 1 << 20
# One byte of zstd can claim some 30,000 bytes of text: fed in pieces of this size, no call yields over 32 MiB.
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
    """One day and the file it stands in."""

    name: str
    path: Path

    @property
    def closed(self) -> bool:
        """Whether no more records will be added to it."""
        return self.path.suffix == ".zst"

    @property
    def end_ms(self) -> int:
        """When it is over, milliseconds since 1970: no record in it is younger."""
        return (dt.date.fromisoformat(self.name).toordinal() - _EPOCH + 1) * 86_400_000


def list_days(folder: Path) -> list[Day]:
    """The days in ``day/``, oldest first. Where a crash left both files of a day, the closed one counts."""
    found: dict[str, Day] = {}
    for path in sorted(folder.glob("*.jsonl*")):
        if match := _NAME.fullmatch(path.name):
            found[match["day"]] = Day(match["day"], path)  # ".jsonl" sorts before ".jsonl.zst"
    return sorted(found.values())


class DayLines:
    """The lines of one day in batches, in order; then `rest`, what stands after the last newline.

    Raises `DamagedDay` on the way. A day that was closed in the meantime is read all the same.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rest = b""

    def __iter__(self) -> Iterator[list[bytes]]:
        for block in self.blocks():
            yield block.split(b"\n")

    def blocks(self) -> Iterator[bytes]:
        """The same as text: whole lines, without the last newline."""
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
        """The lines in which one of the needles stands, each with its number from 1; all without needles.

        Whole blocks are searched, so that a line in which nothing stands costs next to nothing.
        """
        before = 0
        for block in self.blocks():
            if not needles:
                yield from enumerate(block.split(b"\n"), before + 1)
            else:
                yield from _holding(block, needles, before)
            before += block.count(b"\n") + 1

    def each(self) -> Iterator[bytes]:
        """One line at a time."""
        for batch in self:
            yield from batch


def first_index(day: Day) -> int | None:
    """The index of a day's first record, or None if it has none. Raises `DamagedDay`, `BadLine`."""
    for raw in DayLines(day.path).each():
        index = open_line(raw).skeleton["i"]
        assert isinstance(index, int)
        return index
    return None


def line_ends(path: Path) -> Iterator[int]:
    """Where each line of an open day begins, and the end of the last. Raises `DamagedDay`."""
    at = 0
    yield at
    for raw in DayLines(path).each():
        at += len(raw) + 1
        yield at


def close_day(day: Day) -> None:
    """Turn ``DAY.jsonl`` into ``DAY.jsonl.zst``. A crash leaves one of them, or both, whole."""
    closed = closed_path(day.path)
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, write_content_size=True)
    with day.path.open("rb") as source, disk.replacing(closed) as target:
        compressor.copy_stream(source, target, size=day.path.stat().st_size)
    disk.remove(day.path)


def finish_closing(folder: Path) -> None:
    """After a crash: of a day with both files, remove the open one once they are found to agree."""
    for path in sorted(folder.glob("*.jsonl")):
        closed = closed_path(path)
        if closed.exists():
            if not agree(path, closed):
                raise Broken(f"{path} and {closed} differ; one of them was altered. Keep both and compare them.")
            disk.remove(path)


def agree(one: Path, other: Path) -> bool:
    """Whether two files of a day hold the same text. Raises `DamagedDay`."""
    return all(a == b for a, b in _zip_exact(DayLines(one), DayLines(other)))


def closed_path(path: Path) -> Path:
    """Where the closed form of an open day stands."""
    return path.with_name(path.name + ".zst")


@contextmanager
def rewriting(day: Day) -> Iterator[Callable[[bytes], object]]:
    """Write a day's file anew, in the form it has; what is yielded takes the text. Readers see the old file or the new.

    If the block raises, the old file stands as it was.
    """
    with disk.replacing(day.path) as file:
        if not day.closed:
            yield file.write
            return
        # The length is not known before the end, so the frame does not bear it; its checksum ends it all the same.
        compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, threads=_threads())
        with compressor.stream_writer(file, closefd=False) as packed:
            yield packed.write


def _threads() -> int:
    return min(4, os.cpu_count() or 1)


def _holding(block: bytes, needles: Sequence[bytes], before: int) -> Iterator[tuple[int, bytes]]:
    """The lines of one block; `before` lines came before it."""
    found: dict[int, int] = {}  # where each line begins and ends
    for needle in needles:
        at = block.find(needle) if b"\n" not in needle else -1  # no line holds the end of one
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


def _zip_exact(one: DayLines, other: DayLines) -> Iterator[tuple[bytes | None, bytes | None]]:
    a, b = one.each(), other.each()
    while True:
        pair = next(a, None), next(b, None)
        if pair == (None, None):
            break
        yield pair
    yield one.rest, other.rest


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
    """The text of exactly one zstd frame."""
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
