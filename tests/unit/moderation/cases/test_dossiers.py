"""The operator is asked for a file for serious and continuing offences, and not twice for the same."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.cases.dossiers import Before, Offence, as_it_will_be, due, opened_decided
from moderation.model.builtin_rules import BARRED, CAP_MEMBERS, OWN_RULES, REPORTED
from moderation.model.facts import CaseDecided, CaseOpened, TaskOpened
from moderation.policy import DossierSettings
from tests.unit.moderation.builders import ANNA, DAY, NOON, ROOM

SETTINGS = DossierSettings()
EARLIER = Before(measures=((1, NOON - 30 * DAY, "spam"),))


def offence(n: int = 2, grade: Any = "severe", at: int = NOON, rule: str = "spam") -> Offence:
    return Offence(n, ROOM, rule, grade, at, at)


def asked(*offences: Offence, before: Before = EARLIER, now: int = NOON, settings: DossierSettings = SETTINGS) -> int:
    """Return the case about which the operator is asked; 0 if they are not."""
    task = due(ANNA, offences, before, now, settings)
    return task.n if task else 0


def test_one_severe_or_two_serious_ones_after_a_measure_are_a_task() -> None:
    task = TaskOpened(room=ROOM, on=8, task="dossier", n=2, subject=ANNA)
    assert due(ANNA, [offence()], EARLIER, NOON, SETTINGS, on=8) == task
    assert asked(offence(2, "serious"), offence(3, "serious")) == 3
    assert asked(offence(2, "serious"), offence(3, "moderate"), offence(4, "minor")) == 0


def test_a_dossier_requires_an_earlier_measure_for_another_case() -> None:
    assert asked(offence(), before=Before()) == 0
    assert asked(offence(), before=Before(measures=((2, NOON, "spam"),))) == 0
    assert asked(offence(), before=Before(measures=((1, NOON + 1, "spam"),))) == 0
    assert asked(offence(), before=Before(measures=((0, NOON - 1, "-"),))) == 2  # a manager's own
    assert asked(offence(), before=Before(measures=((1, NOON - 1, CAP_MEMBERS),))) == 0


def test_older_cases_do_not_count() -> None:
    old = offence(2, at=NOON - 20 * DAY)
    assert asked(old, settings=DossierSettings(within=21 * DAY)) == 2
    assert asked(old, settings=DossierSettings(within=20 * DAY)) == 0


@pytest.mark.parametrize("rule", sorted(OWN_RULES))
def test_among_builtin_rules_only_reports_count(rule: str) -> None:
    assert (asked(offence(rule=rule)) == 2) is (rule == REPORTED)


def test_a_limit_of_0_never_asks() -> None:
    assert asked(offence(), settings=DossierSettings(severe=0)) == 0
    assert asked(offence(), offence(3), settings=DossierSettings(severe=0, serious=0)) == 0


def test_a_waiting_or_decided_task_is_not_repeated() -> None:
    waits, done = (NOON - DAY, 0), (NOON - DAY, NOON)
    assert asked(offence(), before=replace(EARLIER, tasks=(waits,))) == 0
    assert asked(offence(), before=replace(EARLIER, tasks=(done,))) == 0
    fresh = offence(3, at=NOON + 1)
    assert asked(offence(), fresh, before=replace(EARLIER, tasks=(done,)), now=NOON + 1) == 3


def test_decisions_among_the_present_facts_count() -> None:
    opened = CaseOpened(
        room=ROOM, n=5, rule="spam", grade="severe", decide="auto", state="decided", due=NOON, subject=ANNA
    )
    new = opened_decided(opened, NOON)
    assert new == offence(5)
    assert as_it_will_be([offence(2)], [new], [opened]) == (offence(2), new)
    dismissed = CaseDecided(room=ROOM, n=2, what="dismissed", state="reversed", subject=ANNA)
    assert as_it_will_be([offence(2)], [], [dismissed]) == ()


@given(
    st.lists(
        st.tuples(
            st.integers(2, 9),
            st.sampled_from(["minor", "moderate", "serious", "severe"]),
            st.integers(NOON - 100 * DAY, NOON),
            st.sampled_from(["spam", BARRED]),
        ),
        max_size=6,
    )
)
def test_every_person_of_a_task_has_a_recent_grave_case(cases: list[Any]) -> None:
    offences = [offence(*each) for each in cases]
    n = asked(*offences)
    grave = [o for o in offences if o.n == n and o.grade in ("serious", "severe") and o.rule == "spam"]
    assert n == 0 or any(o.decided_ms > NOON - SETTINGS.within for o in grave)
