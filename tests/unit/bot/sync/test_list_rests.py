"""Rests of a policy list that changes again and again."""

from bot.sync.list_rests import CALM_S, FIRST_S, LONGEST_S, Rest


def test_a_list_that_changes_without_end_is_read_less_and_less_often() -> None:
    rest, now, found = Rest(), 0.0, list[float]()
    for _ in range(12):
        rest.begin(now)
        found.append(rest.until_s - now)
        now = rest.until_s
    assert found[:4] == [FIRST_S, 2, 4, 8]
    assert found[-1] == LONGEST_S
    now += CALM_S
    rest.begin(now)
    assert rest.until_s - now == FIRST_S
