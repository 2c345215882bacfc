"""The rooms that the bot creates for itself: the requests, and how a room is recognised again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.bot_rooms.create import MARK, RoomPurpose, body, entered, made_for
from bot.events.parse_event import receive
from moderation.model.facts import RoomEntered
from moderation.values.events import StateChanged
from moderation.values.ids import GroupCode, RoomId, UserId

ANNA = UserId("@anna:example.org")
DESK, DIRECT = RoomPurpose("desk", served="G-7F3K"), RoomPurpose("direct", user=ANNA)


def test_a_bot_room_is_private_with_invitations_by_the_bot_and_shared_history() -> None:
    assert body(DESK, name="Desk of Garden", topic="Cases", invite=[ANNA]) == {
        "preset": "private_chat",
        "visibility": "private",
        "name": "Desk of Garden",
        "topic": "Cases",
        "invite": [ANNA],
        "is_direct": False,
        "creation_content": {MARK: {"purpose": "desk", "served": "G-7F3K", "user": ""}},
        "power_level_content_override": {"invite": 100, "kick": 100, "ban": 100, "redact": 100, "state_default": 100},
        "initial_state": [
            {"type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": "shared"}},
            {"type": "m.room.guest_access", "state_key": "", "content": {"guest_access": "forbidden"}},
        ],
    }
    assert body(DIRECT, name="n", topic="t", invite=[ANNA])["is_direct"] is True


@pytest.mark.parametrize("made", [DESK, DIRECT])
def test_a_bot_room_is_recognised_by_its_purpose(made: RoomPurpose) -> None:
    content = body(made, name="", topic="", invite=[])["creation_content"]
    raw = {"event_id": "$e", "sender": "@bot:x.org", "origin_server_ts": 1, "type": "m.room.create", "state_key": ""}
    event = receive({**raw, "content": content}, RoomId("!new"), 0)
    assert isinstance(event, StateChanged)
    assert made_for(event.content) == made


@pytest.mark.parametrize(
    "content",
    [
        None,
        {},
        [],
        "desk",
        {MARK: None},
        {MARK: "desk"},
        {MARK: {}},
        {MARK: {"purpose": "group"}},
        {MARK: {"purpose": "desk", "served": 7}},
        {MARK: {"purpose": "direct", "user": None}},
    ],
)
def test_another_room_is_not_recognised(content: Any) -> None:
    assert made_for(content) is None


junk: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("desk"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([MARK, "purpose", "served", "user"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(junk)
def test_no_create_event_raises(content: Any) -> None:
    made = made_for(content)
    assert made is None or made.purpose in ("desk", "direct")


def test_a_bot_room_is_recorded_as_a_fact() -> None:
    code = GroupCode("G-8888")
    assert entered(DESK, RoomId("!new"), code) == RoomEntered(
        code=code, purpose="desk", served="G-7F3K", room_id="!new"
    )
    assert entered(DIRECT, RoomId("!new"), code) == RoomEntered(
        code=code, purpose="direct", served="-", room_id="!new", subject=ANNA
    )
