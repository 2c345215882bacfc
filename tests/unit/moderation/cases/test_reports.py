"""Reports by members: one case for each message, no report twice, and the consequences of misuse."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.cases.report_budget import Filed
from moderation.cases.reports import (
    Pause,
    ReportContext,
    ReportedMessage,
    Reporter,
    report,
    with_misuse,
)
from moderation.model.builtin_rules import REPORTED, UNDECIDED
from moderation.model.context import CaseView
from moderation.model.facts import (
    CaseGrew,
    CaseOpened,
    CaseState,
    CreditChanged,
    Outcome,
    Reported,
    SanctionStarted,
)
from moderation.model.facts.cases import EXCERPT
from moderation.values.errors import Refused
from moderation.values.ids import EventId, UserId
from tests.unit.moderation.builders import (
    ANNA,
    BOT,
    DAY,
    HOUR,
    MARK,
    MINUTE,
    NOON,
    ROOM,
    History,
    in_words_of,
    person,
    policy,
)
from tests.unit.moderation.cases.reporting import BEN, CLEO, POLICY, around, case, decided, filed, reported, told

# The recipients of a report.


def test_a_report_opens_a_case_that_waits_for_managers() -> None:
    opened = CaseOpened(
        room=ROOM,
        on=9,
        n=5,
        rule=REPORTED,
        grade="serious",
        decide="manager",
        state="open",
        due=NOON + 24 * HOUR,
        message=7,
        subject=ANNA,
        event=EventId("$said"),
        excerpt="you are all fools",
    )
    assert filed(reports={"class": "serious"}) == (opened, reported(5))


def test_a_case_about_a_manager_says_so() -> None:
    (opened, _) = filed(subject=person(ANNA, manages=frozenset({ROOM})))
    assert isinstance(opened, CaseOpened) and opened.manages == 1


def test_a_case_keeps_the_beginning_of_a_long_message() -> None:
    (opened, _) = filed(message=ReportedMessage(EventId("$said"), 7, "x" * 5000))
    assert isinstance(opened, CaseOpened) and opened.excerpt == "x" * EXCERPT


@pytest.mark.parametrize("rule", [REPORTED, "spam"])
def test_a_report_joins_the_open_case_that_has_the_message(rule: str) -> None:
    assert filed(known=ReportContext(cases=(case(3, rule=rule),))) == (reported(3),)


@pytest.mark.parametrize(
    ("outcome", "state"), [("upheld", "decided"), ("dismissed", "decided"), ("upheld", "appealed")]
)
def test_a_report_of_what_was_decided_is_recorded_with_the_decision(outcome: Outcome, state: CaseState) -> None:
    assert filed(known=ReportContext(cases=(case(3, state=state, outcome=outcome),))) == (reported(3),)


def test_an_open_case_comes_before_a_decided_one() -> None:
    decided = case(4, state="decided", outcome="upheld", rule="spam")
    assert filed(known=ReportContext(cases=(case(3), decided))) == (reported(3),)


@pytest.mark.parametrize(("later", "joins"), [(0, True), (10 * MINUTE, True), (10 * MINUTE + 1, False)])
def test_another_message_within_the_incident_is_more_evidence(later: int, joins: bool) -> None:
    subject = person(ANNA, recent_cases={(ROOM, REPORTED): case(3)})
    grown = CaseGrew(room=ROOM, on=9, n=3, message=7, subject=ANNA, event=EventId("$said"))
    facts = filed(subject=subject, now=NOON + later)
    assert (facts == (reported(3), grown)) is joins
    assert isinstance(facts[0], CaseOpened) is not joins


def test_another_message_after_the_decision_is_a_case_of_its_own() -> None:
    subject = person(ANNA, recent_cases={(ROOM, REPORTED): case(3, state="decided", outcome="dismissed")})
    assert isinstance(filed(subject=subject)[0], CaseOpened)


# Reports of one person at one time.


def lead(n: int = 3, **more: Any) -> CaseView:
    return replace(case(n), **more)


def test_reports_close_in_time_share_one_card_and_deadline() -> None:
    opened, _ = filed(known=ReportContext(lead=lead(opened=NOON - 10 * MINUTE)))
    assert isinstance(opened, CaseOpened)
    assert (opened.n, opened.lead, opened.due) == (5, 3, 0)
    assert [type(each).__name__ for each in in_words_of((opened,), lambda _: ())] == ["EditCard"]


@pytest.mark.parametrize("known", [lead(opened=NOON - 10 * MINUTE - 1), lead(manages=True)])
def test_a_later_report_or_one_after_a_manager_report_has_its_own_card(known: CaseView) -> None:
    opened, _ = filed(known=ReportContext(lead=known))
    assert isinstance(opened, CaseOpened) and opened.lead == 0 and opened.due > NOON


def test_a_report_of_a_manager_has_its_own_card() -> None:
    opened, _ = filed(subject=person(ANNA, manages=frozenset({ROOM})), known=ReportContext(lead=lead()))
    assert isinstance(opened, CaseOpened) and opened.lead == 0


def test_the_budget_counts_cases_not_messages() -> None:
    used = tuple(Filed(n, NOON) for n in range(1, 6))
    known = ReportContext(cases=(case(3),), filed=used, messages={3: 1})
    assert filed(known=known) == (reported(3),)
    with pytest.raises(Refused) as refused:
        filed(known=replace(known, cases=()))
    assert refused.value.key == "error.report.budget"
    assert refused.value.fields == {"count": 5, "until": NOON + 30 * DAY}


def test_one_case_takes_twenty_messages_of_one_person() -> None:
    known = ReportContext(cases=(case(3),), messages={3: 19})
    assert filed(known=known) == (reported(3),)
    with pytest.raises(Refused) as refused:
        filed(known=replace(known, messages={3: 20}))
    assert (refused.value.key, refused.value.fields) == ("error.report.enough", {"n": 3})


# What is refused.


@pytest.mark.parametrize(
    ("by", "subject", "known", "key", "fields"),
    [
        (ANNA, ANNA, ReportContext(), "error.report.self", {}),
        (BEN, ANNA, ReportContext(accounts=(ANNA, BEN)), "error.report.self", {}),
        (BEN, BOT, ReportContext(), "error.report.bot", {}),
        (BEN, ANNA, ReportContext(before=3), "error.report.twice", {"n": 3}),
        (
            BEN,
            ANNA,
            ReportContext(pause=Pause(NOON + DAY, 8)),
            "error.report.paused",
            {"room": ROOM, "until": NOON + DAY, "n": 8},
        ),
        (
            BEN,
            ANNA,
            ReportContext(pause=Pause(NOON + DAY, 8, UNDECIDED)),
            "error.report.undecided",
            {"room": ROOM, "until": NOON + DAY, "n": 8},
        ),
    ],
)
def test_an_unreportable_event_is_refused(
    by: UserId, subject: UserId, known: ReportContext, key: str, fields: dict[str, Any]
) -> None:
    with pytest.raises(Refused) as refused:
        filed(by, subject=subject, known=known)
    assert (refused.value.key, refused.value.fields) == (key, fields)


# Consequences of a decision.


def test_upholding_a_report_brings_its_measure_for_every_message_and_the_charge_of_its_class() -> None:
    told = History(policy(reports={"class": "serious", "measure": "mute", "mute_for": "1h"}))
    told.apply(filed(reports={"class": "serious"}))
    more = CaseGrew(room=ROOM, on=11, n=5, message=10, subject=ANNA, event=EventId("$more"))
    told.apply((more,))
    facts = told.decide(5, "upheld", MARK)
    done = [(fact.kind, fact.basis, fact.event, fact.until) for fact in facts if isinstance(fact, SanctionStarted)]
    assert done == [
        ("redact", "decision", "$said", 0),
        ("redact", "decision", "$more", 0),
        ("mute", "decision", "", NOON + HOUR),
    ]
    assert [(fact.cost, fact.rule) for fact in facts if isinstance(fact, CreditChanged)] == [(25, REPORTED)]
    told.decide(5, "dismissed", MARK)
    assert told.state() == (100, set())


# Messages to reporters.


@pytest.mark.parametrize(
    ("what", "state", "key", "to_anna"),
    [
        ("upheld", "decided", "upheld", "report.upheld"),
        ("dismissed", "decided", "dismissed", "report.dismissed"),
        ("upheld", "affirmed", "affirmed", "affirmed"),
        ("dismissed", "reversed", "reversed", "report.dismissed"),
    ],
)
def test_a_reporter_is_told_the_outcome_without_particulars(what: str, state: str, key: str, to_anna: str) -> None:
    facts = (
        decided(what, state),
        SanctionStarted(room=ROOM, kind="redact", n=3, basis="decision", rule=REPORTED, subject=ANNA, by=MARK),
    )
    anna, ben = told(facts, ben=BEN)[ANNA], told(facts, ben=BEN)[BEN]
    assert ben == ([f"report.outcome.{key}"], True)
    assert anna[0][0] == f"notice.{to_anna}"
    assert any(key.startswith("notice.foot") for key in anna[0]) == (what == "upheld")


def test_the_decider_and_the_person_concerned_are_not_told_as_reporters() -> None:
    found = told((decided(),), anna=ANNA, mark=MARK)
    assert found == {ANNA: (["notice.report.dismissed", "notice.words", "notice.details"], False)}


def test_the_outcome_and_a_warning_are_one_message() -> None:
    found = told(with_misuse((decided(),), around(Reporter(BEN, 2))), ben=BEN)
    assert found[BEN] == (["report.outcome.dismissed", "notice.own.report_misuse", "notice.foot"], False)
    found = told(with_misuse((decided(),), around(Reporter(BEN, 5))), ben=BEN)
    assert found[BEN][0][1:] == ["notice.own.report_misuse", "notice.reports-paused", "notice.foot"]


# Many reports.

Step = tuple[UserId, int, int]  # who reports which message, after how long
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([BEN, CLEO, MARK]), st.integers(0, 3), st.sampled_from([0, MINUTE, 11 * MINUTE])),
        st.sampled_from(["upheld", "dismissed"]),
    ),
    max_size=25,
)


class Room:
    """Anna's messages in a room, and their reporters."""

    def __init__(self) -> None:
        self.told = History(POLICY)
        self.reports: list[tuple[int, UserId, int]] = []  # case, who, message

    def known(self, by: UserId, event: str, record: int) -> ReportContext:
        cases = tuple(each for each in self.told.cases.values() if event in each.events)
        before = next((n for n, user, message in self.reports if (user, message) == (by, record)), 0)
        return ReportContext(cases=cases, before=before)

    def report(self, by: UserId, number: int) -> None:
        event, record = f"$message{number}", 1000 + number
        try:
            facts = report(
                ReportedMessage(EventId(event), record),
                by=by,
                reason="",
                context=self.told.context(),
                known=self.known(by, event, record),
                policy=POLICY,
                on=0,
            )
        except Refused as refused:
            assert refused.key == "error.report.twice"
            return
        self.told.apply(facts)
        self.reports += [(fact.n, fact.by, fact.message) for fact in facts if isinstance(fact, Reported)]

    def decide(self, what: Outcome) -> None:
        for each in self.waiting():
            self.told.decide(each.n, what)

    def waiting(self) -> list[CaseView]:
        return [each for each in self.told.cases.values() if not each.outcome]


@given(_STEPS)
def test_a_message_never_has_two_open_cases_and_nobody_reports_it_twice(steps: Iterable[Any]) -> None:
    room = Room()
    for step in steps:
        if step == "upheld" or step == "dismissed":
            room.decide(step)
        else:
            by, number, later = step
            room.told.wait(later)
            room.report(by, number)
        evidence = [event for each in room.waiting() for event in each.events]
        assert len(evidence) == len(set(evidence))
        assert len({(user, message) for _, user, message in room.reports}) == len(room.reports)
        assert {n for n, _, _ in room.reports} == set(room.told.cases)


# Misuse.


# Reports that nobody decides.
