"""The window ends at the message, and an edit does not count as a message."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from moderation.rules.check import Hit, View
from moderation.rules.flood import Flood, FloodSettings
from moderation.values.events import ReactionGiven
from moderation.values.ids import EventId
from tests.unit.moderation.rules.posting import ROOM, SENDER, named, posted

RULE = Flood(FloodSettings.model_validate({"messages": 3, "within": "10s"}))


def test_one_more_than_the_limit_is_too_many() -> None:
    assert RULE.check(posted("x", at=9_000), View((1_000, 2_000, 9_000))) is None
    assert RULE.check(posted("x", at=9_000), View((1_000, 2_000, 3_000, 9_000))) == Hit(
        numbers={"count": 4, "limit": 3, "within_ms": 10_000}
    )


def test_a_message_as_old_as_the_window_has_left_it() -> None:
    assert RULE.check(posted("x", at=11_000), View((1_000, 2_000, 3_000, 11_000))) is None


def test_later_messages_do_not_count() -> None:
    assert RULE.check(posted("x", at=2_000), View((1_000, 2_000, 3_000, 4_000))) is None


@pytest.mark.parametrize(
    ("sent", "counted"),
    [
        (5_000, 5_000),  # sent while the homeserver was unreachable: that time counts
        (500, 1_000),  # it cannot be older than the last contact, or it would have come then
        (99_000, 60_000),  # nor younger than its arrival
    ],
)
def test_late_messages_count_at_their_claimed_time_within_bounds(sent: int, counted: int) -> None:
    heard = replace(posted("x", at=60_000), sent_ms=sent)
    assert heard.counted_ms == 60_000  # a message received at once counts by its arrival, whatever its sender says
    missed = replace(heard, heard_ms=1_000)
    assert missed.counted_ms == counted
    assert RULE.check(missed, View((counted - 3, counted - 2, counted - 1, counted))) is not None
    assert RULE.check(missed, View((counted - 30_000, counted - 20_000, counted - 10_000, counted))) is None


REACTION = ReactionGiven(
    room=ROOM,
    event=EventId("$r"),
    sender=SENDER,
    sent_ms=99,
    received_ms=99,
    type="m.reaction",
    content={},
    target=EventId("$e"),
    key="x",
)


def test_edits_reactions_joins_and_new_names_count_like_messages() -> None:
    many = View(recent_others=((95, "joins"), (96, "joins"), (97, "reactions"), (98, "joins"), (99, "reactions")))
    for event in (posted("x", at=99, replaces=EventId("$first")), replace(named("x"), received_ms=99), REACTION):
        assert RULE.check(event, many) is not None
        assert RULE.check(event, View((1, 2, 99))) is None


def test_a_single_join_is_no_flood() -> None:
    assert RULE.check(posted("x", at=99), View((97, 98, 99), ((96, "joins"),))) is None
    assert RULE.check(posted("x", at=99), View((97, 98, 99), ((95, "joins"), (96, "joins")))) is not None


def test_a_rule_can_count_some_of_them_only() -> None:
    rule = Flood(FloodSettings.model_validate({"messages": 1, "of": ["messages", "reactions"]}))
    assert rule.check(REACTION, View(recent_others=((97, "joins"), (99, "reactions")))) is None
    assert rule.check(REACTION, View(recent_others=((97, "reactions"), (99, "reactions")))) is not None
    assert rule.check(posted("x", at=99, replaces=EventId("$first")), View((1, 2, 99))) is None


@given(st.lists(st.integers(0, 50_000), max_size=30))
def test_flood_counts_agree_with_a_simple_count(times: list[int]) -> None:
    recent = (*sorted(times), 50_000)
    count = sum(40_000 < time <= 50_000 for time in recent)
    hit = RULE.check(posted("x", at=50_000), View(recent))
    assert (hit.numbers["count"] if hit else None) == (count if count > 3 else None)


@pytest.mark.parametrize("bad", [{"messages": 0}, {"within": "soon"}, {"window": "10s"}])
def test_settings_that_make_no_sense_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FloodSettings.model_validate(bad)
