"""The hashes of the tree on disk, as tiles (C2SP tlog-tiles).

Rules kept here:
- A tile is written once and never changed; a full one has exactly 8192 bytes.
- The partial tiles of every signed size are kept until the full tile exists ("Logs MUST serve partial tiles
  corresponding to tree sizes for which a checkpoint was produced, but MAY delete any partial tile once the
  corresponding full tile is available"), then removed.
- Tiles contain only hashes: all of them can be rebuilt from the days.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from storage.journal import disk
from storage.journal.merkle import HASH_BYTES, TILE_WIDTH, FullTile, Tree

_NAME = re.compile(r"(?P<level>\d|[1-5]\d|6[0-3])/(?P<index>(?:x\d{3}/)*\d{3})(?:\.p/(?P<width>[1-9]\d{0,2}))?")


class NoTile(LookupError):
    """Raised if a tile does not exist or does not have the length that its name promises."""


@dataclass(frozen=True, slots=True, order=True)
class TileName:
    """The name of a tile: level, index within the level, and number of hashes (256: full)."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """The path below ``tile/``, e.g. ``0/x001/x234/067.p/8`` (C2SP tlog-tiles, "Merkle Tree")."""
        groups = [f"{self.index % 1000:03d}"]
        rest = self.index // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03d}")
            rest //= 1000
        tail = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"{self.level}/{'/'.join(groups)}{tail}"

    @classmethod
    def parse(cls, path: str) -> "TileName | None":
        """Parse what `path` wrote; return None for a name that no tile has."""
        found = _NAME.fullmatch(path)
        if not found:
            return None
        index = int(found["index"].replace("/", "").replace("x", ""))
        name = cls(int(found["level"]), index, int(found["width"] or TILE_WIDTH))
        return name if name.path == path and name.width <= TILE_WIDTH else None

    @property
    def end(self) -> int:
        """The number of leaves that the tree must have for the tile to exist."""
        span: int = TILE_WIDTH**self.level  # leaves under one hash
        return (self.index * TILE_WIDTH + self.width) * span


class Tiles:
    """The folder ``tile/`` of a log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, level: int, index: int, width: int) -> bytes:
        """Return the first `width` hashes of a tile, from the full tile or the partial one. Raises `NoTile`."""
        for stored in (width, TILE_WIDTH):  # a partial tile is removed only after the full one was written
            with suppress(FileNotFoundError, NotADirectoryError):
                data = (self.folder / TileName(level, index, stored).path).read_bytes()
                if len(data) == stored * HASH_BYTES:
                    return data[: width * HASH_BYTES]
        raise NoTile(TileName(level, index, width).path)

    def tree(self, size: int) -> Tree:
        """Return the tree of `size` leaves, ready to grow. Raises `NoTile`."""
        return Tree.resume(size, self.read)

    def root(self, size: int) -> bytes:
        """Return the root of the tree of `size` leaves. Raises `NoTile`."""
        return self.tree(size).root()

    def write(self, tree: Tree) -> int:
        """Write the tiles that a checkpoint of `tree` promises: the full ones, then the partial ones.

        Returns how many were written. Raises `FileExistsError` if a tile exists with other hashes.
        """
        full = tree.full_tiles()
        stored = [self._store(TileName(level, index), data) for level, index, data in full]
        for level, edge in enumerate(tree.edges):
            if edge:
                index = tree.size // TILE_WIDTH ** (level + 1)
                stored.append(self._store(TileName(level, index, len(edge) // HASH_BYTES), bytes(edge)))
        written = [path for path in stored if path]
        for folder in {path.parent for path in written}:
            disk.sync_directory(folder)
        self._drop_superseded(full)
        tree.forget_full_tiles()
        return len(written)

    def cut_back(self, size: int) -> None:
        """Remove the tiles that need more than `size` leaves, which no checkpoint promised; those promised stay.

        After a crash some may be left: then call this again.
        """
        for name in [each for each in self.names() if isinstance(each, TileName) and each.end > size]:
            path = self.folder / name.path
            kept = size // TILE_WIDTH**name.level - name.index * TILE_WIDTH
            promised = TileName(name.level, name.index, kept)  # it was removed when the full tile was written
            if kept > 0 and (made := self._store(promised, path.read_bytes()[: kept * HASH_BYTES])):
                disk.sync_directory(made.parent)
            disk.remove(path)

    def names(self) -> Iterator[TileName | str]:
        """Yield every file in the folder: as a tile name, or as a path if that names no tile."""
        for path in _files(self.folder):
            if not fnmatch(path.name, disk.DRAFTS):
                relative = path.relative_to(self.folder).as_posix()
                yield TileName.parse(relative) or relative

    def names_of_level(self, level: int) -> list[TileName]:
        """Return the full tiles of one level that exist."""
        names = (TileName.parse(path.relative_to(self.folder).as_posix()) for path in _files(self.folder / str(level)))
        return [name for name in names if name and name.width == TILE_WIDTH]

    def _store(self, name: TileName, data: bytes) -> Path | None:
        """Write a tile. Returns its path, or None if it was there already."""
        path = self.folder / name.path
        if path.exists() and path.read_bytes() == data:
            return None
        disk.make_folder(path.parent)
        disk.create_once(path, data)
        return path

    def _drop_superseded(self, full: list[FullTile]) -> None:
        for level, index, _ in full:
            path = self.folder / TileName(level, index).path
            disk.remove_folder(path.with_name(path.name + ".p"))


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, files in os.walk(folder, onerror=_unless_gone):
        yield from (Path(parent) / file for file in files)


def _unless_gone(error: OSError) -> None:
    """Ignore that a folder of partial tiles was removed while it was listed; raise any other error."""
    if not isinstance(error, FileNotFoundError):
        raise error
