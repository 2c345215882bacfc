"""The cases that are shown on one card."""

from dataclasses import replace
from typing import Any

import pytest

from moderation.cases.bursts import LASTS_MS, Burst, RoomLately, with_bursts
from moderation.model.facts import CaseOpened, WaveNoticed
from moderation.policy import Policy, RoomSettings
from moderation.values.ids import RoomId, UserId

ROOM = RoomId("!garden:example.org")
NOON, MINUTE = 1_795_521_600_000, 60_000
POLICY = Policy(groups=RoomSettings(cards=2))


def opened(n: int, **other: Any) -> CaseOpened:
    values: dict[str, Any] = {"rule": "spam", "state": "decided", "decide": "auto", **other}
    return CaseOpened(room=ROOM, n=n, grade="minor", due=0, subject=UserId(f"@spammer-{n}:x"), **values)


def waiting(n: int, **other: Any) -> CaseOpened:
    return opened(n, state="open", decide="manager", **other)


def bursts(*facts: CaseOpened, lately: RoomLately = RoomLately(), policy: Policy = POLICY) -> list[int]:  # noqa: B008
    found = with_bursts(facts, {ROOM: lately}, policy, NOON)
    assert [replace(fact, burst=0) for fact in found if isinstance(fact, CaseOpened)] == list(facts)
    return [fact.burst for fact in found if isinstance(fact, CaseOpened)]


def test_after_as_many_cases_as_may_have_their_own_the_next_begins_a_burst() -> None:
    assert bursts(*map(opened, (4, 5, 6, 7))) == [0, 0, 6, 6]
    assert bursts(opened(6), opened(7, rule="names"), lately=RoomLately(alone=2)) == [6, 6]


def test_while_a_wave_counts_the_second_case_begins_one() -> None:
    wave = RoomLately(wave_ms=NOON - POLICY.joins.lasts + 1)
    assert bursts(*map(opened, (4, 5, 6)), lately=wave) == [0, 5, 5]
    assert bursts(*map(opened, (4, 5, 6)), lately=replace(wave, wave_ms=NOON - POLICY.joins.lasts)) == [0, 0, 6]


def test_without_a_number_every_case_has_its_own_card() -> None:
    none = Policy(groups=RoomSettings(cards=0))
    assert bursts(*map(opened, range(4, 9)), lately=RoomLately(alone=9, wave_ms=NOON), policy=none) == [0] * 5


@pytest.mark.parametrize(
    ("began", "last", "goes_on"),
    [
        (0, 10 * MINUTE, True),
        (20 * MINUTE, 10 * MINUTE + 1, False),
        (LASTS_MS - 1, 0, True),
        (LASTS_MS, 0, False),
    ],
)
def test_a_burst_goes_on_while_cases_come_and_for_an_hour_at_most(began: int, last: int, goes_on: bool) -> None:
    lately = RoomLately(burst=Burst(3, NOON - began, NOON - last))
    assert bursts(opened(9), lately=lately) == [3 if goes_on else 0]
    assert bursts(opened(9), lately=replace(lately, alone=2)) == [3 if goes_on else 9]


def test_what_people_decide_has_a_card_of_its_own_if_none_of_its_rule_is_shown() -> None:
    lately = RoomLately(burst=Burst(3, NOON, NOON))
    assert bursts(waiting(9), waiting(10), opened(11), waiting(12, rule="names"), lately=lately) == [0, 3, 3, 0]


def test_cases_that_wait_alone_make_a_burst_too() -> None:
    assert bursts(*map(waiting, (4, 5, 6, 7))) == [0, 0, 6, 6]


@pytest.mark.parametrize(
    "other",
    [
        {"rule": "reported"},
        {"rule": "by_order"},
        {"rule": "tier_links"},
        {"rule": "duty_overdue"},
        {"manages": 1},
        {"lead": 2},
        {"by": UserId("@mark:x")},
    ],
)
def test_reports_orders_and_cases_about_managers_stand_alone(other: dict[str, Any]) -> None:
    lately = RoomLately(burst=Burst(3, NOON, NOON), alone=9, shown=frozenset({"reported", "tier_links", "spam"}))
    assert bursts(opened(9, **other), lately=lately) == [0]


def test_people_removed_with_a_wave_are_counted_on_a_card_that_is_there_but_begin_none() -> None:
    removed = opened(9, rule="in_join_wave")
    assert bursts(removed, lately=RoomLately(burst=Burst(3, NOON, NOON))) == [3]
    assert bursts(removed, lately=RoomLately(alone=9, wave_ms=NOON)) == [0]


def test_entries_of_policy_lists_are_counted() -> None:
    assert bursts(*(opened(n, rule="policy_list") for n in (4, 5, 6))) == [0, 0, 6]


def test_other_facts_and_other_rooms_stay_as_they_are() -> None:
    wave = WaveNoticed(room=ROOM, count=20, within=MINUTE, do="tell")
    elsewhere = replace(opened(7), room=RoomId("!shed:example.org"))
    assert with_bursts([wave, elsewhere], {ROOM: RoomLately(alone=9)}, POLICY, NOON) == [wave, elsewhere]
