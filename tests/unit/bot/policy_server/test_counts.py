"""The counts of what was let through: bounded, by our own clock."""

from bot.policy_server.counts import _MOST_PEOPLE, _MOST_TIMES, CountedEvent, LetThrough
from moderation.values.ids import RoomId, UserId

ROOM, ANNA = RoomId("!room:example.org"), UserId("@anna:example.org")


def test_what_is_older_than_the_window_does_not_count() -> None:
    counts = LetThrough(window_ms=100)
    for at_ms in (0, 50, 100):
        counts.add(ROOM, ANNA, at_ms, None)
    counts.add(ROOM, ANNA, 60, "reactions")
    assert counts.times(ROOM, ANNA, 150) == ((50, None), (60, "reactions"), (100, None))
    assert counts.times(ROOM, UserId("@ben:example.org"), 150) == ()


def test_it_is_bounded() -> None:
    counts = LetThrough(window_ms=1_000_000)
    for n in range(_MOST_TIMES + 10):
        counts.add(ROOM, ANNA, n, None)
    assert len(counts.times(ROOM, ANNA, _MOST_TIMES)) == _MOST_TIMES
    for n in range(_MOST_PEOPLE):
        counts.add(ROOM, UserId(f"@member{n}:example.org"), n, None)
    assert counts.times(ROOM, ANNA, _MOST_TIMES) == ()


def test_an_event_counts_once_and_can_be_taken_back() -> None:
    counts = LetThrough(window_ms=100)
    first, second = (CountedEvent(counts, ROOM, ANNA, 1, None) for _ in range(2))
    first.add()
    first.add()
    second.add()
    assert counts.times(ROOM, ANNA, 1) == ((1, None), (1, None))
    first.take_back()
    first.take_back()
    assert counts.times(ROOM, ANNA, 1) == ((1, None),)
