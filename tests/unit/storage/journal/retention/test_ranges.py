"""Sets of numbers compared with Python's own, and the text of an erasure's targets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.values.errors import Invalid
from storage.journal.retention.ranges import Builder, Ranges
from storage.journal.retention.targets import Targets

numbers = st.sets(st.integers(0, 60), max_size=40)


@given(numbers, numbers, st.integers(0, 60), st.integers(0, 60))
def test_it_is_a_set(one: set[int], other: set[int], start: int, stop: int) -> None:
    a, b = Ranges.of(one), Ranges.of(other)
    assert (list(a), len(a), bool(a)) == (sorted(one), len(one), bool(one))
    assert a | b == Ranges.of(one | other)
    assert a - b == Ranges.of(one - other)
    assert a.within(start, stop) == Ranges.of({number for number in one if start <= number < stop})
    assert [number in a for number in range(-1, 62)] == [number in one for number in range(-1, 62)]


@given(numbers)
def test_one_set_has_one_text(members: set[int]) -> None:
    ranges = Ranges.of(members)
    assert Ranges.parse(ranges.text) == ranges
    grown = Builder()
    for number in sorted(members):
        grown.add(number)
    assert grown.text == ranges.text


def test_the_text_of_a_set() -> None:
    assert Ranges([(740, 746), (800, 801)]).text == "740-745,800"
    assert (Ranges().text, Ranges.parse("")) == ("", Ranges())
    assert Ranges([(5, 3)]).text == ""


@pytest.mark.parametrize(
    "text", ["1-", "-1", "2-1", "01", "1,1", "2,1", "1,2", "1-2,3", "a", "1;2", " 1", "9" * 17, "1,"]
)
def test_any_other_spelling_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Ranges.parse(text)


@given(st.sets(st.tuples(st.integers(0, 50), st.integers(0, 3))), st.integers(1, 100))
def test_targets_are_a_set_of_parts(parts: set[tuple[int, int]], limit: int) -> None:
    targets = Targets.of(parts)
    assert Targets.parse(targets.text) == targets
    assert (targets.count, targets.last) == (len(parts), max((index for index, _ in parts), default=-1))
    assert {(index, place) for index in range(51) for place in targets.of_record(index)} == parts
    pieces = list(targets.pieces(limit))
    assert sum(piece.count for piece in pieces) == len(parts)
    together = Targets({})
    for piece in pieces:
        together |= piece
    assert together == targets


@pytest.mark.parametrize("text", [None, 5, "x:1", "0:1", "1:2;0", "1:2;1:3", "1:", ";", "1:2;", "99999999:1"])
def test_other_texts_are_refused(text: object) -> None:
    with pytest.raises(Invalid):
        Targets.parse(text)


def test_hundreds_of_thousands_of_single_parts_fit_into_few_records() -> None:
    targets = Targets.of((index, 0) for index in range(1_000_000, 1_600_000, 2))
    pieces = list(targets.pieces())
    assert (len(pieces), targets.count) == (3, 300_000)
    assert max(len(piece.text) for piece in pieces) < 2 * 1024 * 1024
