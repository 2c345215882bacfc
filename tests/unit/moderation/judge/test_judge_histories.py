"""What holds of every history of one person that is judged."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from moderation.credit import credit
from moderation.model.facts import (
    CaseGrew,
    CaseOpened,
    CreditChanged,
    Found,
    SanctionEnded,
    SanctionStarted,
)
from moderation.policy import Grade
from moderation.values.events import MessagePosted
from tests.unit.moderation.builders import (
    DAY,
    HOUR,
    LEVELS,
    MARK,
    MINUTE,
    ROOM,
    History,
    context,
    policy,
    room,
    said,
    terms,
)
from tests.unit.moderation.judge.judging import at_credit, judged

GRADED: dict[str, Grade] = {"mild": "minor", "bad": "moderate", "worse": "serious", "worst": "severe"}
RULES = policy(
    *(terms(name, **{"class": grade, "measure": "mute", "mute_for": "1h"}) for name, grade in GRADED.items()),
    terms("banned", measure="ban", ban_for="1h"),
    terms("kicked", measure="kick"),
    terms("doubtful", **{"class": "serious", "decide": "manager", "interim": "redact"}),
)
words = st.sampled_from([*GRADED, "banned", "kicked", "doubtful", "mild and worst", "harmless"])
pauses = st.sampled_from([0, 1, MINUTE, 10 * MINUTE, 11 * MINUTE, HOUR, DAY, 8 * DAY, 40 * DAY, 184 * DAY])
steps = st.lists(st.tuples(pauses, words), min_size=1, max_size=12)


def lived(moves: list[tuple[int, str]], **where: Any) -> History:
    told = History(RULES, **where)
    for pause, text in moves:
        told.wait(pause)
        told.say(text)
    return told


@given(steps, st.booleans())
def test_the_same_history_judged_twice_is_the_same(moves: list[tuple[int, str]], manages: bool) -> None:
    assert lived(moves, manages=manages).facts == lived(moves, manages=manages).facts


@given(steps, st.booleans())
def test_each_entry_states_the_balance_up_to_it(moves: list[tuple[int, str]], manages: bool) -> None:
    told = lived(moves, manages=manages)
    for index, at, fact in told.facts:
        if isinstance(fact, CreditChanged):
            upto = [each for each in told.entries if each.id <= index]
            assert fact.left == credit.balance(upto, at, RULES.credit)


@given(steps)
def test_no_manager_history_has_an_automatic_measure(moves: list[tuple[int, str]]) -> None:
    told = lived(moves, user=MARK)
    assert {type(fact) for _, _, fact in told.facts} <= {Found, CaseOpened, CaseGrew}
    assert all(fact.state == "open" for _, _, fact in told.facts if isinstance(fact, CaseOpened))


@given(steps)
def test_no_observed_room_history_has_an_automatic_measure(moves: list[tuple[int, str]]) -> None:
    told = lived(moves, here=room("observing", levels=LEVELS))
    assert {type(fact) for _, _, fact in told.facts} <= {Found, CaseOpened, CaseGrew}


incidents = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.sampled_from(["worse", "worst"]), st.sampled_from([0, MINUTE, 10 * MINUTE])),
        st.tuples(st.just("dismissed"), st.just(""), st.just(MINUTE)),
        st.tuples(st.just("upheld"), st.just(""), st.just(MINUTE)),
    ),
    max_size=14,
)


@given(incidents)
def test_one_incident_never_costs_more_than_its_limit_whatever_is_decided_in_between(
    moves: list[tuple[Any, str, int]],
) -> None:
    told = History(RULES)
    for what, text, pause in moves:
        told.wait(pause)
        newest = max(told.cases, default=0)
        if what == "say":
            told.say(text)
        elif newest and told.cases[newest].outcome != what:
            told.decide(newest, what)
    counted = credit.effective(told.entries, told.now, RULES.credit)
    for last in counted:
        within = [
            each.cost
            for each in counted
            if each.rule == last.rule and 0 <= last.at_ms - each.at_ms < RULES.credit.incident_window
        ]
        assert sum(within) <= RULES.credit.incident_limit


@given(steps, st.booleans())
def test_at_most_one_sanction_of_a_kind_rests_on_credit(moves: list[tuple[int, str]], manages: bool) -> None:
    told = lived(moves, manages=manages)
    running: dict[int, str] = {}
    for index, _, fact in told.facts:
        if isinstance(fact, SanctionStarted) and fact.basis == "credit":
            assert fact.kind not in running.values()
            running[index] = fact.kind
        if isinstance(fact, SanctionEnded):
            running.pop(fact.start, None)


@given(steps)
def test_a_manager_elsewhere_is_demoted_below_the_threshold(moves: list[tuple[int, str]]) -> None:
    told = History(RULES, manages=True)
    for pause, text in moves:
        told.wait(pause)
        told.say(text)
        assert bool(told.holds("demote")) or told.balance() >= RULES.tiers.manage_from


@given(st.text(max_size=40), st.integers(0, 100), st.booleans())
def test_judging_never_raises_and_needs_nothing_but_its_arguments(text: str, left: int, manages: bool) -> None:
    event: MessagePosted = said(text)
    known = context(at_credit(left, manages=frozenset({ROOM} if manages else ())))
    assert judged(event, known, RULES) == judged(event, known, RULES)
