"""One raw event in, one frozen event out: every kind except messages, and input that is no event."""

import json
from typing import Any

import pytest

from bot.events.parse_event import receive, receive_state
from moderation.values.events import (
    MembershipChanged,
    MessagePosted,
    OtherEvent,
    ReactionGiven,
    Received,
    Redacted,
    StateChanged,
    Text,
    Undecryptable,
    Unreadable,
)
from moderation.values.ids import EventId, UserId
from tests.unit.bot.events.raw_events import NOW, ROOM, base, raw


def read(event: object) -> Received:
    return receive(event, ROOM, NOW)


@pytest.mark.parametrize(
    ("content", "more"),
    [({"redacts": "$bad"}, {}), ({}, {"redacts": "$bad"}), ({"redacts": "$x"}, {"redacts": "$bad"})],
)
def test_a_redaction_names_its_target_in_either_place(content: dict[str, str], more: dict[str, str]) -> None:
    event = raw("m.room.redaction", {**content, "reason": "spam"}, **more)
    reason = (Text("reason", "spam"),)
    assert read(event) == Redacted(**base(event), target=EventId("$bad"), reason="spam", texts=reason)


def test_a_reaction_names_its_target_and_key() -> None:
    relates = {"rel_type": "m.annotation", "event_id": "$earlier", "key": "👍"}
    event = raw("m.reaction", {"m.relates_to": relates})
    key = (Text("reaction", "👍"),)
    assert read(event) == ReactionGiven(**base(event), target=EventId("$earlier"), key="👍", texts=key)


def test_a_membership_names_whom_it_concerns_and_how_they_call_themselves() -> None:
    content = {"membership": "ban", "displayname": "Bob", "reason": "spam"}
    event = raw("m.room.member", content, state_key="@bob:b.org")
    assert read(event) == MembershipChanged(
        **base(event),
        user=UserId("@bob:b.org"),
        membership="ban",
        display_name="Bob",
        reason="spam",
        texts=(Text("display_name", "Bob"),),
    )


@pytest.mark.parametrize(
    ("type_", "content", "expected"),
    [
        ("m.room.name", {"name": "Home"}, (Text("room_name", "Home"),)),
        ("m.room.name", {"name": None}, ()),
        ("m.room.topic", {"topic": "tea"}, (Text("topic", "tea"),)),
        (
            "m.room.topic",
            {"topic": "tea", "m.topic": {"m.text": [{"body": "beer"}]}},
            (Text("topic", "tea"), Text("topic", "beer")),
        ),
        ("m.room.power_levels", {"users": {}}, ()),
        ("m.room.message", {"body": "state, not a message"}, ()),
    ],
)
def test_other_state_keeps_its_key_and_its_texts(type_: str, content: object, expected: tuple[Text, ...]) -> None:
    event = raw(type_, content, state_key="")
    assert read(event) == StateChanged(**base(event), state_key="", texts=expected)


def test_ciphertext_names_the_session_whose_key_is_missing() -> None:
    event = raw("m.room.encrypted", {"algorithm": "m.megolm.v1.aes-sha2", "session_id": "abc", "ciphertext": "A"})
    assert read(event) == Undecryptable(**base(event), session="abc", encrypted=True)


@pytest.mark.parametrize("type_", ["m.room.message", "m.room.encrypted", "m.reaction", "m.room.redaction"])
def test_a_redacted_event_is_parsed_as_redacted(type_: str) -> None:
    event = raw(type_, {}, unsigned={"redacted_because": raw("m.room.redaction")})
    ann = UserId("@ann:example.org")
    assert read(event) == OtherEvent(**base(event), removed_by=ann, removed_ms=1_795_511_540_740)


def test_a_redacted_membership_stays_in_force() -> None:
    event = raw("m.room.member", {"membership": "join"}, state_key="@bob:b.org", unsigned={"redacted_because": raw()})
    assert isinstance(read(event), MembershipChanged)


def test_an_event_of_an_unknown_type_is_kept() -> None:
    event = raw("org.example.game", {"move": "e4"})
    assert read(event) == OtherEvent(**base(event), texts=(Text("other", "e4"),))


# --- input that is no event


def test_an_unreadable_event_keeps_ids_and_raw_text() -> None:
    event = raw(content={"msgtype": "m.text"})
    assert read(event) == Unreadable(
        room=ROOM,
        received_ms=NOW,
        problem="content.body is missing or no text",
        event=EventId("$event"),
        sender=UserId("@ann:example.org"),
        raw=json.dumps(event, separators=(",", ":")),
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"event_id": None}, "event_id"),
        ({"event_id": "$" + "x" * 255}, "event_id"),
        ({"event_id": "$\udfff"}, "event_id"),
        ({"event_id": "../../etc/passwd"}, "event_id"),
        ({"sender": "ann"}, "sender"),
        ({"sender": "@ann:../../etc"}, "sender"),
        ({"sender": ["@ann:example.org"]}, "sender"),
        ({"type": "m." + "é" * 127}, "type"),
        ({"type": 1}, "type"),
        ({"content": []}, "content"),
        ({"content": "text"}, "content"),
        ({"origin_server_ts": True}, "origin_server_ts"),
        ({"state_key": 1}, "state_key"),
        ({"type": "m.room.member", "content": {"membership": "join"}}, "state_key"),
        ({"type": "m.room.member", "state_key": "bob", "content": {"membership": "join"}}, "state_key"),
        (
            {"type": "m.room.member", "state_key": "@b:b.org", "content": {"membership": []}},
            "content.membership",
        ),
        ({"type": "m.room.redaction"}, "redacts"),
        ({"type": "m.reaction"}, "content.m.relates_to"),
        ({"type": "m.poll.start"}, "the poll"),
        ({"content": {"msgtype": "m.text", "body": 7}}, "content.body"),
    ],
)
def test_the_problem_names_the_field(change: dict[str, object], field: str) -> None:
    outcome = read({**raw(), **change})
    assert isinstance(outcome, Unreadable)
    assert outcome.problem.startswith(field)


@pytest.mark.parametrize("claimed", [2**53, 2**200, -(2**53), -(10**300), 1e60, float("inf")])
def test_no_timestamp_keeps_a_message_from_being_judged(claimed: float) -> None:
    outcome = read(raw(content={"msgtype": "m.text", "body": "a"}) | {"origin_server_ts": claimed})
    assert isinstance(outcome, MessagePosted)
    assert outcome.sent_ms == (2**53 - 1 if claimed > 0 else 1 - 2**53)


@pytest.mark.parametrize("field", ["event_id", "sender", "origin_server_ts", "content", "type"])
def test_a_missing_field_is_named(field: str) -> None:
    outcome = read({key: value for key, value in raw(content={"body": "a"}).items() if key != field})
    assert isinstance(outcome, Unreadable)
    assert outcome.problem.startswith(f"{field} is missing")


def test_the_raw_text_of_an_unreadable_event_is_cut_at_64_kib() -> None:
    outcome = read(["好" * 100_000])
    assert isinstance(outcome, Unreadable)
    assert 65_530 < len(outcome.raw.encode()) <= 65_536


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_deep_nesting_does_not_hide_the_rest_of_what_is_unreadable() -> None:
    outcome = read({"sender": "@ann:example.org", "content": nested(20_000)})
    assert isinstance(outcome, Unreadable)
    assert outcome.raw == '{"sender":"@ann:example.org","content":"[cannot be written out]"}'


def test_an_event_of_the_state_without_a_state_key_is_unreadable() -> None:
    outcome = receive_state(raw(content={"body": "hi"}), ROOM, NOW)
    assert isinstance(outcome, Unreadable)
    assert outcome.problem == "state_key is missing"
