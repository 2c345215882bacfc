"""Reports by members: one case for each message, no report twice, and the consequences of misuse."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.cases.report_budget import Filed
from moderation.cases.reports import (
    AroundReports,
    Pause,
    ReportContext,
    ReportedCase,
    ReportedMessage,
    Reporter,
    report,
    with_misuse,
)
from moderation.consequences import Known
from moderation.model.actions.telling import Tell
from moderation.model.builtin_rules import MISUSE, REPORTED, UNDECIDED
from moderation.model.context import CaseView
from moderation.model.facts import (
    CaseDecided,
    CaseGrew,
    CaseMoved,
    CaseOpened,
    CaseState,
    CreditChanged,
    Fact,
    Outcome,
    Reported,
    SanctionStarted,
)
from moderation.model.facts.cases import EXCERPT
from moderation.policy import ReportSettings
from moderation.values.errors import Refused
from moderation.values.ids import CaseNumber, EventId, PersonId, UserId
from tests.unit.moderation.builders import (
    ANNA,
    BOT,
    DAY,
    HOUR,
    MARK,
    MINUTE,
    NOON,
    OLGA,
    ROOM,
    History,
    context,
    in_words_of,
    known,
    person,
    policy,
)

BEN, CLEO = UserId("@ben:example.org"), UserId("@cleo:example.org")
SAID = ReportedMessage(EventId("$said"), 7, "you are all fools")
POLICY, UNKNOWN = policy(), ReportContext()


def case(
    n: int = 3, *, state: CaseState = "open", outcome: Outcome | Literal[""] = "", rule: str = REPORTED, **more: Any
) -> CaseView:
    return CaseView(
        n=CaseNumber(n),
        room=ROOM,
        subject=ANNA,
        person=PersonId(ANNA),
        rule=rule,
        grade="moderate",
        decide="manager",
        manages=False,
        state=state,
        outcome=outcome,
        opened=NOON,
        **more,
    )


def filed(
    by: UserId = BEN,
    *,
    known: ReportContext = UNKNOWN,
    subject: Any = ANNA,
    message: ReportedMessage = SAID,
    now: int = NOON,
    **p: Any,
) -> tuple[Fact, ...]:
    here = context(subject, now=now, next_case=5)
    return report(message, by=by, reason="rude", context=here, known=known, policy=policy(**p), on=9)


def reported(n: int) -> Reported:
    return Reported(room=ROOM, on=9, n=n, message=7, subject=ANNA, by=BEN, reason="rude")


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


def told(facts: tuple[Fact, ...], **reporters: UserId) -> dict[str, tuple[list[str], bool]]:
    """Return who is told what, and whether it must be told in private."""
    cases = {
        **{f.n: known(f.n, user=f.subject, rule=f.rule) for f in facts if isinstance(f, CaseOpened)},
        **{f.n: known(f.n, state=f.state, outcome=f.what, rule=REPORTED) for f in facts if isinstance(f, CaseDecided)},
    }
    about = Known({n: each.cases[n] for n, each in cases.items()}, NOON)
    actions = in_words_of(facts, lambda _: (), {3: tuple(reporters.values())}, about)
    return {
        action.subject: ([each.key for each in action.lines], action.alone)
        for action in actions
        if isinstance(action, Tell)
    }


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

SETTINGS = ReportSettings()


def around(*reporters: Reporter, misuse: tuple[CaseView, ...] = (), **settings: Any) -> AroundReports:
    known = ReportSettings.model_validate(settings) if settings else SETTINGS
    return AroundReports(now_ms=NOON, settings=known, next_case=20, cases={3: ReportedCase(reporters, misuse)})


def decided(what: str = "dismissed", state: str = "decided", n: int = 3, by: UserId = MARK) -> CaseDecided:
    return CaseDecided(room=ROOM, on=9, n=n, what=what, state=state, subject=ANNA, by=by)  # type: ignore[arg-type]


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


# Reports that nobody decides.


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
