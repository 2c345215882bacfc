"""Any JSON gives an event, and the parts that rules read can be stored."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.events.parse_event import receive
from moderation.values.events import MembershipChanged, MessagePosted, Received, StateChanged, Text, Unreadable
from moderation.values.ids import RoomId

ROOM = RoomId("!room:example.org")
NOW = 1_795_511_540_900
ENVELOPE = {"event_id": "$event", "sender": "@ann:example.org", "origin_server_ts": 1_795_511_540_740}


def raw(type_: str, content: object, **more: object) -> dict[str, Any]:
    return {**ENVELOPE, "type": type_, "content": content, **more}


def read(event: object) -> Received:
    return receive(event, ROOM, NOW)


KEYS = st.sampled_from(
    [
        "event_id",
        "sender",
        "type",
        "content",
        "origin_server_ts",
        "state_key",
        "unsigned",
        "redacted_because",
        "redacts",
        "msgtype",
        "body",
        "filename",
        "formatted_body",
        "m.relates_to",
        "rel_type",
        "m.in_reply_to",
        "m.new_content",
        "m.mentions",
        "user_ids",
        "room",
        "m.text",
        "m.poll",
        "question",
        "answers",
        "info",
        "size",
        "url",
        "file",
        "membership",
        "displayname",
        "name",
        "topic",
        "m.topic",
        "session_id",
        "key",
        "is_falling_back",
    ]
)
STRINGS = st.sampled_from(
    [
        "$event",
        "@ann:example.org",
        "m.room.message",
        "m.sticker",
        "m.poll.start",
        "m.reaction",
        "m.room.redaction",
        "m.room.member",
        "m.text",
        "m.image",
        "m.replace",
        "m.thread",
        "m.annotation",
        "join",
        "org.matrix.custom.html",
        "mxc://e.org/a",
        "<b>x</b>",
        "<a",
        "../../x",
    ]
) | st.text(st.characters(exclude_categories=[]), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | STRINGS
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | STRINGS, inner, max_size=6),
    max_leaves=20,
)
TYPES = st.sampled_from(
    [
        "m.room.message",
        "m.sticker",
        "m.poll.start",
        "m.reaction",
        "m.room.redaction",
        "m.room.member",
        "m.room.topic",
    ]
)
CONTENTS = st.dictionaries(KEYS, JSON, max_size=8)


def check(outcome: Received) -> None:
    assert isinstance(outcome, Received)
    assert (outcome.room, outcome.received_ms) == (ROOM, NOW)
    if isinstance(outcome, Unreadable):
        assert outcome.problem
        outcome.raw.encode()
    elif isinstance(outcome, MessagePosted | MembershipChanged | StateChanged):
        assert all(text.value.encode() for text in outcome.texts)


@given(JSON)
def test_any_json_becomes_an_event(value: object) -> None:
    check(read(value))


@given(
    TYPES,
    CONTENTS,
    st.sampled_from([{}, {"state_key": "@bob:b.org"}, {"unsigned": {"redacted_because": {}}}]),
)
def test_any_content_becomes_an_event(type_: str, content: dict[str, object], more: dict[str, Any]) -> None:
    check(read(raw(type_, content, **more)))


@given(CONTENTS)
def test_a_message_with_a_body_is_always_judged(content: dict[str, object]) -> None:
    relates = {"rel_type": "m.thread", "event_id": "$root"}
    message = read(
        raw("m.room.message", content={**content, "msgtype": "m.text", "body": "buy coins", "m.relates_to": relates})
    )
    assert isinstance(message, MessagePosted)
    assert message.texts[0] == Text("body", "buy coins")
