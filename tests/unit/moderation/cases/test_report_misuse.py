"""Reports that prove wrong: warnings, pauses, and what is taken back when one proves right after all."""

from dataclasses import replace

import pytest

from moderation.cases.reports import (
    ReportedCase,
    Reporter,
    with_misuse,
)
from moderation.model.builtin_rules import MISUSE, UNDECIDED
from moderation.model.facts import (
    CaseDecided,
    CaseMoved,
    CaseOpened,
    CaseState,
    Fact,
    SanctionStarted,
)
from moderation.values.ids import UserId
from tests.unit.moderation.builders import (
    ANNA,
    DAY,
    MARK,
    NOON,
    OLGA,
    ROOM,
    History,
)
from tests.unit.moderation.cases.reporting import BEN, CLEO, POLICY, around, case, decided, filed, told


def misused(n: int, user: UserId = BEN, until: int = 0, rule: str = MISUSE, on: int = 9) -> tuple[Fact, ...]:
    return (
        CaseOpened(
            room=ROOM,
            on=on,
            n=n,
            rule=rule,
            grade="moderate",
            decide="auto",
            state="decided",
            due=0,
            about=3,
            subject=user,
        ),
        SanctionStarted(room=ROOM, on=on, kind="warn", until=until, n=n, basis="rule", rule=rule, subject=user),
    )


@pytest.mark.parametrize(
    ("dismissed", "warned", "brings"),
    [
        (0, False, ()),
        (1, False, ()),
        (2, False, misused(20)),
        (3, True, ()),
        (3, False, misused(20)),
        (4, True, ()),
        (5, True, misused(20, until=NOON + 7 * DAY)),
        (5, False, misused(20, until=NOON + 7 * DAY)),
    ],
)
def test_the_third_dismissed_report_is_a_warning_and_the_sixth_a_pause(
    dismissed: int, warned: bool, brings: tuple[Fact, ...]
) -> None:
    found = with_misuse((decided(),), around(Reporter(BEN, dismissed, warned)))
    assert found == (decided(), *brings)
    assert with_misuse(found, around(Reporter(BEN, dismissed, warned))) == found  # nothing twice


def test_each_reporter_has_a_case_of_their_own_with_a_number_of_its_own() -> None:
    other = CaseOpened(
        room=ROOM, on=9, n=20, rule="x", grade="minor", decide="auto", state="decided", due=0, subject=OLGA
    )
    facts = (decided(), other)
    found = with_misuse(facts, around(Reporter(BEN, 2), Reporter(OLGA, 0), Reporter(CLEO, 5)))
    assert found == (*facts, *misused(21), *misused(22, CLEO, NOON + 7 * DAY))


def test_cases_dismissed_by_one_act_are_all_counted_and_bring_one_warning_or_one_pause() -> None:
    facts = tuple(decided(n=n) for n in (3, 4, 5, 6))
    of_ben = dict.fromkeys((3, 4, 5, 6), ReportedCase((Reporter(BEN),)))
    all_of_them = replace(around(), cases=of_ben)
    found = with_misuse(facts, all_of_them)
    assert [fact for fact in found if fact not in facts] == [
        replace(fact, about=5) if isinstance(fact, CaseOpened) else fact for fact in misused(20)
    ]
    assert with_misuse(found, all_of_them) == found
    before = replace(around(), cases=dict.fromkeys((3, 4, 5, 6), ReportedCase((Reporter(BEN, 3, warned=True),))))
    assert SanctionStarted not in {type(each) for each in with_misuse(facts[:2], before)}
    assert [f.until for f in with_misuse(facts, before) if isinstance(f, SanctionStarted)] == [NOON + 7 * DAY]


def late(step: str = "overdue", state: str = "overdue") -> CaseMoved:
    return CaseMoved(room=ROOM, n=3, step=step, state=state, asked="managers", due=NOON)  # type: ignore[arg-type]


@pytest.mark.parametrize(("undecided", "paused", "pauses"), [(2, False, False), (3, False, True), (3, True, False)])
def test_three_reports_past_their_deadline_pause_the_reporter(undecided: int, paused: bool, pauses: bool) -> None:
    known = around(Reporter(BEN, undecided=undecided, paused=paused))
    brought = misused(20, until=NOON + 7 * DAY, rule=UNDECIDED, on=-1) if pauses else ()
    found = with_misuse((late(),), known)
    assert found == (late(), *brought)
    assert with_misuse(found, known) == found


@pytest.mark.parametrize("fact", [late("reminded", "open"), late("parted", "open"), late("escalated", "appealed")])
def test_other_steps_pause_nobody(fact: CaseMoved) -> None:
    assert with_misuse((fact,), around(Reporter(BEN, undecided=9))) == (fact,)


def test_a_case_that_is_passed_on_as_it_opens_is_not_late() -> None:
    (opened, _) = filed()
    assert isinstance(opened, CaseOpened)
    facts = (replace(opened, n=3), late("escalated", "escalated_operator"))
    assert with_misuse(facts, around(Reporter(BEN, undecided=9))) == facts


def test_a_paused_reporter_is_told_why_and_until_when() -> None:
    found = told(with_misuse((late(),), around(Reporter(BEN, undecided=3))))
    assert found[BEN] == (["notice.own.reports_undecided", "notice.reports-paused", "notice.foot"], False)


@pytest.mark.parametrize(
    "fact",
    [
        decided("dismissed", "reversed"),  # somebody had upheld it
        decided("upheld"),
        decided("upheld", "affirmed"),
        decided(n=4),  # of a rule
        decided(by=BEN),  # the reporter has dismissed it
    ],
)
def test_justified_reports_bring_no_warning(fact: CaseDecided) -> None:
    assert with_misuse((fact,), around(Reporter(BEN, 9))) == (fact,)


def test_with_misuse_after_zero_nothing_counts() -> None:
    assert with_misuse((decided(),), around(Reporter(BEN, 9), misuse_after=0)) == (decided(),)


@pytest.mark.parametrize(("state", "after"), [("decided", "decided"), ("appealed", "reversed"), ("affirmed", None)])
def test_a_report_that_proves_right_takes_back_what_its_dismissal_brought(state: CaseState, after: str | None) -> None:
    of_misuse = case(12, rule=MISUSE, state=state, outcome="upheld", about=3)
    back = [
        CaseDecided(room=ROOM, on=9, n=12, what="dismissed", state=after, subject=ANNA, by=MARK)  # type: ignore[arg-type]
        for _ in range(1 if after else 0)
    ]
    assert with_misuse((decided("upheld"),), around(misuse=(of_misuse,))) == (decided("upheld"), *back)


def test_a_case_of_misuse_costs_nothing_and_is_taken_back_by_any_manager() -> None:
    told = History(POLICY, user=BEN)
    told.apply(misused(1))
    assert told.state() == (100, set())
    assert told.decide(1, "dismissed", MARK) == (
        CaseDecided(room=ROOM, on=2, n=1, what="dismissed", subject=BEN, by=MARK),
    )
