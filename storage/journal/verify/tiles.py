"""The part of `verify` that compares the tiles with the leaves (C2SP tlog-tiles).

Rules kept here:
- Every tile that existed when the check began must match the hashes of the records.
- Every tile that the newest checkpoint promises must exist.
- If a level-0 tile and a line disagree, neither is trusted yet: this is a doubt, which `verify` settles by the signed
  root.
"""

from pathlib import Path

from storage.journal.merkle import HASH_BYTES, TILE_WIDTH, Tree
from storage.journal.report import Findings
from storage.journal.transparency.tiles import TileName, Tiles

_MAX_DOUBTS = 100


class TileCheck:
    """The tiles that existed when the check began, compared as the tree grows."""

    def __init__(self, folder: Path, findings: Findings) -> None:
        self.first = 0  # full level-0 tiles that end at or below this index were purged
        self.doubts: set[tuple[int, str]] = set()  # index of a leaf, and the tile that disagrees
        self._tiles = Tiles(folder / "tile")
        self._findings = findings
        self._partial: dict[tuple[int, int], list[TileName]] = {}
        self._full: set[TileName] = set()

    def purged_below(self, minimum: int) -> None:
        """Expect no full tiles of leaves that were all purged; the first record kept is `minimum`."""
        self.first = minimum // TILE_WIDTH * TILE_WIDTH

    def look(self) -> None:
        """List the tiles that exist now. This comes before reading the lines, as tiles are written after lines."""
        for name in self._tiles.names():
            if isinstance(name, str):
                self._findings.add("tile_name", f"tile/{name}")
            elif name.width == TILE_WIDTH:
                self._full.add(name)
            else:
                self._partial.setdefault((name.level, name.index), []).append(name)

    def leaf(self, index: int) -> bytes | None:
        """Return the hash that any tile stores for a leaf, or None."""
        at = index % TILE_WIDTH
        partial = self._partial.get((0, index // TILE_WIDTH), [])
        for name in [TileName(0, index // TILE_WIDTH), *partial]:
            data = self._read(name)
            if data is not None and at < name.width:
                return data[at * HASH_BYTES : (at + 1) * HASH_BYTES]
        return None

    def compare(self, tree: Tree) -> None:
        """Compare the tiles that became full."""
        for level, index, data in tree.full_tiles():
            name = TileName(level, index)
            if name in self._full:
                self._full.discard(name)
                self._compare(name, data)
            self._compare_partial(level, index, data)
        tree.forget_full_tiles()

    def compare_edges(self, tree: Tree) -> None:
        """Compare the partial tiles at the right edge."""
        for level, edge in enumerate(tree.edges):
            self._compare_partial(level, tree.size // TILE_WIDTH ** (level + 1), bytes(edge))

    def check_presence(self, signed: int, size: int) -> None:
        """Check that the tiles a checkpoint over `signed` records promises exist, and none beyond the `size` read."""
        if signed <= size:
            self._check_promised(signed)
        for name in sorted(self._full.union(*self._partial.values())):
            if name.end > self.first:
                self._findings.add("tile_beyond", f"tile/{name.path}", found=size)

    def _check_promised(self, signed: int) -> None:
        """Report missing tiles: those for a checkpoint's size MUST exist (C2SP tlog-tiles)."""
        size, level = signed, 0
        while size:
            full, width = divmod(size, TILE_WIDTH)
            least = self.first // TILE_WIDTH if level == 0 else 0
            names = [TileName(level, index) for index in range(least, full)]
            names += [TileName(level, full, width)] if width else []
            for name in names:
                if self._stored(name) is None:
                    self._findings.add("tile_missing", f"tile/{name.path}")
            size, level = full, level + 1

    def _stored(self, name: TileName) -> Path | None:
        for width in (name.width, TILE_WIDTH):  # a partial tile is removed only after the full one was written
            path = self._tiles.folder / TileName(name.level, name.index, width).path
            if path.is_file():
                return path
        return None

    def _compare_partial(self, level: int, index: int, data: bytes) -> None:
        for name in self._partial.pop((level, index), []):
            if name.width * HASH_BYTES > len(data):
                self._findings.add(
                    "tile_beyond", f"tile/{name.path}", found=index * TILE_WIDTH + len(data) // HASH_BYTES
                )
            else:
                self._compare(name, data[: name.width * HASH_BYTES])

    def _compare(self, name: TileName, data: bytes) -> None:
        stored = self._read(name)
        file = f"tile/{name.path}"
        if stored is None or stored == data:
            return
        if name.level or len(stored) != len(data):
            self._findings.add("tile", file, index=name.index * TILE_WIDTH ** (name.level + 1))
            return
        for at in range(0, len(data), HASH_BYTES):
            if stored[at : at + HASH_BYTES] != data[at : at + HASH_BYTES] and len(self.doubts) < _MAX_DOUBTS:
                self.doubts.add((name.index * TILE_WIDTH + at // HASH_BYTES, file))

    def _read(self, name: TileName) -> bytes | None:
        """Return the bytes of a tile; None if it was superseded since `look`."""
        try:
            with (self._tiles.folder / name.path).open("rb") as file:
                return file.read(TILE_WIDTH * HASH_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
