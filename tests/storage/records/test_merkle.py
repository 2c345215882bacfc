"""The tree against RFC 6962 written down naively, and the tiles against their formal definition."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.records.merkle import Tree, leaf_hash, node_hash, tile_root, widths
from storage.records.tiles import NoTile, TileName, Tiles

LEAVES = [leaf_hash(str(number).encode()) for number in range(66_000)]


def test_hashes_of_the_specification() -> None:
    assert Tree().root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert node_hash(b"l", b"r") == hashlib.sha256(b"\x01lr").digest()


def test_the_root_at_every_size(tools: Any) -> None:
    tree = Tree()
    for size, leaf in enumerate(LEAVES[:600]):
        if size % 7 == 0 or size in (255, 256, 257, 511, 512, 513):
            assert tree.root() == tools.naive_root(LEAVES[:size])
        tree.add(leaf)


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 65_536 + 255])
def test_the_root_where_the_third_level_of_tiles_begins(size: int, tools: Any) -> None:
    tree = Tree()
    tree.extend(LEAVES[:size])
    assert tree.root() == tools.naive_root(LEAVES[:size])


@given(st.lists(st.integers(0, 700), max_size=6))
def test_it_does_not_matter_how_leaves_come(pieces: list[int]) -> None:
    one, other, at = Tree(), Tree(), 0
    for piece in pieces:
        one.extend(LEAVES[at : at + piece])
        for leaf in LEAVES[at : at + piece]:
            other.add(leaf)
        at += piece
    assert (one.size, one.root(), one.edges) == (other.size, other.root(), other.edges)
    assert one.full_tiles() == other.full_tiles()


@given(st.integers(0, 66_000), st.integers(0, 600))
def test_a_tree_goes_on_from_its_tiles(size: int, more: int) -> None:
    whole, edge = Tree(), Tree()
    edge.extend(LEAVES[:size])
    whole.extend(LEAVES[: size + more])

    def tile(level: int, index: int, width: int) -> bytes:
        assert index == size // 256 ** (level + 1)
        return bytes(edge.edges[level])[: width * 32]

    resumed = Tree.resume(size, tile)
    resumed.extend(LEAVES[size : size + more])
    assert (resumed.size, resumed.root()) == (whole.size, whole.root())


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (TileName(0, 0), "0/000"),
        (TileName(0, 1234067), "0/x001/x234/067"),
        (TileName(0, 273, 112), "0/273.p/112"),
        (TileName(63, 999), "63/999"),
        (TileName(1, 1000, 1), "1/x001/000.p/1"),
    ],
)
def test_paths_of_tiles(name: TileName, path: str) -> None:
    assert name.path == path
    assert TileName.parse(path) == name


@pytest.mark.parametrize(
    "path", ["64/000", "0/00", "0/x000/000", "00/000", "0/000.p/0", "0/000.p/256", "0/000.p/01", "0/001/000", "a", ""]
)
def test_names_no_tile_has(path: str) -> None:
    assert TileName.parse(path) is None


def test_the_tiles_of_a_tree_of_70000() -> None:
    """The example of C2SP tlog-tiles, "Partial Tiles"."""
    assert widths(70_000) == [112, 17, 1]
    assert widths(256) == [0, 1]
    assert [TileName(0, 273, 112).end, TileName(1, 1, 17).end, TileName(2, 0, 1).end] == [70_000, 69_888, 65_536]


def test_what_is_written_is_what_the_specification_defines(tmp_path: Path, tools: Any) -> None:
    tiles, tree = Tiles(tmp_path), Tree()
    for size in (100, 256, 300, 65_536, 65_900):
        tree.extend(LEAVES[tree.size : size])
        tiles.write(tree)
        assert tiles.root(size) == tools.naive_root(LEAVES[:size])
    assert tiles.read(0, 200, 256) == b"".join(LEAVES[200 * 256 : 201 * 256])
    assert tiles.read(1, 0, 256)[:32] == tools.naive_root(LEAVES[:256])
    assert tiles.read(2, 0, 1) == tools.naive_root(LEAVES[:65_536])
    assert tile_root(tiles.read(1, 0, 256)) == tools.naive_root(LEAVES[:65_536])
    partial = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.p"))
    assert partial == ["0/257.p", "1/001.p", "2/000.p"]  # those of tiles that are full by now are gone


def test_a_tile_is_never_overwritten(tmp_path: Path) -> None:
    tiles, tree = Tiles(tmp_path), Tree()
    tree.extend(LEAVES[:10])
    assert tiles.write(tree) == 1
    assert tiles.write(tree) == 0
    (tmp_path / "0/000.p/10").write_bytes(b"\0" * 320)
    with pytest.raises(FileExistsError):
        tiles.write(tree)


def test_a_tile_of_the_wrong_length_is_no_tile(tmp_path: Path) -> None:
    tiles = Tiles(tmp_path)
    (tmp_path / "0/000.p").mkdir(parents=True)
    (tmp_path / "0/000.p/3").write_bytes(b"\0" * 95)
    for width in (3, 4):
        with pytest.raises(NoTile):
            tiles.read(0, 0, width)
