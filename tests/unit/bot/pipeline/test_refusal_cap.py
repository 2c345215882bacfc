"""The number of refusals that are recorded of each sender."""

from bot.pipeline.refusal_cap import WITHIN_MS, RefusalCap


def recorded(cap: RefusalCap, sender: str, now_ms: int) -> bool:
    if found := cap.has_room(sender, now_ms):
        cap.add(sender, now_ms)
    return found


def test_so_many_of_each_sender_are_recorded_in_a_minute() -> None:
    cap = RefusalCap(2)
    assert [recorded(cap, "a", 0) for _ in range(3)] == [True, True, False]
    assert recorded(cap, "b", 0)
    assert not recorded(cap, "a", WITHIN_MS - 1)
    assert recorded(cap, "a", WITHIN_MS)


def test_a_clock_that_is_set_back_makes_nobody_wait() -> None:
    cap = RefusalCap(1)
    assert recorded(cap, "a", 10 * WITHIN_MS)
    assert recorded(cap, "a", 0)
