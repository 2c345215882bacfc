"""The part of `verify` that checks purges: they must be declared, complete, and not too early.

What can be known about purged records: their hashes, from the tiles above them; their number, from `min_index` and the
first record that stayed; the day they reached, from the closing checkpoint over exactly as many records, which stays.
A purge was too early if that day had not been over for `FLOOR_DAYS` when the purge was recorded.

What cannot be known: the time of a purged record, beyond the name of that checkpoint's file; whether a copy survives.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import cast

from moderation.values.events import Json
from storage.journal.days import Day
from storage.journal.line_format import is_time, time_ms
from storage.journal.merkle import HASH_BYTES, Tree, widths
from storage.journal.report import Findings
from storage.journal.retention.purge import FLOOR_DAYS, FLOOR_MS, MIN_INDEX, read_min_index
from storage.journal.transparency.tiles import NoTile, Tiles

from .parts import Where


class PurgeCheck:
    """Compares `min_index` and the purge records with the records that are there."""

    def __init__(self, folder: Path, findings: Findings) -> None:
        self.minimum = 0
        self._folder = folder
        self._findings = findings
        self._declared: list[tuple[int, str, int]] = []  # index, time, below

    def tree_before(self, first: int | None) -> Tree | None:
        """Return the tree before the first remaining record; None, after a finding, if nothing can be checked."""
        minimum = read_min_index(self._folder)
        if minimum is None or (first is not None and first > minimum > 0):
            self._findings.add("purge_mismatch", MIN_INDEX, index=first or 0, minimum=minimum or 0)
            return None
        self.minimum = minimum
        if not minimum or not first:
            return Tree()
        try:
            return Tiles(self._folder / "tile").tree(first)
        except NoTile:
            self._name_lost(first)
            return None

    def take(self, skeleton: Mapping[str, Json]) -> None:
        """Remember a purge record."""
        if type(below := skeleton.get("below")) is int:
            self._declared.append((cast(int, skeleton["i"]), cast(str, skeleton["t"]), below))

    def finish(self, first: int, closing: Mapping[str, int], where: Where) -> None:
        """Check the purge records.

        `first` is the first remaining record; `closing` has the sizes of the closing checkpoints by day.
        """
        reached = max((below for _, _, below in self._declared), default=0)
        if max(first, self.minimum) > reached:
            self._findings.add("purge_undeclared", MIN_INDEX, first=max(first, self.minimum))
        for index, at, below in self._declared:
            if 0 < below <= first and is_time(at):
                self._check_time(index, time_ms(at), below, closing, where)

    def _check_time(self, index: int, at_ms: int, below: int, closing: Mapping[str, int], where: Where) -> None:
        days = [day for day, size in closing.items() if size == below]
        file, line = where(index)
        if not days:
            self._findings.add("purge_unproved", file, line, index, below=below)
        elif Day(max(days), Path()).end_ms + FLOOR_MS > at_ms:
            self._findings.add("purge_early", file, line, index, below=below, day=max(days), floor=FLOOR_DAYS)

    def _name_lost(self, first: int) -> None:
        """Report the lost tiles that are needed to check anything after a purge and cannot be rebuilt."""
        tiles = Tiles(self._folder / "tile")
        for level, width in enumerate(widths(first)):
            try:
                assert not width or len(tiles.read(level, first // 256 ** (level + 1), width)) == width * HASH_BYTES
            except NoTile as error:
                self._findings.add("tile_lost", f"tile/{error}", first=first)


def check_order(closing: Mapping[str, int], findings: Findings) -> None:
    """Check that the closing checkpoints of later days cover no fewer records."""
    days = sorted(closing)
    for before, after in pairwise(days):
        if closing[before] > closing[after]:
            findings.add(
                "closing_order", f"checkpoints/{after}.ckpt", other=f"checkpoints/{before}.ckpt", signed=closing[after]
            )
