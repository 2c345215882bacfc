"""The window ends at the message, and an edit is no message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from moderation.ids import EventId
from moderation.rules.flood import Flood, Settings
from moderation.rules.port import Hit, View
from tests.moderation.rules.posting import named, posted

RULE = Flood(Settings.model_validate({"messages": 3, "within": "10s"}))


def test_one_more_than_the_limit_is_too_many() -> None:
    assert RULE.check(posted("x", at=9_000), View((1_000, 2_000, 9_000))) is None
    assert RULE.check(posted("x", at=9_000), View((1_000, 2_000, 3_000, 9_000))) == Hit(
        numbers={"count": 4, "limit": 3, "within_ms": 10_000}
    )


def test_a_message_as_old_as_the_window_has_left_it() -> None:
    assert RULE.check(posted("x", at=11_000), View((1_000, 2_000, 3_000, 11_000))) is None


def test_later_messages_do_not_count() -> None:
    assert RULE.check(posted("x", at=2_000), View((1_000, 2_000, 3_000, 4_000))) is None


def test_edits_and_joins_are_no_messages() -> None:
    view = View(tuple(range(100)))
    assert RULE.check(posted("x", at=99, replaces=EventId("$first")), view) is None
    assert RULE.check(named("x"), view) is None


@given(st.lists(st.integers(0, 50_000), max_size=30))
def test_it_counts_as_one_would_by_hand(times: list[int]) -> None:
    recent = (*sorted(times), 50_000)
    count = sum(40_000 < time <= 50_000 for time in recent)
    hit = RULE.check(posted("x", at=50_000), View(recent))
    assert (hit.numbers["count"] if hit else None) == (count if count > 3 else None)


@pytest.mark.parametrize("bad", [{"messages": 0}, {"within": "soon"}, {"window": "10s"}])
def test_settings_that_make_no_sense_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(bad)
