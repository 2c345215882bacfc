"""The obligations that must follow facts on every path: who is responsible, who is told first, what ends."""

from dataclasses import replace
from typing import Any

from moderation.cases.obligations import CaseContext, concerns, derive_obligations
from moderation.duty.duty import Duty
from moderation.model.actions.cards import PostCard
from moderation.model.context import CaseView, InForce
from moderation.model.facts import (
    Appealed,
    CaseAssigned,
    CaseDecided,
    CaseMoved,
    CaseOpened,
    CreditChanged,
    Fact,
    SanctionEnded,
    SanctionStarted,
    TaskDone,
    TaskOpened,
)
from moderation.values.ids import CaseNumber, PersonId, UserId
from tests.unit.moderation.builders import (
    ANNA,
    DAY,
    HOUR,
    MARK,
    MINA,
    NOON,
    OLGA,
    OPERA,
    OTHER,
    ROOM,
    context,
    entry,
    in_words_of,
    person,
    policy,
)

DUE = NOON + DAY
OPENED = CaseOpened(room=ROOM, on=7, n=4, rule="spam", grade="serious", decide="manager", state="open", due=DUE)
ABOUT_ANNA = replace(OPENED, subject=ANNA)
DUTY = Duty(owners=(OLGA,), managers=(MARK, MINA), operators=(OPERA,), desk=frozenset({OLGA, MARK, MINA}))
NOBODY = replace(DUTY, away=frozenset({MARK, MINA, OLGA}))
AROUND = CaseContext(now_ms=NOON, policy=policy(), next_case=4, on=7, duties={ROOM: DUTY})


def added(*facts: Fact, **around: object) -> tuple[Fact, ...]:
    """Return the derived facts, after checking that they are derived only once."""
    known = replace(AROUND, **around)  # type: ignore[arg-type]
    whole = derive_obligations(facts, known)
    assert whole[: len(facts)] == facts
    assert derive_obligations(whole, known) == whole
    return whole[len(facts) :]


def assigned(user: UserId, asked: str = "managers", *, n: int = 4, due: int = DUE) -> CaseAssigned:
    return CaseAssigned(room=ROOM, on=7, n=n, asked=asked, due=due, subject=user)  # type: ignore[arg-type]


def appealed(rule: str, subject: UserId = ANNA, **more: Any) -> dict[int, CaseView]:
    """Return the appealed case 4."""
    case = CaseView(
        CaseNumber(4),
        ROOM,
        subject,
        PersonId(subject),
        rule,
        "serious",
        "manager",
        False,
        "decided",
        "upheld",
        NOON,
        **more,
    )
    return {4: case}


def passed_on(state: str, asked: str, *, n: int = 4) -> CaseMoved:
    return CaseMoved(room=ROOM, on=7, n=n, step="escalated", state=state, asked=asked, due=DUE)  # type: ignore[arg-type]


def demoted(user: UserId, n: int = 9, **more: object) -> SanctionStarted:
    return SanctionStarted(on=7, kind="demote", n=n, basis="standing", subject=user, **more)  # type: ignore[arg-type]


def test_managers_on_duty_answer_for_a_case_from_its_opening() -> None:
    assert added(ABOUT_ANNA) == (assigned(MARK), assigned(MINA))


def test_managers_outside_the_desk_are_told_in_private() -> None:
    duty = replace(DUTY, desk=frozenset({MARK}))
    assert added(ABOUT_ANNA, duties={ROOM: duty}) == (assigned(MARK), replace(assigned(MINA), how="word"))


def test_a_case_on_another_card_is_unassigned_until_that_card_is_decided() -> None:
    assert added(replace(ABOUT_ANNA, lead=3, due=0)) == ()


def test_an_undecided_case_on_a_shared_card_continues_by_itself() -> None:
    waiting = tuple(
        CaseView(CaseNumber(n), ROOM, ANNA, PersonId(ANNA), "reported", "moderate", "manager", False, "open", "", NOON)
        for n in (4, 5)
    )
    lead, other = (CaseDecided(room=ROOM, on=7, n=n, what="upheld", subject=ANNA, by=MARK) for n in (3, 4))
    due = NOON + 72 * HOUR
    assert added(lead, other, waiting_with={3: waiting}) == (
        CaseMoved(room=ROOM, on=7, n=5, step="parted", state="open", asked="managers", due=due),
        assigned(MARK, n=5, due=due),
        assigned(MINA, n=5, due=due),
    )
    parted = CaseMoved(room=ROOM, on=7, n=5, step="parted", state="open", asked="managers", due=due)
    assert in_words_of((parted,), lambda _: ()) == (PostCard(room=ROOM, n=CaseNumber(5)),)


def test_a_case_about_a_manager_is_for_the_other() -> None:
    assert added(replace(OPENED, subject=MARK)) == (assigned(MINA),)


def test_a_case_nobody_else_on_duty_can_decide_goes_to_the_owner_at_once() -> None:
    alone = replace(DUTY, managers=(MARK,))
    assert added(replace(OPENED, subject=MARK), duties={ROOM: alone}) == (
        passed_on("escalated_owner", "owner"),
        assigned(OLGA, "owner"),
    )


def test_a_case_about_the_only_manager_goes_to_the_operator() -> None:
    alone = replace(DUTY, managers=())
    assert added(replace(OPENED, subject=OLGA), duties={ROOM: alone}) == (
        passed_on("escalated_operator", "operator"),
        assigned(OPERA, "operator"),
        TaskOpened(room=ROOM, on=7, task="case", n=4, subject=OLGA),
    )


def test_an_appeal_goes_to_somebody_who_did_not_decide() -> None:
    lodged = Appealed(room=ROOM, on=7, n=4, due=DUE, subject=ANNA)
    by_mark = appealed("spam", by=MARK)
    assert added(lodged, appealed=by_mark) == (assigned(MINA),)
    assert added(lodged, appealed=by_mark, duties={ROOM: replace(DUTY, managers=(MARK,))}) == (
        passed_on("appealed", "owner"),
        assigned(OLGA, "owner"),
    )


def test_an_appeal_against_an_operator_goes_to_another_or_else_to_the_same() -> None:
    lodged = Appealed(room=ROOM, on=7, n=4, due=DUE, subject=ANNA)
    moved, task = passed_on("appealed", "operator"), TaskOpened(room=ROOM, on=7, task="case", n=4, subject=ANNA)
    other = UserId("@opal:example.org")
    for operators, hears in (((OPERA, other), other), ((OPERA,), OPERA)):
        around = {"policy": policy(operators=operators), "duties": {ROOM: replace(DUTY, operators=operators)}}
        found = added(lodged, appealed=appealed("spam", by=OPERA), **around)
        assert found == (moved, assigned(hears, "operator"), task)


def test_an_appeal_against_neglect_goes_to_the_owner_the_owners_own_to_the_operator() -> None:
    lodged = Appealed(room=ROOM, on=7, n=4, due=DUE, subject=MARK)
    of_mark = appealed("duty_overdue", MARK)
    assert added(lodged, appealed=of_mark) == (
        passed_on("appealed", "owner"),
        assigned(OLGA, "owner"),
    )
    assert added(replace(lodged, subject=OLGA), appealed=appealed("duty_overdue", OLGA)) == (
        passed_on("appealed", "operator"),
        assigned(OPERA, "operator"),
        TaskOpened(room=ROOM, on=7, task="case", n=4, subject=OLGA),
    )


# Nobody on duty.


def nobody(*facts: Fact, left: int = 100, **duty: object) -> tuple[Fact, ...]:
    olga = person(OLGA, standing=(entry(1, 100 - left, NOON - HOUR),) if left < 100 else (), manages=frozenset({ROOM}))
    known = {(ROOM, OLGA): context(olga)}
    return added(*facts, duties={ROOM: replace(NOBODY, **duty)}, owners=known)  # type: ignore[arg-type]


def test_that_nobody_was_on_duty_is_a_case_about_the_owner_and_the_case_goes_to_the_operator() -> None:
    about_olga, charge = nobody(ABOUT_ANNA)[3:]
    assert nobody(ABOUT_ANNA)[:3] == (
        passed_on("escalated_operator", "operator"),
        assigned(OPERA, "operator"),
        TaskOpened(room=ROOM, on=7, task="case", n=4, subject=ANNA),
    )
    assert isinstance(about_olga, CaseOpened) and isinstance(charge, CreditChanged)
    assert (about_olga.n, about_olga.rule, about_olga.about, about_olga.subject) == (5, "duty_nobody", 4, OLGA)
    assert (charge.n, charge.ledger, charge.cost, charge.left) == (5, "standing", 10, 90)


def test_that_nobody_was_on_duty_costs_once_a_day() -> None:
    assert len(nobody(ABOUT_ANNA, nobody_ms=NOON - DAY)) == 5
    assert len(nobody(ABOUT_ANNA, nobody_ms=NOON - DAY + 1)) == 3


def test_one_message_that_brings_two_cases_costs_once_that_nobody_was_there() -> None:
    both = (ABOUT_ANNA, replace(ABOUT_ANNA, n=5, rule="other"))
    opened = [fact for fact in nobody(*both) if isinstance(fact, CaseOpened)]
    assert [(fact.n, fact.rule, fact.about) for fact in opened] == [(6, "duty_nobody", 4)]


def test_where_the_room_has_no_owner_nobody_is_charged() -> None:
    assert [type(fact) for fact in nobody(ABOUT_ANNA, owners=())] == [CaseMoved, CaseAssigned, TaskOpened]


def test_an_owner_of_another_room_is_not_charged_here() -> None:
    elsewhere = {(OTHER, OLGA): context(OLGA)}
    facts = added(ABOUT_ANNA, duties={ROOM: NOBODY}, owners=elsewhere)
    assert [type(fact) for fact in facts] == [CaseMoved, CaseAssigned, TaskOpened]


def test_a_case_for_the_owner_opens_no_case_about_duty() -> None:
    assert nobody(replace(OPENED, rule="duty_error", subject=MARK)) == (
        passed_on("escalated_operator", "operator"),
        assigned(OPERA, "operator"),
        TaskOpened(room=ROOM, on=7, task="case", n=4, subject=MARK),
    )


# The last who can act.


def last(user: UserId, n: int = 9) -> TaskOpened:
    return TaskOpened(room=ROOM, on=7, task="last-manager", n=n, subject=user)


def test_when_the_last_who_can_act_is_demoted_the_operator_is_asked_to_stand_in() -> None:
    alone = {ROOM: replace(DUTY, owners=(), managers=(MARK,))}
    assert added(demoted(MARK), duties=alone) == (last(MARK),)
    assert added(demoted(MARK, room=ROOM), duties=alone) == (last(MARK),)
    assert added(demoted(MARK, room=OTHER), duties=alone) == ()
    assert added(demoted(MARK)) == ()


def test_when_all_who_can_act_are_demoted_at_once_the_operator_is_asked_once() -> None:
    without_owner = {ROOM: replace(DUTY, owners=())}
    assert added(demoted(MARK), demoted(MINA, 10), duties=without_owner) == (last(MINA, 10),)
    assert added(demoted(MARK), demoted(MINA, 10)) == ()  # the owner is still there


def test_a_demotion_matters_only_if_somebody_could_act_before() -> None:
    assert added(demoted(MARK), duties={ROOM: Duty()}) == ()


def test_an_owner_demoted_for_lack_of_duty_counts_as_demoted() -> None:
    facts = nobody(ABOUT_ANNA, left=45, managers=())
    assert isinstance(facts[5], SanctionStarted)
    assert (facts[5].kind, facts[5].subject, facts[5].credit) == ("demote", OLGA, 35)
    assert facts[6:] == (last(OLGA, 5),)


# What is over with a decision.


def test_a_decision_ends_the_task_and_the_last_one_the_room_measure() -> None:
    decided = CaseDecided(room=ROOM, on=7, n=4, what="upheld", subject=ANNA, by=OPERA)
    rectify = InForce(3, "rectify", ROOM, OLGA, DUE, "neglect", 2)
    ordered = InForce(5, "suspend", ROOM, OLGA, DUE, "operator", 3)
    known = {"tasks": {4: 12}, "measures": {ROOM: (rectify, ordered)}}
    done = TaskDone(room=ROOM, on=7, start=12, result="overtaken")
    mended = SanctionEnded(room=ROOM, on=7, start=3, kind="rectify", why="mended", n=2, subject=OLGA)
    assert added(decided, **known, waiting={ROOM: frozenset({4, 6})}) == (done,)
    assert added(decided, **known, waiting={ROOM: frozenset({4})}) == (done, mended)
    assert added(decided, **known, waiting={ROOM: frozenset()}) == (done,)


def test_the_operators_task_about_a_room_is_over_with_what_it_is_about_and_nothing_else() -> None:
    known = {"room_tasks": {(ROOM, "room"): (12,)}}
    over = SanctionEnded(room=ROOM, on=7, start=3, kind="rectify", why="reversed", n=2, subject=OLGA)
    assert added(over, **known) == (TaskDone(room=ROOM, on=7, start=12, result="overtaken"),)
    by_managers = SanctionEnded(room=ROOM, on=7, start=3, kind="slow", why="command", by=MARK)
    by_a_wave = SanctionEnded(room=ROOM, on=7, start=3, kind="gate", why="time", n=3)
    assert added(by_managers, **known) == added(by_a_wave, **known) == ()


def test_several_decisions_at_once_end_the_room_measure_once() -> None:
    decided = CaseDecided(room=ROOM, on=7, n=4, what="upheld", subject=ANNA, by=OPERA)
    rectify = InForce(3, "rectify", ROOM, OLGA, DUE, "neglect", 2)
    mended = SanctionEnded(room=ROOM, on=7, start=3, kind="rectify", why="mended", n=2, subject=OLGA)
    both = (decided, replace(decided, n=6))
    assert added(*both, measures={ROOM: (rectify,)}, waiting={ROOM: frozenset({4, 6})}) == (mended,)


def test_most_facts_bring_no_obligations() -> None:
    charge = CreditChanged(room=ROOM, entry="charge", cost=5, grade="minor", rule="spam", left=95, subject=ANNA)
    quiet = (charge, replace(OPENED, state="decided"))
    assert not concerns(quiet)
    assert derive_obligations(quiet, AROUND) == quiet
    for loud in (OPENED, demoted(MARK), CaseDecided(room=ROOM, n=4, what="upheld")):
        assert concerns((charge, loud))
