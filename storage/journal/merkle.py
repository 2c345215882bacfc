"""The Merkle tree over the records, as RFC 6962 section 2.1 defines it.

Rules kept here:
- A leaf is hashed with a prefix 0x00 and a node with 0x01, so that neither can pass for the other.
- The tree of n leaves splits at the largest power of two below n.
- `Tree` grows by one leaf at a time and stores only its right edge: the roots of its perfect subtrees and the last
  tile of each level (C2SP tlog-tiles: 256 hashes, eight tree levels high).
Left to others: what a leaf is (`line_format.py`), where tiles are stored (`storage/journal/transparency/tiles.py`).
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

HASH_BYTES = 32
TILE_WIDTH = 256
_TILE_HEIGHT = 8
EMPTY_ROOT = sha256().digest()  # RFC 6962, 2.1: MTH({}) = SHA-256()


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of one leaf (RFC 6962, 2.1)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 6962, 2.1)."""
    return sha256(b"\x01" + left + right).digest()


def perfect_subtrees(hashes: Sequence[bytes]) -> list[bytes]:
    """Return the roots of the largest perfect subtrees over `hashes`, left to right."""
    roots: list[bytes] = []
    row = list(hashes)
    while row:
        if len(row) % 2:  # a hash without a sibling at this height is a subtree of its own
            roots.append(row.pop())
        row = [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=True)]
    return roots[::-1]


def fold(roots: Sequence[bytes]) -> bytes:
    """Return the root of the tree whose perfect subtrees these are, largest first."""
    if not roots:
        return EMPTY_ROOT
    total = roots[-1]
    for left in reversed(roots[:-1]):
        total = node_hash(left, total)
    return total


def split_hashes(data: bytes) -> list[bytes]:
    """Split a run of hashes into single ones."""
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def widths(size: int) -> list[int]:
    """Return for each level the number of hashes in its partial tile, for a tree of `size` (C2SP tlog-tiles)."""
    found = []
    while size:
        found.append(size % TILE_WIDTH)
        size //= TILE_WIDTH
    return found


FullTile = tuple[int, int, bytes]  # level, index, 256 hashes


class Tree:
    """A growing tree. `edges[l]` is the partial tile at the right edge of level l; it may be empty."""

    def __init__(self) -> None:
        self.size = 0
        self.edges: list[bytearray] = [bytearray()]
        self._roots: list[bytes] = []  # perfect subtrees, largest first
        self._full: list[FullTile] = []

    @classmethod
    def resume(cls, size: int, tile: Callable[[int, int, int], bytes]) -> "Tree":
        """Rebuild the tree of `size` leaves from its edge; `tile(level, index, width)` returns a run of hashes."""
        tree = cls()
        tree.size = size
        tree.edges = [
            bytearray(tile(level, size // TILE_WIDTH ** (level + 1), width) if width else b"")
            for level, width in enumerate(widths(size))
        ] or [bytearray()]
        for edge in reversed(tree.edges):
            tree._roots += perfect_subtrees(split_hashes(bytes(edge)))
        return tree

    def add(self, leaf: bytes) -> None:
        """Append one leaf hash."""
        self._grow_edge(0, leaf)
        self._carry(leaf, 0)
        self.size += 1

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Append leaf hashes, whole tiles at a time where possible."""
        at = min(-self.size % TILE_WIDTH, len(leaves))
        for leaf in leaves[:at]:
            self.add(leaf)
        while len(leaves) - at >= TILE_WIDTH:
            self._add_tile(leaves[at : at + TILE_WIDTH])
            at += TILE_WIDTH
        for leaf in leaves[at:]:
            self.add(leaf)

    def root(self) -> bytes:
        """Return the root of the tree as it is now (RFC 6962, 2.1)."""
        return fold(self._roots)

    def full_tiles(self) -> list[FullTile]:
        """Return the tiles completed since `forget_full_tiles`, in the order of their completion."""
        return list(self._full)

    def forget_full_tiles(self) -> None:
        """Forget the completed tiles, which are on disk now."""
        self._full.clear()

    def _add_tile(self, leaves: Sequence[bytes]) -> None:
        self._full.append((0, self.size // TILE_WIDTH, b"".join(leaves)))
        root = perfect_subtrees(leaves)[0]
        self._grow_edge(1, root)
        self._carry(root, _TILE_HEIGHT)
        self.size += TILE_WIDTH

    def _carry(self, node: bytes, height: int) -> None:
        """Join a new subtree to its left neighbours, as in binary addition: two equal ones make a larger one."""
        size, roots = self.size, self._roots
        while size >> height & 1:
            node = sha256(b"\x01" + roots.pop() + node).digest()
            height += 1
            if height % _TILE_HEIGHT == 0:
                self._grow_edge(height // _TILE_HEIGHT, node)
        roots.append(node)

    def _grow_edge(self, level: int, node: bytes) -> None:
        if level == len(self.edges):
            self.edges.append(bytearray())
        edge = self.edges[level]
        edge += node
        if len(edge) == TILE_WIDTH * HASH_BYTES:
            index = self.size // TILE_WIDTH ** (level + 1)
            self._full.append((level, index, bytes(edge)))
            edge.clear()
