"""One answer of `/sync`: rooms, events, invitations, and their faults."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.events.parse_event import receive
from bot.events.sync_response import NO_ROOM, Invite, JoinedRoom, LeftRoom, SyncResponse, read_sync
from moderation.values.errors import Invalid
from moderation.values.events import Json, MessagePosted, StateChanged, Unreadable
from moderation.values.ids import RoomId, UserId

NOW = 1_795_511_540_900
ROOM = RoomId("!room:example.org")
ME = UserId("@bot:example.org")


def event(id_: str, type_: str = "m.room.message", **more: object) -> dict[str, Any]:
    content = {"msgtype": "m.text", "body": id_}
    return {
        "event_id": id_,
        "sender": "@ann:e.org",
        "origin_server_ts": 1,
        "type": type_,
        "content": content,
        **more,
    }


def rooms(**kinds: object) -> dict[str, Any]:
    return {"next_batch": "s1", "rooms": kinds}


def unreadable(problem: str, raw: str, room: RoomId = ROOM) -> Unreadable:
    return Unreadable(room=room, received_ms=NOW, problem=problem, raw=raw)


def stripped(user: str, membership: str, sender: str) -> dict[str, Any]:
    """Return a stripped state event as Synapse sends it: without event id and time."""
    return {
        "type": "m.room.member",
        "state_key": user,
        "sender": sender,
        "content": {"membership": membership},
    }


def test_the_smallest_answer_only_says_where_to_go_on() -> None:
    assert read_sync({"next_batch": "s1"}, NOW) == SyncResponse(next_batch="s1")


@pytest.mark.parametrize("raw", [None, [], {}, {"next_batch": 1}, {"next_batch": ""}, {"next_batch": "\ud800"}])
def test_an_answer_that_cannot_be_acknowledged_is_refused(raw: object) -> None:
    with pytest.raises(Invalid, match="next_batch"):
        read_sync(raw, NOW)


def test_a_joined_room_has_its_state_and_its_timeline_in_order() -> None:
    name = event("$1", "m.room.name", state_key="")
    timeline = [event("$2"), event("$3", "m.room.topic", state_key=""), event("$4")]
    raw = rooms(
        join={
            ROOM: {
                "state": {"events": [name]},
                "timeline": {"events": timeline, "limited": True, "prev_batch": "t1"},
                "ephemeral": {"events": [{"type": "m.typing"}]},
            }
        }
    )
    response = read_sync(raw, NOW)
    assert response.joined == (
        JoinedRoom(
            ROOM,
            state=(receive(name, ROOM, NOW),),
            timeline=tuple(receive(one, ROOM, NOW) for one in timeline),
            limited=True,
        ),
    )
    kinds = [type(one) for one in (*response.joined[0].state, *response.joined[0].timeline)]
    assert kinds == [StateChanged, MessagePosted, StateChanged, MessagePosted]


def test_rooms_stay_in_the_order_of_the_homeserver() -> None:
    response = read_sync(rooms(join={"!b": {}, "!a": {}, "!c": {}}), NOW)
    assert response.joined == (JoinedRoom(RoomId("!b")), JoinedRoom(RoomId("!a")), JoinedRoom(RoomId("!c")))


def test_a_message_among_the_state_is_unreadable() -> None:
    response = read_sync(rooms(join={ROOM: {"state": {"events": [event("$1")]}}}), NOW)
    (state,) = response.joined[0].state
    assert isinstance(state, Unreadable)
    assert state.problem == "state_key is missing"


@pytest.mark.parametrize(
    ("timeline", "limited"),
    [
        ({"events": []}, False),
        ({"events": [], "limited": False}, False),
        ({"events": [], "limited": True}, True),
        ({"events": [], "limited": "no"}, True),
        ({"events": [], "limited": None}, True),
        (None, False),
        ("broken", True),
    ],
)
def test_a_timeline_is_complete_only_if_certain(timeline: object, limited: bool) -> None:
    assert read_sync(rooms(join={ROOM: {"timeline": timeline}}), NOW).joined[0].limited is limited


def test_a_left_rooms_timeline_is_complete_only_if_certain() -> None:
    left = {ROOM: {"timeline": {"events": [], "limited": True}}}
    assert read_sync(rooms(leave=left), NOW).left == (LeftRoom(ROOM, limited=True),)


def test_a_malformed_event_takes_nothing_else_with_it() -> None:
    response = read_sync(rooms(join={ROOM: {"timeline": {"events": [event("$1"), 7, event("$2")]}}}), NOW)
    assert response.joined[0].timeline == (
        receive(event("$1"), ROOM, NOW),
        unreadable("the event is no JSON object", "7"),
        receive(event("$2"), ROOM, NOW),
    )


def test_a_malformed_timeline_stands_as_unreadable_in_its_place() -> None:
    response = read_sync(rooms(join={ROOM: {"timeline": {"events": {}}}}), NOW)
    assert response.joined[0].timeline == (unreadable("timeline.events is no JSON array", '{"events":{}}'),)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ({"join": []}, unreadable("rooms.join is no JSON object", "[]", NO_ROOM)),
        ({"invite": {"room": {}}}, unreadable("a key of rooms.invite is no room id", "{}", NO_ROOM)),
        ({"leave": {"!\ud800": {}}}, unreadable("a key of rooms.leave is no room id", "{}", NO_ROOM)),
        ({"join": {ROOM: 7}}, unreadable("the room in rooms.join is no JSON object", "7")),
    ],
)
def test_events_outside_rooms_are_kept_apart(kinds: dict[str, object], expected: Unreadable) -> None:
    assert read_sync(rooms(**kinds), NOW) == SyncResponse(next_batch="s1", unreadable=(expected,))


def test_an_invitation_needs_neither_event_id_nor_time() -> None:
    state = [{"type": "m.room.name", "state_key": "", "content": {}}, stripped(ME, "invite", "@ann:e.org")]
    response = read_sync(rooms(invite={ROOM: {"invite_state": {"events": state}}}), NOW)
    assert response.invited == (Invite(ROOM, UserId("@ann:e.org"), tuple(state)),)


def test_our_homeservers_invitation_event_takes_precedence() -> None:
    state = [stripped(ME, "invite", "@liar:e.org"), stripped(ME, "invite", "@ann:e.org")]
    response = read_sync(rooms(invite={ROOM: {"invite_state": {"events": state}}}), NOW)
    assert response.invited[0].inviter == UserId("@ann:e.org")


def test_somebody_elses_invitation_is_not_ours() -> None:
    state = [stripped(ME, "invite", "@ann:e.org"), stripped("@bob:e.org", "invite", "@liar:e.org")]
    raw = rooms(invite={ROOM: {"invite_state": {"events": state}}})
    assert read_sync(raw, NOW, me=ME).invited[0].inviter == UserId("@ann:e.org")


@pytest.mark.parametrize("room", [{}, {"invite_state": {}}, {"invite_state": {"events": []}}])
def test_an_invitation_that_names_nobody_has_no_inviter(room: object) -> None:
    assert read_sync(rooms(invite={ROOM: room}), NOW).invited == (Invite(ROOM, None),)


def test_a_malformed_stripped_event_is_kept_apart() -> None:
    state = ["x", stripped(ME, "invite", "@ann:e.org")]
    response = read_sync(rooms(invite={ROOM: {"invite_state": {"events": state}}}), NOW)
    assert response.invited == (Invite(ROOM, UserId("@ann:e.org"), (state[1],)),)  # type: ignore[arg-type]
    assert response.unreadable == (unreadable("an event of invite_state is no JSON object", '"x"'),)


def test_a_room_we_were_removed_from_shows_what_happened_last() -> None:
    last = event("$1", "m.room.member", state_key=ME, content={"membership": "ban"})
    response = read_sync(rooms(leave={ROOM: {"timeline": {"events": [last]}}}), NOW)
    assert response.left == (LeftRoom(ROOM, (receive(last, ROOM, NOW),)),)


def test_encryption_fields_are_passed_on_unchanged() -> None:
    message: Json = {"type": "m.room.encrypted", "sender": "@ann:e.org", "content": {}}
    keys: dict[str, Json] = {
        "device_lists": {"changed": ["@ann:e.org"]},
        "device_one_time_keys_count": {"signed_curve25519": 7},
    }
    response = read_sync({"next_batch": "s1", "to_device": {"events": [message, 7]}, "presence": {}, **keys}, NOW)
    assert response == SyncResponse(next_batch="s1", to_device=(message, 7), encryption=keys)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["join", "invite", "leave", ROOM, "timeline", "state", "invite_state", "events", "limited"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(JSON, JSON)
def test_any_answer_with_a_token_is_read(some: object, other: object) -> None:
    response = read_sync({"next_batch": "s1", "rooms": some, "to_device": other}, NOW)
    assert isinstance(response, SyncResponse)


@given(st.sampled_from(["join", "invite", "leave"]), JSON)
def test_any_room_is_read(kind: str, room: object) -> None:
    response = read_sync(rooms(**{kind: {ROOM: room}}), NOW)
    count = len(response.joined) + len(response.invited) + len(response.left)
    assert count == 1 or response.unreadable
