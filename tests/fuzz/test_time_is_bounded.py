"""No event takes much longer than a harmless one of the same size, from input to disk.

Both are measured in this process, in processor time, so that a busy machine changes nothing.
"""

import time
from collections.abc import Iterator

import pytest

from bot.events.parse_event import receive
from moderation.values.ids import RoomId
from tests.fuzz import events
from tests.fuzz.door import Door
from tests.fuzz.test_door import served

AT_MOST = 40  # times a harmless event: quadratic time would be thousands of times as long at this size
ROUNDS = 3
HEAVY = events.heavy()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Door, list[RoomId]]]:
    """Provide a deployment with rules of every kind that read texts."""
    door, rooms = served(tmp_path_factory.mktemp("time"))
    yield door, rooms
    assert door.problems() == ()
    door.close()


def seconds(door: Door, room: RoomId, raw: object) -> float:
    """Return the smallest of a few measurements, from JSON to the committed transaction."""
    taken = []
    for _ in range(ROUNDS):
        named = {**raw, "event_id": door.raw("", "", {})["event_id"]} if isinstance(raw, dict) else raw
        begun = time.process_time()
        door.take(receive(named, room, door.now))
        taken.append(time.process_time() - begun)
    return min(taken)


def test_no_event_takes_much_longer_than_a_harmless_one_of_its_size(deployment: tuple[Door, list[RoomId]]) -> None:
    door, (group, *_) = deployment
    words = "The quick brown fox jumps over the lazy dog, and nobody minds. "
    harmless = {
        **HEAVY["body: one long word"],
        "content": {"msgtype": "m.text", "body": words * (60_000 // len(words))},
    }
    floor = seconds(door, group, harmless)
    slow = {name: round(seconds(door, group, raw) / floor, 1) for name, raw in HEAVY.items()}
    assert {name: ratio for name, ratio in slow.items() if ratio > AT_MOST} == {}
