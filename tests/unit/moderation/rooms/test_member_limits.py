"""Limits: the last to come is removed, kindly; people who run something never are."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.model.builtin_rules import CAP_JOINED, CAP_MEMBERS
from moderation.model.context import CaseView, PersonView
from moderation.model.facts import CaseGrew, CaseOpened, Fact, SanctionStarted
from moderation.rooms.member_limits import Counted, declines, enforce_limits
from moderation.values.ids import CaseNumber, EventId, PersonId, UserId
from tests.unit.moderation.builders import (
    ANNA,
    BOT,
    MARK,
    MINUTE,
    NOON,
    OLGA,
    OPERA,
    ROOM,
    context,
    person,
    policy,
    room,
)

EVENT = EventId("$join")
LIMITS = {"member_limits": {"members": 3, "joined": 2, "founded": 1}}


def come(
    subject: PersonView | UserId = ANNA, people: int = 4, rooms: int = 1, *, now: int = NOON, **more: Any
) -> tuple[Fact, ...]:
    settings = policy(**more.pop("settings", LIMITS))
    here = context(subject, now=now, next_case=7, **more)
    return enforce_limits(here, Counted(people=people, rooms=rooms), settings, event=EVENT, on=5)


def case(rule: str) -> CaseOpened:
    return CaseOpened(
        room=ROOM, on=5, n=7, rule=rule, grade="moderate", decide="auto", state="decided", due=NOON, subject=ANNA,
        event=EVENT,
    )  # fmt: skip


def kick(rule: str, n: int = 7) -> SanctionStarted:
    return SanctionStarted(room=ROOM, on=5, kind="kick", n=n, basis="rule", rule=rule, subject=ANNA)


@pytest.mark.parametrize(("people", "rooms", "rule"), [(4, 1, CAP_MEMBERS), (3, 3, CAP_JOINED), (4, 3, CAP_MEMBERS)])
def test_a_person_beyond_a_limit_is_removed_without_a_charge(people: int, rooms: int, rule: str) -> None:
    assert come(people=people, rooms=rooms) == (case(rule), kick(rule))


def test_some_rooms_have_another_number_of_members() -> None:
    club = {"members": 3, "rooms": [{"rooms": ["club"], "members": 0}, {"rooms": ["*"], "members": 9}]}
    settings, there = {"member_limits": club}, replace(room(), community="club")
    assert come(people=99, here=there, settings=settings) == ()
    assert (come(people=9, settings=settings), come(people=10, settings=settings)) == (
        (),
        (case(CAP_MEMBERS), kick(CAP_MEMBERS)),
    )


def test_within_the_limits_nothing_happens() -> None:
    assert come(people=3, rooms=2) == ()


@pytest.mark.parametrize("who", [MARK, OLGA, OPERA, BOT])
def test_managers_owners_operators_and_the_bot_never_go(who: UserId) -> None:
    assert come(who, people=99, rooms=99) == ()


def test_nobody_is_removed_from_an_observed_room() -> None:
    assert come(here=room("observing")) == ()


def test_no_removal_is_recorded_if_the_bot_cannot_remove() -> None:
    levels = {"users": {OLGA: 100, BOT: 40, MARK: 50}}
    assert come(here=room(levels=levels)) == ()


def known(opened: int) -> PersonView:
    view = CaseView(
        n=CaseNumber(3), room=ROOM, subject=ANNA, person=PersonId(ANNA), rule=CAP_MEMBERS, grade="moderate",
        decide="auto", manages=False, state="decided", outcome="upheld", opened=opened,
    )  # fmt: skip
    return replace(person(), recent_cases={(ROOM, CAP_MEMBERS): view})


def test_returning_within_one_incident_opens_no_new_case() -> None:
    again = CaseGrew(room=ROOM, on=5, n=3, subject=ANNA, event=EVENT)
    assert come(known(NOON - 10 * MINUTE)) == (again, kick(CAP_MEMBERS, 3))
    assert come(known(NOON - 11 * MINUTE)) == (case(CAP_MEMBERS), kick(CAP_MEMBERS))


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_without_limits_nobody_is_removed(people: int, rooms: int) -> None:
    assert come(people=people, rooms=rooms, settings={}) == ()


def test_a_room_beyond_its_founders_limit_is_declined() -> None:
    limited, free = policy(**LIMITS), policy()
    assert [declines(n, ANNA, limited) for n in (0, 1, 2)] == [False, True, True]
    assert (declines(99, ANNA, free), declines(99, OPERA, limited)) == (False, False)
