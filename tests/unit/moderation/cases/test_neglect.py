"""The cost of neglect for those who run a group, its consequences, and that reversing it leaves nothing behind."""

import pytest

from moderation.cases.neglect import FAULTS, cost_of
from moderation.model.builtin_rules import OWN_RULES
from moderation.model.facts import CreditChanged, SanctionEnded, SanctionExtended
from moderation.policy import Policy
from moderation.values.errors import Refused
from tests.unit.moderation.builders import ANNA, DAY, MARK, MINA, OLGA, OPERA, policy, terms
from tests.unit.moderation.world import World

SPAM = terms("spam", **{"class": "serious", "decide": "manager"})
DEADLINE = DAY


def world(**standing: int) -> World:
    told = World(policy(SPAM, standing=standing))
    told.say(ANNA, "spam")
    return told


def test_every_duty_has_its_cost() -> None:
    costs = {rule: cost_of(rule, Policy()) for rule, own in OWN_RULES.items() if own.ledger == "standing"}
    assert costs == {
        "duty_overdue": 5,
        "duty_nobody": 10,
        "duty_error": 5,
        "duty_bad_faith": 25,
        "duty_own_case": 15,
        "duty_vouch": 15,
        "duty_identity": 25,
    }
    assert set(FAULTS.values()) == costs.keys() - {"duty_overdue", "duty_nobody"}


def test_neglect_is_a_decided_case_about_the_responsible_person() -> None:
    told = world()
    told.wait(DEADLINE)
    case = told.cases[2].view
    assert (case.rule, case.subject, case.state, case.outcome, case.about, case.asked) == (
        "duty_overdue",
        MARK,
        "decided",
        "upheld",
        1,
        "owner",
    )
    assert told.points(MARK, "standing") == 95
    assert told.points(MARK, "credit") == 100


def test_low_standing_only_suspends_rights() -> None:
    told = world(overdue=85, overdue_daily=0, overdue_at_most=85)
    told.wait(DEADLINE)
    assert told.points(MARK, "standing") == 15
    assert [(each.kind, each.basis, each.n) for each in told.in_force() if each.subject == MARK] == [
        ("demote", "standing", 2)
    ]
    assert told.power().role(MARK) == "member"


def test_taking_back_several_charges_of_one_case_says_so_for_each_and_decides_once() -> None:
    told = world(overdue=50, overdue_daily=11, overdue_at_most=72)
    told.wait(DEADLINE + 1 * DAY)  # 50, then 11: 39 are left
    assert told.points(MARK, "standing") == 39
    facts = told.decide(2, "dismissed", OLGA)
    brought = [fact for fact in facts if isinstance(fact, CreditChanged | SanctionEnded | SanctionExtended)]
    assert [(type(fact).__name__, getattr(fact, "left", "")) for fact in brought] == [
        ("CreditChanged", 89),
        ("CreditChanged", 100),
        ("SanctionEnded", ""),
    ]
    assert told.power().role(MARK) == "manager"
    told.check()


def test_a_reversal_may_name_the_kind_of_error() -> None:
    told = world()
    told.decide(1, "upheld", MARK)
    told.appeal(1)
    told.decide(1, "dismissed", MINA, "error")
    case = told.cases[2]
    assert (case.view.rule, case.view.subject, case.view.by, case.view.about) == ("duty_error", MARK, MINA, 1)
    assert told.points(MARK, "standing") == 95
    told.appeal(2)  # which only the owner hears
    assert told.assigned(2) == (OLGA,)


@pytest.mark.parametrize(
    ("by", "fault", "key"),
    [
        (MINA, "bad-faith", "error.fault.bad-faith"),
        (MARK, "error", "error.fault.nobody"),
        (OLGA, "bad-faith", ""),
        (OPERA, "bad-faith", ""),
        (MINA, "error", ""),
    ],
)
def test_only_a_higher_role_states_bad_faith(by: str, fault: str, key: str) -> None:
    told = world()
    told.decide(1, "upheld", MARK)
    if by == MINA:
        told.appeal(1)  # or she could not reverse it at all
    if key:
        with pytest.raises(Refused, match=key.replace(".", r"\.")):
            told.decide(1, "dismissed", by, fault)  # type: ignore[arg-type]
    else:
        told.decide(1, "dismissed", by, fault)  # type: ignore[arg-type]
        assert told.points(MARK, "standing") == (95 if fault == "error" else 75)


def test_each_ledgers_demotion_ends_by_its_own_ledger() -> None:
    told = World(
        policy(
            terms("spam", **{"class": "severe", "decide": "manager"}),
            credit={"costs": {"minor": 1, "moderate": 5, "serious": 25, "severe": 61}, "incident_limit": 61},
            standing={"overdue": 61, "overdue_daily": 0, "overdue_at_most": 61},
            tiers={"c": 30},
        )
    )
    told.say(MARK, "spam")
    told.decide(1, "upheld", MINA)
    told.decide(1, "dismissed", MINA)
    told.decide(1, "upheld", MINA)  # a decision can be taken back, and taken again
    assert told.points(MARK, "credit") == 39
    assert [(each.kind, each.basis) for each in told.in_force()] == [("demote", "credit")]
    told.check()
    told.appeal(1)
    told.decide(1, "dismissed", OLGA)
    assert told.in_force() == []
    assert told.power().role(MARK) == "manager"
