"""The tree against RFC 6962 written down naively, and the tiles against their formal definition."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.journal.merkle import Tree, leaf_hash, node_hash, perfect_subtrees, split_hashes, widths
from storage.journal.transparency.tiles import NoTile, TileName, Tiles

LEAVES = [leaf_hash(str(number).encode()) for number in range(66_000)]

# What pymerkle 7.0.0, which shares no code with us, says of the first LEAVES: `InmemoryTree(algorithm="sha256")`, then
# `append_entry(str(number).encode())` for each number below the size, then `get_root().hex()`. It is no dependency of
# the tests: it wants another version of cachetools than the one that is locked for the product.
ROOTS_OF_PYMERKLE = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "db3426e878068d28d269b6c87172322ce5372b65756d0789001d34835f601c03",
    2: "cb00989d94a569c0a678ae042b63dcd4625db96440517f37a6eb7976ea24ed4b",
    3: "725d5230db68f557470dc35f1d8865813acd7ebb07ad152774141decbae71327",
    4: "9f4a3fc20d4162dc37d4e23d907848731a76043ffff6d69288bf1abfbcff478e",
    5: "b6748f6ed7a99de7da84fd97e1a3bac6fab8999f4a43695cab9528a2de431147",
    7: "a3e23b32ccb6bf96d092d165d8aa546e09829de8f03b0e8957581d1e16b92bdf",
    8: "3b85a9626c1ccb64c6b95ec7fa64888defe2cf12e39e77e10812ce5fcb9cb58e",
    9: "e10cb99e8a9c48ae8a25e6c37ab3c88e6c93e8cf2a62cf7e4dcac1ea597e77d4",
    15: "ed9fbf444b8720911036bd67196cf53ac2a9d990ec95c9d51c79fc4b07f4c966",
    16: "acfca191dcca991f54c07c54700b28ac8625e74614b2dadb96e7ae94694bedc8",
    17: "1b2243bde9d95f307eb27d826ab93d1d95354d98f78633815a0189158c3a3c95",
    31: "e0e1f4b5608c8e78fb7e761e0d370bb313d04bf11d447119479aff07733996e2",
    32: "045771ee374b4f64c06fd3c905f8676c0594d72f062717dfb83b2f20c64772cc",
    33: "b232d45be7cf6487ff0b521d2d1681b929f1d98fff2dbea2412ada287b98a7a0",
    63: "bc8f556b260efc44e31a93b35a7cb5487c286725c489ccec8ed94e731437cb04",
    64: "391a31ee43d791bbe11932a5a2242719c18874e81cf32f0d8d3d7bf31bfca6b8",
    65: "8b1a70c7c7fcebc868e5f3ae7c127fc9b1cc13f6d34699976e42592abc233d84",
    127: "cdcefe23d982e0ab33566a015652b3fc50ea5fb71ddfc22ed770ae176621b723",
    128: "97adc2bae9aeb7162c680d886f079737c48ebe351465acb16a5ffe7dab8ecb69",
    129: "99bc70eb3851c928d6b5c425537a81c67e5a4c0eea20fe55b888518a7032131c",
    255: "32f85bcaa87d7bcd05728f09e9aeba350ba6a2f733830087f0597682848be5cb",
    256: "828515d033c19d8c901f37eccb8aed919667703486f8d2fff1cf7040321c5db1",
    257: "1eda049a4351d86f76252bd7ec0b7746ad75b7fa0316ad5f541dbda458a312c4",
    511: "5f3d69e102370be409122d11a2e605e6b653b071b8b4b4bd2833fae40652f11d",
    512: "d4b2162495ca609dc06390d353ca0c55107765c609e0226eb747d89105dc8d55",
    513: "c24f62075c76ec77f6bf5159e732cf1952814fb1bea007e33e92ad9bdd7afda0",
    1000: "638afa98022925bacfddadb15ef22fd0199c1ac99c2973b6158243d13fce05c2",
    1023: "d6e508f15c513c7f41e585a2bba5e0d03981790427bb7ac756502a4424d1ce87",
    1024: "7d9c2efa0634b76157b60c07696b4753ac25b1fd324539fccd5d2c638a8c02b9",
    1025: "ba9b10a0d60d30dbfdff3c0bbd42e01be43185aade36ec0f7d720275efaf102b",
}


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


@pytest.mark.parametrize("size", ROOTS_OF_PYMERKLE)
def test_the_root_is_the_one_another_implementation_finds(size: int) -> None:
    added, extended = Tree(), Tree()
    for leaf in LEAVES[:size]:
        added.add(leaf)
    extended.extend(LEAVES[:size])
    assert added.root().hex() == extended.root().hex() == ROOTS_OF_PYMERKLE[size]


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
    """This is the example of C2SP tlog-tiles, "Partial Tiles"."""
    assert widths(70_000) == [112, 17, 1]
    assert widths(256) == [0, 1]
    assert [TileName(0, 273, 112).end, TileName(1, 1, 17).end, TileName(2, 0, 1).end] == [70_000, 69_888, 65_536]


def test_written_tiles_follow_the_specification(tmp_path: Path, tools: Any) -> None:
    tiles, tree = Tiles(tmp_path), Tree()
    for size in (100, 256, 300, 65_536, 65_900):
        tree.extend(LEAVES[tree.size : size])
        tiles.write(tree)
        assert tiles.root(size) == tools.naive_root(LEAVES[:size])
    assert tiles.read(0, 200, 256) == b"".join(LEAVES[200 * 256 : 201 * 256])
    assert tiles.read(1, 0, 256)[:32] == tools.naive_root(LEAVES[:256])
    assert tiles.read(2, 0, 1) == tools.naive_root(LEAVES[:65_536])
    assert perfect_subtrees(split_hashes(tiles.read(1, 0, 256)))[0] == tools.naive_root(LEAVES[:65_536])
    partial = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.p"))
    assert partial == ["0/257.p", "1/001.p", "2/000.p"]  # partial tiles whose full tile exists were removed


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
