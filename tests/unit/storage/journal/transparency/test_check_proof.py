"""Proofs of another log: what was made for it holds, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.journal.merkle import leaf_hash, node_hash
from storage.journal.transparency.check_proof import is_continued, is_included
from tests import proofs

SIZES = range(1, 34)
LEAVES = [leaf_hash(bytes([at])) for at in range(40)]


def root(start: int, stop: int) -> bytes:
    """Return the root as RFC 6962, 2.1, defines it."""
    if stop - start == 1:
        return LEAVES[start]
    middle = start + _split(stop - start)
    return node_hash(root(start, middle), root(middle, stop))


def path(index: int, start: int, stop: int) -> list[bytes]:
    if stop - start == 1:
        return []
    middle = start + _split(stop - start)
    if index < middle:
        return [*path(index, start, middle), root(middle, stop)]
    return [*path(index, middle, stop), root(start, middle)]


def grown(old: int, start: int, stop: int, known: bool = True) -> list[bytes]:
    if old == stop - start:
        return [] if known else [root(start, stop)]
    middle = _split(stop - start)
    if old <= middle:
        return [*grown(old, start, start + middle, known), root(start + middle, stop)]
    return [*grown(old - middle, start + middle, stop, False), root(start, start + middle)]


def _split(width: int) -> int:
    return 1 << ((width - 1).bit_length() - 1)


@pytest.mark.parametrize("size", SIZES)
def test_each_record_is_proved_at_its_place_and_at_no_other(size: int) -> None:
    whole = root(0, size)
    for index in range(size):
        proof = path(index, 0, size)
        places = [at for at in range(size) if is_included(LEAVES[index], at, size, proof, whole)]
        assert places == [index]
        assert proofs.verify_inclusion(LEAVES[index], index, size, proof, whole)


@pytest.mark.parametrize("size", SIZES)
def test_a_tree_continues_each_earlier_one(size: int) -> None:
    for old in range(1, size + 1):
        proof = grown(old, 0, size)
        assert is_continued(old, size, proof, root(0, old), root(0, size))
        assert not is_continued(old, size, proof, LEAVES[39], root(0, size))
        assert not is_continued(old, size, [*proof, LEAVES[0]], root(0, old), root(0, size))


@given(st.integers(-2, 40), st.integers(-2, 40), st.lists(st.binary(min_size=31, max_size=32), max_size=7))
def test_anything_else_is_refused_without_an_error(index: int, size: int, proof: list[bytes]) -> None:
    assert not is_included(b"\x01" * 32, index, size, proof, b"\x02" * 32)
    assert not is_continued(index, size, proof, b"\x01" * 32, b"\x02" * 32)
