"""A person's budget of reports: its size, what uses it up, and when a report is free again."""

from typing import Any

import pytest

from moderation.cases.report_budget import Filed, allowance, free_again
from moderation.policy import ReportSettings
from tests.unit.moderation.builders import DAY, HOUR, NOON


def settings(**more: Any) -> ReportSettings:
    return ReportSettings.model_validate(more)


def filed(*ages: int, outcome: str = "", first: int = 1) -> list[Filed]:
    return [Filed(n, NOON - age, outcome) for n, age in enumerate(ages, first)]


def test_the_fifth_report_of_a_day_is_the_last() -> None:
    assert free_again(filed(0, HOUR, HOUR, HOUR), settings(), NOON) is None
    assert free_again(filed(0, HOUR, HOUR, HOUR, HOUR), settings(), NOON) == NOON - HOUR + 30 * DAY


def test_a_decided_report_is_free_again_a_day_after_it_was_made() -> None:
    decided = filed(HOUR, outcome="upheld", first=9)
    waiting = filed(2 * HOUR, 2 * HOUR, 2 * HOUR, 2 * HOUR, 2 * HOUR)
    assert free_again([*waiting, *decided], settings(), NOON) == NOON - HOUR + DAY
    assert free_again([*waiting[1:], *decided], settings(), NOON) is None


def test_waiting_reports_count_within_the_misuse_period() -> None:
    assert free_again(filed(*[29 * DAY] * 5), settings(), NOON) == NOON + DAY
    assert free_again(filed(*[30 * DAY] * 5), settings(), NOON) is None


@pytest.mark.parametrize(
    ("right", "wrong", "allowed"), [(0, 0, 5), (3, 0, 8), (3, 2, 6), (0, 3, 2), (0, 9, 1), (40, 0, 20)]
)
def test_reports_that_were_right_give_more_and_wrong_ones_fewer(right: int, wrong: int, allowed: int) -> None:
    cases = [*filed(*[DAY] * right, outcome="upheld"), *filed(*[DAY] * wrong, outcome="dismissed", first=100)]
    assert allowance(cases, settings()) == allowed


def test_with_zero_a_day_there_is_no_limit() -> None:
    assert free_again(filed(*[0] * 50), settings(a_day=0), NOON) is None
