"""Pauses between reading a policy list that does not come to rest."""

from bot.sync.policy_lists import CALM_S, FIRST_PAUSE_S, LONGEST_PAUSE_S, Pauses


def test_a_list_that_changes_without_end_is_read_less_and_less_often() -> None:
    pauses, now, found = Pauses(), 0.0, list[float]()
    for _ in range(12):
        found.append(pauses.after_change(now))
        now += found[-1]
    assert found[:4] == [FIRST_PAUSE_S, 2, 4, 8]
    assert found[-1] == LONGEST_PAUSE_S
    now += CALM_S
    assert pauses.after_change(now) == FIRST_PAUSE_S
