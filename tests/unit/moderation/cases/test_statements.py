"""Statements of reasons: made from facts, stored as JSON, read back unchanged."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.texts.statement import statement_lines
from moderation.cases.statements import (
    Measure,
    StatedFinding,
    Statement,
    StatementContext,
    from_json,
    statement,
    to_be_stated,
    to_json,
)
from moderation.cases.statements import keep_statement as statement_given
from moderation.model.context import CaseView
from moderation.model.facts import (
    CaseDecided,
    CaseGrew,
    CaseOpened,
    CreditChanged,
    Fact,
    Found,
    SanctionEnded,
    SanctionStarted,
    StatementGiven,
)
from moderation.values.ids import NO_USER, CaseNumber, EventId, PersonId, RoomId, UserId
from moderation.values.notices import RoomNames
from tests.unit.moderation.builders import ANNA, CODE, DAY, HOUR, MARK, MINA, NOON, OLGA, ROOM, policy

OPENED = CaseOpened(
    room=ROOM, on=7, n=4, rule="spam", grade="serious", decide="auto", state="decided", due=0, subject=ANNA
)
FOUND = Found(room=ROOM, on=7, rule="spam", grade="serious", where="body", subject=ANNA, matched="buy")
MUTED = SanctionStarted(room=ROOM, on=7, kind="mute", until=NOON + HOUR, n=4, basis="rule", rule="spam", subject=ANNA)
CHARGED = CreditChanged(
    room=ROOM, on=7, entry="charge", cost=25, grade="serious", rule="spam", n=4, left=75, subject=ANNA
)
DEMOTED = SanctionStarted(on=7, kind="demote", until=NOON + DAY, n=4, basis="credit", rule="spam", subject=ANNA)
CASE = CaseView(
    n=CaseNumber(4),
    room=ROOM,
    subject=ANNA,
    person=PersonId(ANNA),
    rule="spam",
    grade="serious",
    decide="auto",
    manages=False,
    state="decided",
    outcome="upheld",
    opened=NOON,
    events=(EventId("$1"), EventId("$2")),
    on=7,
    decided=NOON,
    excerpt="buy now",
)
DEFAULT = policy()


def known(by: UserId = NO_USER, *, reported: bool = False, **case: Any) -> StatementContext:
    return StatementContext(replace(CASE, by=by, **case), CODE, NOON - HOUR, reported, DEFAULT)


def test_a_rule_decision_states_finding_measure_cost_and_appeal_date() -> None:
    assert statement(known(), (FOUND, OPENED, MUTED, CHARGED, DEMOTED)) == Statement(
        case=4,
        room=CODE,
        rule="spam",
        grade="serious",
        outcome="upheld",
        decided=NOON,
        automatic=True,
        event="$1",
        sent=NOON - HOUR,
        words="buy now",
        messages=2,
        findings=(StatedFinding(rule="spam", where="body", matched="buy"),),
        measures=(Measure(kind="mute", until=NOON + HOUR), Measure(kind="demote", everywhere=True, until=NOON + DAY)),
        ledger="credit",
        entry="charge",
        cost=25,
        left=75,
        appeal_until=NOON + 183 * DAY,
    )


def test_an_order_for_several_rooms_is_one_measure_in_all_of_them() -> None:
    hall, everywhere = RoomId("!hall:example.org"), replace(DEMOTED, n=4)
    begun = [replace(MUTED, room=room) for room in (ROOM, hall)]
    stated = statement(known(MARK), (OPENED, *begun, everywhere))
    assert stated.measures == (
        Measure(kind="mute", rooms=(ROOM, hall), until=NOON + HOUR),
        Measure(kind="demote", everywhere=True, until=NOON + DAY),
    )
    assert from_json(to_json(stated)) == stated
    shown = {each.key: each.fields for each in statement_lines(stated, ROOM)}
    assert shown["statement.did-in-until"]["rooms"] == RoomNames((ROOM, hall))


def test_a_personal_decision_states_decider_and_reason() -> None:
    decided = CaseDecided(room=ROOM, n=4, what="upheld", subject=ANNA, by=MARK, reason="really")
    stated = statement(known(MARK, reason="really", decide="manager"), (decided, CHARGED))
    assert (stated.automatic, stated.by, stated.reason, stated.found, stated.findings) == (
        False,
        MARK,
        "really",
        "automatically",
        (),
    )


def test_a_statement_names_the_origin_and_not_the_reporter() -> None:
    assert statement(known(rule="reported", reported=True), ()).found == "reported"
    assert statement(known(reported=True), ()).found == "reported"
    assert statement(known(MARK, rule="by_order", decide="manager"), ()).found == "by-person"
    assert statement(known(MARK, rule="duty_error", decide="manager"), ()).found == "by-person"
    assert statement(known(rule="duty_overdue"), ()).found == "automatically"


def test_a_statement_excludes_effects_on_others() -> None:
    """A message comes while nobody is on duty: the member's message is not part of the owner's statement."""
    owner = replace(OPENED, n=5, rule="duty_nobody", subject=OLGA)
    cost = replace(CHARGED, n=5, ledger="standing", rule="duty_nobody", cost=10, left=90, subject=OLGA)
    facts = (FOUND, replace(OPENED, state="open"), owner, cost)
    stated = statement(known(n=5, rule="duty_nobody", subject=OLGA, about=4, events=(), on=-1), facts)
    assert (stated.findings, stated.measures, stated.cost, stated.ledger, stated.about) == ((), (), 10, "standing", 4)


def test_a_case_about_a_duty_states_no_finding_of_the_message_that_caused_it() -> None:
    duty = replace(OPENED, n=5, rule="duty_nobody", about=4)
    about = known(n=CaseNumber(5), rule="duty_nobody", about=4, on=-1)
    assert statement(about, (FOUND, OPENED, duty)).findings == ()


def test_only_upheld_cases_mention_appeal() -> None:
    for state, outcome, can in (
        ("decided", "upheld", True),
        ("decided", "dismissed", False),
        ("affirmed", "upheld", True),  # the operator can be asked
        ("reversed", "dismissed", False),
        ("open", "", False),
    ):
        stated = statement(known(state=state, outcome=outcome), ())
        assert (stated.appeal_until > 0, stated.on_appeal) == (can, state in ("affirmed", "reversed"))


def test_every_decision_is_stated_once_however_much_it_brought() -> None:
    assert to_be_stated((FOUND, OPENED, MUTED, CHARGED, DEMOTED)) == (4,)
    decided = CaseDecided(room=ROOM, n=4, what="dismissed", subject=ANNA, by=MARK)
    assert to_be_stated((decided, replace(CHARGED, entry="compensation", cost=0))) == (4,)


def test_one_cause_with_several_cases_is_stated_for_each() -> None:
    open_ = replace(OPENED, state="open", n=3)
    nobody = replace(OPENED, rule="duty_nobody", n=5, subject=OLGA)
    assert to_be_stated((open_, OPENED, nobody)) == (4, 5)


def test_only_decisions_are_stated() -> None:
    quiet: tuple[Fact, ...] = (
        FOUND,
        replace(OPENED, state="open"),
        CaseGrew(room=ROOM, n=4, subject=ANNA),
        replace(MUTED, n=0),
        SanctionEnded(start=3, kind="mute", why="time", n=4, subject=ANNA),
    )
    assert to_be_stated(quiet) == ()


def test_an_interim_measure_is_stated_before_anything_is_decided() -> None:
    interim = replace(MUTED, basis="interim")
    assert to_be_stated((replace(OPENED, state="open"), interim)) == (4,)
    stated = statement(known(state="open", outcome="", decide="manager", decided=0), (interim,))
    assert (stated.outcome, stated.automatic, stated.appeal_until) == ("", False, 0)


def test_another_message_of_the_same_incident_is_no_new_decision() -> None:
    grew = CaseGrew(room=ROOM, n=4, subject=ANNA)
    assert to_be_stated((grew, replace(MUTED, kind="redact"))) == ()


def test_the_statement_is_a_fact_of_whom_it_is_about() -> None:
    stated = statement(known(), (OPENED,))
    kept = StatementGiven(room=ROOM, on=9, n=4, subject=ANNA, statement=to_json(stated))
    assert statement_given(stated, known(), on=9) == kept


def test_empty_fields_are_left_out_and_erased_fields_are_missing() -> None:
    bare = Statement(case=4, room="", rule="", grade="", outcome="", decided=0)
    assert to_json(bare) == '{"case":4,"form":1,"found":"automatically"}'
    assert from_json("") is None


WORDS, NUMBERS = st.text(max_size=8), st.integers(0, 2**53)
FINDINGS = st.builds(StatedFinding, rule=WORDS, where=WORDS, count=NUMBERS, limit=NUMBERS, matched=WORDS)
MEASURES = st.builds(Measure, kind=WORDS, everywhere=st.booleans(), until=NUMBERS)
STATEMENTS = st.builds(
    Statement,
    **dict.fromkeys(("room", "rule", "grade", "outcome", "by", "reason", "event", "words", "ledger", "entry"), WORDS),
    **dict.fromkeys(("case", "decided", "about", "sent", "messages", "cost", "left", "appeal_until"), NUMBERS),
    found=st.sampled_from(("automatically", "reported", "by-person")),
    on_appeal=st.booleans(),
    automatic=st.booleans(),
    findings=st.lists(FINDINGS, max_size=3).map(tuple),
    measures=st.lists(MEASURES, max_size=3).map(tuple),
)


@given(STATEMENTS)
def test_a_statement_is_read_back_as_it_was_given(stated: Statement) -> None:
    assert from_json(to_json(stated)) == stated


def test_a_statement_has_only_measures_of_its_person() -> None:
    other = replace(MUTED, n=8, subject=MINA)
    assert statement(known(), (OPENED, other)).measures == ()
