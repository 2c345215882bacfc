"""Proofs over the tree (RFC 6962, 2.1.1 and 2.1.2).

An inclusion proof shows that a record is at its place in a tree; a consistency proof shows that a tree only grew.
Both are lists of hashes, about one for each doubling of the log, read from the tiles.

Rules kept here:
- Making a proof reads a few tiles and no record. So it works on a purged log as well, for records that were kept and
  for sizes from the first of them on.
Left to others: the root that a proof must lead to (`checkpoint.py`), the file format of a proof (`tlog_proof.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from moderation.values.errors import Invalid
from storage.journal.merkle import TILE_WIDTH, fold, node_hash, split_hashes

from .tiles import Tiles

_HEIGHT = 8  # tree levels in one tile
_MOST_TILES = 256  # kept in memory, some 8 MB; one proof of a log of any size needs at most seven

_Rows = list[list[bytes]]  # the tree levels within one tile, lowest first


@dataclass(frozen=True, slots=True)
class AuditStep:
    """A hash of an inclusion proof: the side on which it is joined, and its records (`stop` is not one of them)."""

    side: Literal["left", "right"]
    start: int
    stop: int
    hash: bytes


class Prover:
    """Makes proofs from tiles. It caches the tiles it read, so that many proofs cost little more than one."""

    def __init__(self, tiles: Tiles) -> None:
        self._tiles = tiles
        self._known: dict[tuple[int, int, int], _Rows] = {}
        self._edges: dict[tuple[int, int], bytes] = {}  # subtrees that end where the tree does

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return PATH(index, D[size]) of RFC 6962, 2.1.1: from the leaf's sibling up. Raises as `path` does."""
        return [step.hash for step in self.path(index, size)]

    def path(self, index: int, size: int) -> list[AuditStep]:
        """Return the path with the side and the records of each hash.

        Raises `Invalid` if the tree has no such record, `NoTile` if a necessary tile was purged or lost.
        """
        if not 0 <= index < size:
            raise Invalid(f"there is no record {index} among the first {size}")
        steps: list[AuditStep] = []
        start, stop = 0, size
        while stop - start > 1:
            middle = start + _split(stop - start)
            if index < middle:
                steps.append(AuditStep("right", middle, stop, self.root(middle, stop, size)))
                stop = middle
            else:
                steps.append(AuditStep("left", start, middle, self.root(start, middle, size)))
                start = middle
        return steps[::-1]

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return PROOF(old, D[new]) of RFC 6962, 2.1.2. Raises `Invalid` and `NoTile` as `inclusion` does."""
        if not 0 <= old <= new:
            raise Invalid(f"a log of {new} records cannot continue one of {old}")
        if old in (0, new):
            return []
        path: list[bytes] = []
        start, stop, known = 0, new, True
        while old != stop:
            middle = start + _split(stop - start)
            if old <= middle:
                path.append(self.root(middle, stop, new))
                stop = middle
            else:
                path.append(self.root(start, middle, new))
                start, known = middle, False
        if not known:  # the old tree ends in this subtree, whose hash the checker cannot know
            path.append(self.root(start, stop, new))
        return path[::-1]

    def root(self, start: int, stop: int, size: int) -> bytes:
        """Return the hash over the leaves from `start` to `stop`, a subtree of the tree of `size`. Raises `NoTile`."""
        if stop != size:
            return fold(self._perfect(start, stop, size))
        if (start, size) not in self._edges:
            if len(self._edges) >= _MOST_TILES:
                self._edges.clear()
            self._edges[start, size] = fold(self._perfect(start, stop, size))
        return self._edges[start, size]

    def _perfect(self, start: int, stop: int, size: int) -> list[bytes]:
        """Return the roots of the largest perfect subtrees, left to right."""
        roots: list[bytes] = []
        while start < stop:
            height = (stop - start).bit_length() - 1
            roots.append(self._node(height, start >> height, size))
            start += 1 << height
        return roots

    def _node(self, height: int, index: int, size: int) -> bytes:
        """Return the root of the perfect subtree with this height and number."""
        level, within = divmod(height, _HEIGHT)
        tile, place = divmod(index, TILE_WIDTH >> within)
        width = min(TILE_WIDTH, (size >> _HEIGHT * level) - tile * TILE_WIDTH)
        return self._rows(level, tile, width)[within][place]

    def _rows(self, level: int, tile: int, width: int) -> _Rows:
        key = level, tile, width
        if key not in self._known:
            rows = _rows(split_hashes(self._tiles.read(level, tile, width)))
            if len(self._known) >= _MOST_TILES:
                self._known.pop(next(iter(self._known)))
            self._known[key] = rows
        return self._known[key]


def climb(leaf: bytes, steps: Iterable[AuditStep]) -> list[bytes]:
    """Return the hashes on the way up, from the leaf to the root to which the steps lead."""
    hashes = [leaf]
    for step in steps:
        ours = hashes[-1]
        hashes.append(node_hash(step.hash, ours) if step.side == "left" else node_hash(ours, step.hash))
    return hashes


def _split(width: int) -> int:
    """Return the largest power of two below `width` (RFC 6962, 2.1)."""
    return 1 << ((width - 1).bit_length() - 1)


def _rows(hashes: list[bytes]) -> _Rows:
    rows = [hashes]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)])
    return rows
