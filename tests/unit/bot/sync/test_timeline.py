"""Nothing in an answer of `/sync` from before the notice of a room is kept; what no page shows has its place."""

import pytest

from bot.events.sync_response import JoinedRoom, LeftRoom, read_sync
from bot.sync.timeline import by_delivery, delivered, since_notice, to_record, with_newer, with_older
from moderation.values.events import Received, StateChanged
from moderation.values.ids import EventId, RoomId, UserId

ROOM = "!room:example.org"
EVENTS = ("$before", "$notice", "$after")
NOTICE = EventId("$notice")
BOT = UserId("@bot:example.org")


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


@pytest.mark.parametrize("kind", ["join", "leave"])
def test_nothing_from_before_the_notice_is_kept_of_a_room_that_is_behind(kind: str) -> None:
    assert list(delivered(room(kind, *EVENTS), NOTICE, BOT).timeline) == ["$after"]
    assert list(delivered(room(kind, *EVENTS), EventId("$other"), BOT).timeline) == list(EVENTS)


@pytest.mark.parametrize(
    ("pages", "came", "order"),
    [
        ("abc", "", "abc"),
        ("abc", "bc", "abc"),
        ("abc", "bMc", "abMc"),
        ("abc", "bcM", "abcM"),  # the pages are behind the delivery
        ("abcd", "bcM", "abcMd"),  # "d" has come since
        ("abc", "MbNc", "MabNc"),
        ("abc", "MN", "MNabc"),
        ("acb", "abcM", "acbM"),
        ("", "MN", "MN"),
    ],
)
def test_what_no_page_shows_comes_after_what_was_delivered_before_it(pages: str, came: str, order: str) -> None:
    def events(names: str) -> list[Received]:
        return list(room("join", *(f"${each}" for each in names)).timeline) if names else []

    missed = {event.event: event for event in events("MN") if event.event and event.event[1] in came}
    found = by_delivery(events(pages), [EventId(f"${each}") for each in came], missed)
    assert [event.event for event in found] == [f"${each}" for each in order]


def test_state_that_was_asked_for_stands_before_the_timeline_unless_it_replaces_state_in_it() -> None:
    """The homeserver may have changed what it had delivered just before, when the present state was asked for."""
    delivered_name, message, name, topic = (
        state("$name1", "m.room.name"),
        *room("join", "$said").timeline,
        *(state("$name2", "m.room.name"), state("$topic", "m.room.topic")),
    )
    assert with_newer([name, topic], [delivered_name, message]) == [topic, delivered_name, message, name]
    assert with_newer([delivered_name], [delivered_name, message]) == [delivered_name, message]
    assert with_older([delivered_name, topic], [message, name, topic]) == [delivered_name, message, name, topic]


def state(event: str, type: str) -> Received:
    return StateChanged(
        room=RoomId(ROOM),
        event=EventId(event),
        sender=UserId("@ann:example.org"),
        sent_ms=1,
        received_ms=1,
        type=type,
        content={},
        state_key="",
    )
