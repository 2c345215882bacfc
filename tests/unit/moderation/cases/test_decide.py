"""Decisions: who may make them, which steps exist, and that reversing one leaves nothing behind."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.model.facts import CaseDecided, CaseState, CreditChanged, Fact, Outcome, SanctionEnded, SanctionStarted
from moderation.values.errors import IllegalStep, Refused
from moderation.values.ids import EventId, UserId
from tests.unit.moderation.builders import (
    ANNA,
    BOT,
    DAY,
    HOUR,
    MARK,
    MINA,
    MINUTE,
    NOON,
    OLGA,
    OPERA,
    ROOM,
    History,
    entry,
    policy,
    room,
    terms,
)

MANAGER = {"class": "moderate", "decide": "manager", "measure": "mute", "mute_for": "1h"}


def with_case(user: UserId = ANNA, *, here: Any = None, **rule: Any) -> History:
    told = History(policy(terms("spam", **{**MANAGER, **rule})), user=user, here=here)
    told.say("spam")
    return told


# Rights.


@pytest.mark.parametrize("by", [MARK, MINA, OLGA, OPERA])
def test_managers_owners_and_the_operator_decide(by: UserId) -> None:
    told = with_case()
    assert told.decide(1, "dismissed", by, "a joke") == (
        CaseDecided(room=ROOM, on=2 + 1, n=1, what="dismissed", subject=ANNA, by=by, reason="a joke"),
    )


@pytest.mark.parametrize(
    ("by", "key"),
    [(UserId("@ben:example.org"), "error.right.decide"), (BOT, "error.right.decide"), (ANNA, "error.case.own")],
)
def test_nobody_else_decides(by: UserId, key: str) -> None:
    with pytest.raises(Refused) as refused:
        with_case().decide(1, "upheld", by)
    assert refused.value.key == key


@pytest.mark.parametrize("user", [MARK, OLGA])
@pytest.mark.parametrize("what", ["upheld", "dismissed"])
def test_nobody_decides_their_own_case(user: UserId, what: Outcome) -> None:
    told = with_case(user)
    with pytest.raises(Refused) as refused:
        told.decide(1, what, user)
    assert (refused.value.key, refused.value.fields) == ("error.case.own", {"n": 1})


def test_even_the_operator_does_not_decide_their_own_case() -> None:
    told = with_case(OPERA)
    with pytest.raises(Refused, match=r"error\.case\.own"):
        told.decide(1, "dismissed", OPERA)


@pytest.mark.parametrize(
    ("first", "then", "allowed"),
    [
        (MARK, MARK, True),
        (MARK, OLGA, True),
        (MARK, OPERA, True),
        (MARK, MINA, False),
        (OLGA, MARK, False),
        (OPERA, OPERA, True),
    ],
)
def test_a_decision_is_changed_by_its_decider_or_a_higher_role(first: UserId, then: UserId, allowed: bool) -> None:
    told = with_case()
    told.decide(1, "upheld", first)
    if allowed:
        assert told.decide(1, "dismissed", then)
    else:
        with pytest.raises(Refused, match=r"error\.case\.decided-by-other"):
            told.decide(1, "dismissed", then)


@pytest.mark.parametrize("by", [MARK, OLGA])
def test_only_an_operator_revises_an_operators_decision(by: UserId) -> None:
    told = with_case()
    told.decide(1, "upheld", OPERA)
    with pytest.raises(Refused, match=r"error\.case\.for-operator"):
        told.decide(1, "dismissed", by)
    assert told.decide(1, "dismissed", OPERA)


@pytest.mark.parametrize("by", [MARK, OLGA, OPERA])
def test_a_decision_of_the_rule_is_changed_by_any_manager(by: UserId) -> None:
    told = with_case(decide="auto")
    told.decide(1, "dismissed", by)
    assert told.state() == (100, set())


# Steps.


@pytest.mark.parametrize("what", ["upheld", "dismissed"])
def test_the_same_decision_twice_is_refused(what: Outcome) -> None:
    told = with_case()
    told.decide(1, what)
    before = told.facts.copy()
    with pytest.raises(Refused, match=rf"error\.case\.already\.{what}"):
        told.decide(1, what)
    assert told.facts == before


@pytest.mark.parametrize("state", ["closed", "affirmed", "reversed"])
@pytest.mark.parametrize("what", ["upheld", "dismissed"])
def test_a_step_that_does_not_exist_raises_and_changes_nothing(state: CaseState, what: Outcome) -> None:
    told = with_case()
    outcome: Outcome = "dismissed" if what == "upheld" else "upheld"
    told.alter(1, state=state, outcome=outcome)
    before = (told.facts.copy(), told.cases.copy())
    with pytest.raises(IllegalStep):
        told.decide(1, what)
    assert (told.facts, told.cases) == before


# What follows.


def started(facts: tuple[Fact, ...]) -> list[tuple[str, str, str]]:
    return [(fact.kind, fact.basis, fact.event) for fact in facts if isinstance(fact, SanctionStarted)]


def test_upholding_applies_the_measure_to_every_message_and_charges() -> None:
    told = with_case()
    told.say("spam")
    facts = told.decide(1, "upheld", MARK, "again")
    assert started(facts) == [
        ("redact", "decision", told.cases[1].events[0]),
        ("redact", "decision", told.cases[1].events[1]),
        ("mute", "decision", ""),
    ]
    assert [held.until for held in told.holds("mute")] == [NOON + HOUR]
    assert [(fact.cost, fact.left) for fact in facts if isinstance(fact, CreditChanged)] == [(10, 90)]


@pytest.mark.parametrize(
    ("interim", "then"),
    [("none", ["redact", "mute"]), ("notice", ["redact", "mute"]), ("redact", ["mute"]), ("mute", [])],
)
def test_upholding_completes_the_interim_measure(interim: str, then: list[str]) -> None:
    told = with_case(interim=interim)
    assert [kind for kind, _, _ in started(told.decide(1, "upheld"))] == then
    assert len(told.holds("mute")) == 1


@pytest.mark.parametrize(("measure", "until"), [("kick", 0), ("ban", NOON + 30 * DAY)])
def test_upholding_removes_the_person_if_the_rule_says_so(measure: str, until: int) -> None:
    told = with_case(measure=measure, ban_for="30d", interim="redact")
    assert [kind for kind, _, _ in started(told.decide(1, "upheld"))] == [measure]
    assert [held.until for held in told.holds("ban")] == [until] * (measure == "ban")
    ended = [fact.kind for fact in told.decide(1, "dismissed") if isinstance(fact, SanctionEnded)]
    assert (ended, told.holds("ban")) == (["ban"] * (measure == "ban"), [])
    assert [kind for kind, _, _ in started(told.decide(1, "upheld"))] == [measure]  # they were invited back


@pytest.mark.parametrize("interim", ["redact", "mute"])
def test_upholding_without_interim_measure_takes_the_whole_measure(interim: str) -> None:
    watched = with_case(interim=interim, here=room("observing"))
    assert [kind for kind, _, _ in started(watched.decide(1, "upheld"))] == ["redact", "mute"]
    manager = with_case(MARK, interim=interim)
    assert [kind for kind, _, _ in started(manager.decide(1, "upheld"))] == ["redact", "mute"]


def test_only_messages_are_redacted() -> None:
    told = with_case()
    told.alter(1, messages=())
    assert [kind for kind, _, _ in started(told.decide(1, "upheld"))] == ["mute"]


def test_a_deleted_rule_brings_the_charge_without_a_measure() -> None:
    told = with_case()
    told.policy = policy()
    assert [type(fact) for fact in told.decide(1, "upheld")] == [CaseDecided, CreditChanged]


def test_the_price_follows_the_class_at_opening() -> None:
    told = with_case()
    told.policy = policy(terms("spam", **{**MANAGER, "class": "severe"}))
    told.decide(1, "upheld")
    assert told.balance() == 90


def test_dismissing_ends_the_interim_mute_and_leaves_other_sanctions() -> None:
    told = with_case(interim="mute")
    (mute,) = told.holds("mute")
    other = replace(mute, record=1_000, n=0, basis="command")
    told.folded.sanctions[1_000] = other
    facts = told.decide(1, "dismissed", MARK)
    assert facts[1:] == (
        SanctionEnded(
            room=ROOM, on=facts[0].on, start=mute.record, kind="mute", why="reversed", n=1, subject=ANNA, by=MARK
        ),
    )
    assert told.in_force() == [other]


def test_an_upheld_case_of_a_manager_costs_them_their_rights_where_credit_is_gone() -> None:
    told = with_case(MARK, **{"class": "severe"})
    told.entries = [replace(entry(900, 20, NOON, rule="other"), person=told.person().person)]
    told.decide(1, "upheld", OLGA)
    assert (told.balance(), [held.kind for held in told.in_force()]) == (30, ["mute", "demote", "mute"])


# Undoing.

RULES = policy(
    terms("mild", **{"class": "minor"}),
    terms("bad", **{"class": "moderate"}),
    terms("worse", **{"class": "serious", "measure": "mute", "mute_for": "1h"}),
    terms("worst", **{"class": "severe", "decide": "manager", "measure": "mute", "interim": "mute", "mute_for": "2h"}),
    terms("gone", **{"class": "serious", "measure": "ban", "ban_for": "2h"}),
    terms("out", **{"class": "serious", "decide": "manager", "measure": "kick"}),
    terms("open", **{"class": "serious", "decide": "manager", "measure": "mute", "mute_for": "2h"}),
)
pauses = st.sampled_from([0, MINUTE, 11 * MINUTE, HOUR, DAY, 4 * DAY, 9 * DAY, 40 * DAY])
moves = st.lists(
    st.tuples(pauses, st.sampled_from(["mild", "bad", "worse", "worst", "gone", "out", "open"])), max_size=7
)


def lived(steps: list[tuple[int, str]], manages: bool) -> History:
    told = History(RULES, manages=manages)
    for pause, text in steps:
        told.wait(pause)
        told.say(text)
    return told


@given(moves, st.booleans(), pauses)
def test_a_dismissal_after_upholding_equals_a_dismissal_at_once(
    steps: list[tuple[int, str]], manages: bool, pause: int
) -> None:
    never, twice = lived(steps, manages), lived(steps, manages)
    for told in (never, twice):
        told.wait(pause)
        told.say("open")
    n = max(case.n for case in never.cases.values() if case.rule == "open")
    if never.cases[n].outcome:
        return
    twice.decide(n, "upheld")
    twice.decide(n, "dismissed")
    never.decide(n, "dismissed")
    assert twice.state() == never.state()


@given(moves, st.booleans(), pauses, st.sampled_from([0, HOUR, DAY]))
def test_a_final_dismissal_leaves_no_effects(
    steps: list[tuple[int, str]], manages: bool, pause: int, between: int
) -> None:
    """Time passes between the violation and the reversal, which undoes only the consequences in between."""
    never, reversed_ = lived(steps, manages), lived(steps, manages)
    for told in (never, reversed_):
        told.wait(pause)
    before = len(reversed_.cases)
    reversed_.say("bad")
    reversed_.wait(between)
    never.wait(between)
    if len(reversed_.cases) == before:  # joined a case that was there already
        return
    reversed_.decide(max(reversed_.cases), "dismissed")
    assert reversed_.state() == never.state()


@given(moves, st.booleans(), pauses)
def test_a_case_upheld_again_costs_the_same_once(steps: list[tuple[int, str]], manages: bool, pause: int) -> None:
    once, thrice = lived(steps, manages), lived(steps, manages)
    for told in (once, thrice):
        told.wait(pause)
        told.say("open")
    n = max(case.n for case in once.cases.values() if case.rule == "open")
    if once.cases[n].outcome:
        return
    once.decide(n, "upheld")
    decisions: tuple[Outcome, ...] = ("upheld", "dismissed", "upheld")
    for what in decisions:
        thrice.decide(n, what)
    assert thrice.state() == once.state()


@given(moves, st.lists(st.sampled_from(["upheld", "dismissed"]), max_size=6))
def test_no_sequence_of_decisions_redacts_a_message_twice(
    steps: list[tuple[int, str]], decisions: list[Outcome]
) -> None:
    told = lived(steps, False)
    for what in decisions:
        for n in list(told.cases):
            if told.cases[n].outcome != what:
                told.decide(n, what)
    gone = [fact.event for _, _, fact in told.facts if isinstance(fact, SanctionStarted) and fact.kind == "redact"]
    assert len(gone) == len(set(gone))
    assert EventId("") not in gone
