"""The steps of a waiting case as time passes."""

from dataclasses import replace
from typing import Any

import pytest

from moderation.cases.deadlines import deadline
from moderation.model.facts import CaseAssigned, CaseMoved, CaseOpened, CreditChanged, Fact, SanctionStarted, TaskOpened
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from tests.unit.moderation.builders import ANNA, DAY, HOUR, MARK, MINA, NOON, OLGA, OPERA, policy, terms
from tests.unit.moderation.known_room import BEN
from tests.unit.moderation.world import World

SPAM = terms("spam", **{"class": "serious", "decide": "manager"})
NOISE = terms("noise", **{"class": "minor", "measure": "none"})
DEADLINE = DAY  # of a serious case


def world(*, rules: tuple[dict[str, Any], ...] = (SPAM, NOISE), **settings: Any) -> World:
    return World(policy(*rules, **settings))


def with_case(**settings: Any) -> World:
    """Return a world in which Anna said something on which managers must decide."""
    told = world(**settings)
    told.say(ANNA, "spam")
    return told


def steps(told: World, n: int = 1) -> list[tuple[str, str, str, int]]:
    """Return how a case moved: the step, the state, who is asked, and in which hour."""
    moved = [fact for group in told.groups for fact in group if isinstance(fact, CaseMoved) and fact.n == n]
    return [(fact.step, fact.state, fact.asked, (fact.due - NOON) // HOUR) for fact in moved]


def of_kind(told: World, kind: type[Fact]) -> list[Fact]:
    return [fact for group in told.groups for fact in group if isinstance(fact, kind)]


def charged(told: World, rule: str = "duty_overdue") -> list[tuple[UserId, int, int]]:
    """Return the charges for neglect: person, cost and the neglected case."""
    facts = [fact for group in told.groups for fact in group if isinstance(fact, CreditChanged)]
    return [(f.subject, f.cost, told.cases[f.n].view.about) for f in facts if f.rule == rule and f.entry == "charge"]


def test_an_untouched_case_is_reminded_overdue_and_passed_on() -> None:
    told = with_case()
    told.wait(4 * DAY)
    assert steps(told) == [
        ("reminded", "open", "managers", 24),
        ("overdue", "overdue", "managers", 24),  # its time stays until it is passed on
        ("escalated", "escalated_owner", "owner", 48),
        ("reminded", "escalated_owner", "owner", 48),
        ("escalated", "escalated_operator", "operator", 72),
        ("reminded", "escalated_operator", "operator", 72),
        ("escalated", "escalated_operator", "operator", 96),
        ("reminded", "escalated_operator", "operator", 96),
        ("escalated", "escalated_operator", "operator", 120),
    ]
    assert told.cases[1].asked == [
        (MARK, "managers", NOON),
        (MINA, "managers", NOON),
        (OLGA, "owner", NOON + DEADLINE),
        (OPERA, "operator", NOON + 2 * DEADLINE),
    ]


def test_the_operator_is_reminded_once_a_day_whatever_the_class() -> None:
    told = world(rules=(terms("spam", **{"class": "severe", "decide": "manager"}),))
    told.say(ANNA, "spam")
    told.wait(3 * DAY)
    asked = [hours for step, _, who, hours in steps(told) if (step, who) == ("escalated", "operator")]
    assert asked == [12, 36, 60, 84]


def test_each_step_of_neglect_charges_the_people_asked_up_to_a_limit() -> None:
    told = with_case()
    told.wait(DEADLINE)
    assert charged(told) == [(MARK, 5, 1), (MINA, 5, 1)]
    told.wait(DEADLINE)
    assert charged(told)[2:] == [(OLGA, 5, 1), (MARK, 2, 1), (MINA, 2, 1)]
    told.wait(20 * DAY)
    spent = {who: sum(cost for user, cost, _ in charged(told) if user == who) for who in (MARK, MINA, OLGA, OPERA)}
    assert spent == {MARK: 20, MINA: 20, OLGA: 20, OPERA: 0}


def test_a_first_charge_does_not_exceed_the_limit_of_a_case() -> None:
    told = with_case(standing={"overdue": 50, "overdue_at_most": 12})
    told.wait(10 * DAY)
    assert charged(told) == [(MARK, 12, 1), (MINA, 12, 1), (OLGA, 12, 1)]


def test_a_decision_at_any_time_ends_the_charges_for_neglect() -> None:
    told = with_case()
    told.wait(3 * DEADLINE)
    before = charged(told)
    told.decide(1, "upheld", MARK)
    told.wait(10 * DAY)
    assert charged(told) == before
    assert told.cases[1].view.state == "decided"
    assert told.tasks == {}
    assert told.measures() == ()  # the room is in order again


def test_acknowledging_a_case_keeps_its_deadline() -> None:
    told = with_case()
    told.see(1, MARK)
    told.wait(DEADLINE)
    assert [step[:3] for step in steps(told)] == [
        ("acknowledged", "acknowledged", "managers"),
        ("reminded", "acknowledged", "managers"),
        ("overdue", "overdue", "managers"),
        ("escalated", "escalated_owner", "owner"),
    ]


def test_a_manager_away_before_the_case_is_not_asked_or_charged() -> None:
    told = world()
    told.go_away(MINA, 10 * DAY)
    told.go_away(OLGA, 10 * DAY)
    told.say(ANNA, "spam")
    told.wait(2 * DAY)
    assert [who for who, _, _ in told.cases[1].asked] == [MARK, OPERA]
    assert {who for who, _, _ in charged(told)} == {MARK}


def test_going_away_later_changes_nothing() -> None:
    told = with_case()
    told.go_away(MARK, 10 * DAY)
    told.wait(DEADLINE)
    assert [who for who, _, _ in charged(told)] == [MARK, MINA]


def test_a_manager_without_rights_or_gone_is_not_charged() -> None:
    told = with_case()
    told.give(MARK, 0)
    told.leave(MINA)
    told.wait(DEADLINE)
    assert charged(told) == []
    assert told.cases[1].view.asked == "owner"


def test_a_manager_without_rights_or_gone_is_not_charged_daily() -> None:
    told = with_case()
    told.wait(DEADLINE)
    told.give(MARK, 0)
    told.leave(MINA)
    told.wait(10 * DAY)
    assert [cost for who, cost, _ in charged(told) if who in (MARK, MINA)] == [5, 5]


def test_the_decider_is_not_charged_for_an_appeal_they_may_not_hear() -> None:
    told = with_case()
    told.decide(1, "upheld", MARK)
    told.appeal(1)
    assert told.assigned(1) == (MINA,)
    waiting = told.waiting(1)
    late = [fact.subject for fact in deadline(waiting) if isinstance(fact, CaseOpened)]
    assert late == [MINA]
    # Nor would they be if they had been asked about it.
    both = replace(waiting, assigned=(MARK, MINA), people={who: told.context(who) for who in (MARK, MINA)})
    assert [fact.subject for fact in deadline(both) if isinstance(fact, CaseOpened)] == [MINA]


def test_an_unheard_appeal_is_passed_on_and_stays_an_appeal() -> None:
    told = with_case()
    told.decide(1, "upheld", OLGA)
    told.appeal(1)
    told.wait(3 * DAY)
    assert [step[:3] for step in steps(told)] == [
        ("reminded", "appealed", "managers"),
        ("escalated", "appealed", "operator"),  # the owner decided, so the operator is the next level
        ("reminded", "appealed", "operator"),
        ("escalated", "appealed", "operator"),
        ("reminded", "appealed", "operator"),
        ("escalated", "appealed", "operator"),
    ]
    assert {who for who, _, _ in charged(told)} == {MARK, MINA}
    assert told.measures() == ()  # the room bears what nobody decided, not what nobody looked at twice


def test_an_appeal_against_neglect_suspends_its_charges() -> None:
    told = with_case()
    told.wait(DEADLINE)  # cases 2 and 3 are about Mark and Mina
    told.appeal(2)
    told.wait(5 * DAY)
    assert [cost for who, cost, _ in charged(told) if who == MARK] == [5]
    told.decide(2, "upheld", OPERA)
    assert told.cases[2].view.state == "affirmed"
    told.wait(2 * DAY)
    assert [cost for who, cost, _ in charged(told) if who == MARK] == [5, 2, 2]


def test_nobody_is_charged_twice_on_account_of_one_case() -> None:
    told = with_case()
    told.wait(DEADLINE)
    told.decide(1, "upheld", OLGA)
    told.appeal(1)  # Mark and Mina are asked, and late again
    assert told.assigned(1) == (MARK, MINA)
    told.wait(5 * DAY)
    assert [(who, cost) for who, cost, _ in charged(told)] == [(MARK, 5), (MINA, 5)]


def test_a_room_is_measured_once_for_cases_that_reach_the_operator() -> None:
    told = with_case()
    told.wait(2 * DEADLINE)
    told.say(BEN, "spam")
    told.wait(2 * DEADLINE)
    measures = [fact for fact in of_kind(told, SanctionStarted) if isinstance(fact, SanctionStarted)]
    assert [(fact.kind, fact.basis, fact.subject) for fact in measures] == [("rectify", "neglect", OLGA)]


def test_a_deadline_half_processed_is_due_again() -> None:
    """Should all that follows the first fact of a deadline be lost, it is still due."""
    told = with_case()
    told.wait(DEADLINE - HOUR)
    told.now = told.cases[1].view.due
    first, *rest = deadline(told.waiting(1))
    told.settle((first,))
    assert 0 < told.cases[1].view.due <= told.now
    assert deadline(told.waiting(1)) == tuple(rest)


def test_cases_are_closed_after_the_time_to_appeal() -> None:
    told = with_case()
    told.say(BEN, "noise")
    told.decide(1, "upheld", MARK)
    told.wait(184 * DAY)
    told.close_old()
    assert [(n, row.view.state) for n, row in told.cases.items()] == [(1, "closed"), (2, "closed")]
    with pytest.raises(Refused, match=r"error\.appeal\.late"):
        told.appeal(1)


def test_where_the_operator_is_not_named_the_case_waits_at_the_command_line() -> None:
    told = with_case(operators=())
    told.wait(3 * DEADLINE)
    assert [who for who, _, _ in told.cases[1].asked] == [MARK, MINA, OLGA]
    assert [(task.task, task.n) for task in told.tasks.values()] == [("case", 1), ("room", 5)]
    assert [fact.asked for fact in of_kind(told, CaseAssigned) if isinstance(fact, CaseAssigned)].count("operator") == 0
    assert len(of_kind(told, TaskOpened)) == 2


# Several cases at once.


def heap(count: int, **settings: Any) -> World:
    """Return a world in which `count` cases for managers come at one moment, about as many people."""
    told = world(**settings)
    people = [UserId(f"@p{n}:example.org") for n in range(count)]
    told.joined |= set(people)
    for user in people:
        told.say(user, "spam")
    return told


def standing_charges(told: World, user: UserId) -> list[int]:
    return [cost for who, cost, _ in charged(told) if who == user]


@pytest.mark.parametrize(("a_day", "charges"), [(1, [5]), (2, [5, 5]), (0, [5] * 13)])
def test_many_cases_overdue_on_one_day_charge_each_manager_once(a_day: int, charges: list[int]) -> None:
    told = heap(13, standing={"overdue_a_day": a_day, "overdue_daily": 0})
    told.wait(DEADLINE + HOUR)
    assert [standing_charges(told, user) for user in (MARK, MINA)] == [charges, charges]


def test_a_case_overdue_the_next_day_is_charged_again() -> None:
    told = heap(2, standing={"overdue_daily": 0})
    told.wait(DAY)
    told.say(BEN, "spam")
    told.wait(DEADLINE)
    assert standing_charges(told, MARK) == [5, 5]


def test_only_one_of_several_neglected_cases_charges_daily() -> None:
    told = heap(1)
    told.wait(HOUR)
    told.say(BEN, "spam")
    told.policy = policy(SPAM, NOISE, standing={"overdue_a_day": 2})  # both cost at first,
    told.wait(DEADLINE)
    told.policy = policy(SPAM, NOISE)  # then one of them each day
    told.wait(2 * DAY)
    assert standing_charges(told, MARK) == [5, 5, 2, 2]
