"""The tree of the log as it was at an earlier size, from the files.

Left to others: the tree itself (`merkle.py`), its tiles (`transparency/tiles.py`).
"""

from collections.abc import Iterator
from pathlib import Path

from moderation.values.errors import Broken

from .days import DayLines
from .line_format import BadLine, open_line
from .merkle import Tree
from .reader import Log
from .transparency.tiles import NoTile, Tiles


def tree_at(folder: Path, signed: int, size: int) -> Tree:
    """Return the tree of the first `size` records in the files, from the nearest tiles before it.

    `signed`: the size of the newest checkpoint in the files. Raises `Broken` if tiles are missing.
    """
    starts = [first for _, first in Log(folder).starts() if first <= size]
    for base in sorted({size, *starts, *([signed] if signed <= size else [])}, reverse=True):
        try:
            tree = Tiles(folder / "tile").tree(base) if base else Tree()
        except NoTile:
            continue
        for line in own_lines(folder, base):
            if tree.size == size:
                break
            tree.add(leaf_of(line))
        if tree.size == size:
            return tree
    raise Broken(f"{folder / 'tile'}: tiles are missing; run `answerable logs verify`")


def own_lines(folder: Path, start: int) -> Iterator[bytes]:
    """Yield the lines in the files from record `start` on."""
    for day, first in Log(folder).starting_with(start):
        yield from DayLines(day.path).each(max(0, start - first))


def leaf_of(line: bytes) -> bytes:
    """Return the leaf of a line in the tree. Raises `Broken` if it cannot be read."""
    try:
        return open_line(line).leaf
    except BadLine as error:
        raise Broken(f"a line of the log cannot be read ({error.code})") from error
