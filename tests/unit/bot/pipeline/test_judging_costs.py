"""The cost of judging is estimated from earlier costs; long work is cut into slices."""

from collections.abc import Sequence
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.events.parse_event import receive
from bot.pipeline.judging_costs import EACH_MS, KILO_MS, SLICE_MS, JudgingCosts, letters
from moderation.values.events import Received
from moderation.values.ids import RoomId

ROOM, OTHER = RoomId("!garden:example.org"), RoomId("!pond:example.org")


def message(length: int, room: RoomId = ROOM) -> Received:
    return event("m.room.message", {"msgtype": "m.text", "body": "a" * length}, room)


def event(kind: str, content: dict[str, str], room: RoomId = ROOM) -> Received:
    raw = {"event_id": "$e", "sender": "@anna:example.org", "origin_server_ts": 1, "type": kind, "content": content}
    return receive(raw, room, 1)


def test_nothing_is_cheaper_than_its_length_lets_expect() -> None:
    costs = JudgingCosts()
    assert costs.expected([message(1_000)]) == pytest.approx(EACH_MS + KILO_MS)
    for _ in range(100):
        costs.spent(ROOM, 1_000, 0.0)
    assert costs.expected([message(1_000)]) == pytest.approx(EACH_MS + KILO_MS)


def test_a_room_whose_patterns_take_long_is_expected_to_take_long_and_no_other() -> None:
    costs = JudgingCosts()
    costs.spent(ROOM, 4_000, 60.0)
    assert costs.expected([message(4_000)]) == pytest.approx(60.0)
    assert costs.expected([message(2_000)] * 2) == pytest.approx(60.0, abs=1)
    assert costs.expected([message(1_000, OTHER)]) == pytest.approx(EACH_MS + KILO_MS)


def test_older_measurements_count_less() -> None:
    costs = JudgingCosts()
    costs.spent(ROOM, 4_000, 600.0)
    for _ in range(1_000):
        costs.spent(ROOM, 1_000, 1.0)
    assert costs.expected([message(1_000)]) == pytest.approx(EACH_MS + KILO_MS)


def test_the_ciphertext_counts_until_deciphered() -> None:
    assert letters(event("m.room.encrypted", {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "A" * 80})) == 80
    assert letters(event("m.room.message", {"msgtype": "m.text", "body": "hello"})) == 5
    assert letters(receive({}, ROOM, 1)) == 0


@given(st.lists(st.integers(0, 80_000), max_size=30))
def test_slices_are_complete_ordered_and_short_except_for_one_event(lengths: Sequence[int]) -> None:
    costs, events = JudgingCosts(), [message(length) for length in lengths]
    slices = list(costs.slices(events))
    assert list(chain.from_iterable(slices)) == events
    assert slices
    assert all(len(some) <= 1 or costs.expected(some) <= SLICE_MS for some in slices)
    assert all(slices) or slices == [[]]
