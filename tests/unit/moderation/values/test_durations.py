"""Lengths of time as people write them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from moderation.values.durations import MAX_MS, MS_PER, Duration, parse_duration


class Holder(BaseModel):
    span: Duration


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("90s", 90_000),
        ("10m", 600_000),
        ("2h", 7_200_000),
        ("3d", 259_200_000),
        ("1w", 604_800_000),
        ("1h30m", 5_400_000),
        (" 10M ", 600_000),
        ("3660d", MAX_MS),
    ],
)
def test_valid_durations_are_parsed(text: str, ms: int) -> None:
    assert parse_duration(text) == ms
    assert Holder(span=text).span == ms  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["", "10", "m", "0s", "-1h", "1.5h", "1h 30m", "1y", "٣d", "²d", "1" * 10 + "s", "3661d"]
)
def test_invalid_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)
    with pytest.raises(ValidationError):
        Holder(span=text)  # type: ignore[arg-type]


@pytest.mark.parametrize("ms", [0, -1, MAX_MS + 1])
def test_numbers_are_held_to_the_same_bounds(ms: int) -> None:
    with pytest.raises(ValidationError):
        Holder(span=ms)


@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from(sorted(MS_PER))), min_size=1, max_size=4))
def test_the_pieces_add_up(pieces: list[tuple[int, str]]) -> None:
    total = sum(number * MS_PER[unit] for number, unit in pieces)
    text = "".join(f"{number}{unit}" for number, unit in pieces)
    if 0 < total <= MAX_MS:
        assert parse_duration(text) == total
    else:
        with pytest.raises(ValueError, match="duration"):
            parse_duration(text)


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert 0 < parse_duration(text) <= MAX_MS
