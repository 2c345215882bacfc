"""Messages that are too long or full of signs are found; ordinary ones in any script are not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.rules.check import Hit, View
from moderation.rules.shape import Shape, ShapeSettings, share_of_signs
from moderation.values.ids import UserId
from tests.unit.moderation.rules.posting import SENDER, named, posted


def hit(text: str, **settings: int) -> dict[str, int] | None:
    found = Shape(ShapeSettings(**settings)).check(posted(text), View())
    return dict(found.numbers) if isinstance(found, Hit) else None


@pytest.mark.parametrize(
    ("text", "settings", "numbers"),
    [
        ("x" * 11, {"max_length": 10}, {"count": 11, "limit": 10}),
        ("x" * 10, {"max_length": 10}, None),
        ("  x\n\n", {"max_length": 1, "max_lines": 1}, None),
        ("a\nb\nc", {"max_lines": 2}, {"count": 3, "limit": 2}),
        ("🎉" * 30, {"max_signs": 50}, {"count": 100, "limit": 50}),
        ("!" * 19, {"max_signs": 50}, None),
    ],
)
def test_a_text_is_measured(text: str, settings: dict[str, int], numbers: dict[str, int] | None) -> None:
    assert hit(text, **settings) == numbers


@pytest.mark.parametrize(("height", "found"), [(64, None), (65, {"count": 65, "limit": 64}), (0, None)])
def test_a_picture_in_a_text_is_as_high_as_its_sender_says(height: int, found: dict[str, int] | None) -> None:
    event = replace(posted("look"), tallest=height)
    hit = Shape(ShapeSettings(max_emoji_height=64)).check(event, View())
    assert (dict(hit.numbers) if hit else None) == found


def test_an_id_that_is_too_long_is_found_wherever_it_shows() -> None:
    check = Shape(ShapeSettings(max_user_id=len(SENDER)), frozenset({"body"}))
    longer = UserId(f"@a{SENDER[1:]}")
    for event in (posted("hello"), named("Ann")):
        assert check.check(event, View()) is None
        hit = check.check(replace(event, sender=longer), View())
        assert hit == Hit(numbers={"count": len(SENDER) + 1, "limit": len(SENDER)})


@pytest.mark.parametrize(
    "text",
    [
        "An ordinary sentence, with a comma (and brackets).",
        "这是一句普通的中文，带有标点符号，没有别的什么。",
        "ประโยคภาษาไทยธรรมดาที่มีสระและวรรณยุกต์",
        "यह हिंदी का एक साधारण वाक्य है, बस इतना ही।",
        "مَرْحَبًا بِكُمْ فِي هَذِهِ الغُرْفَةِ الجَمِيلَةِ",
        "12:30, 13:45, 14:50, 15:55, 16:20",
    ],
)
def test_ordinary_text_has_few_signs(text: str) -> None:
    assert share_of_signs(text) <= 40


def test_letters_under_heaps_of_accents_are_signs() -> None:
    assert share_of_signs("h\u0315\u0310\u0346\u034b\u0301\u0302\u0303\u0304" * 10) > 60


@given(st.text())
def test_any_text_has_a_share(text: str) -> None:
    assert 0 <= share_of_signs(text) <= 100
