"""Nothing in an answer of `/sync` from before the notice of a room is recorded or kept."""

from bot.events.sync_response import JoinedRoom, LeftRoom, read_sync
from bot.sync.timeline import since_notice, to_record
from moderation.values.ids import EventId

ROOM = "!room:example.org"
EVENTS = ("$before", "$notice", "$after")
NOTICE = EventId("$notice")


def room(kind: str, *events: str) -> JoinedRoom | LeftRoom:
    """Return a room as it is read from an answer."""
    timeline = [
        {
            **({"event_id": each} if each else {}),
            "sender": "@ann:example.org",
            "origin_server_ts": 1,
            "type": "m.room.message",
            "content": {"msgtype": "m.text", "body": each},
        }
        for each in events
    ]
    answer = read_sync({"next_batch": "s", "rooms": {kind: {ROOM: {"timeline": {"events": timeline}}}}}, 1)
    return (answer.joined or answer.left)[0]


def test_what_stands_before_the_notice_is_not_recorded_of_a_room_that_is_served_or_left() -> None:
    for kind in ("join", "leave"):
        assert [event.event for event in to_record(room(kind, *EVENTS), NOTICE)] == ["$after"]
        assert [event.event for event in to_record(room(kind, *EVENTS), EventId("$other"))] == list(EVENTS)


def test_an_event_without_an_id_is_taken_for_no_notice() -> None:
    assert [event.event for event in to_record(room("join", "$before", "", "$after"), None)] == [
        "$before",
        None,
        "$after",
    ]


def test_only_what_surely_stands_after_the_notice_is_kept_of_a_room_opened_meanwhile() -> None:
    with_notice, without = room("join", *EVENTS), room("join", "$before")
    assert isinstance(with_notice, JoinedRoom)
    assert isinstance(without, JoinedRoom)
    assert list(since_notice(with_notice, NOTICE).timeline) == ["$after"]
    assert list(since_notice(without, NOTICE).timeline) == []
    assert since_notice(without, NOTICE).until == NOTICE
