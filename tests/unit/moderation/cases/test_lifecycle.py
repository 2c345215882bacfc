"""The life of a case: every path of docs/model.md exists, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.cases import lifecycle
from moderation.cases.lifecycle import BORN, STATES, STEPS, TRANSITIONS, Step
from moderation.model.facts import CaseState
from moderation.values.errors import IllegalStep

states = st.sampled_from(STATES)
steps = st.lists(st.sampled_from(STEPS), max_size=30)

BEFORE_DECISION: tuple[CaseState, ...] = ("open", "acknowledged", "overdue", "escalated_owner", "escalated_operator")


def walk(state: CaseState, *path: Step) -> CaseState:
    for name in path:
        state = lifecycle.step(state, name)
    return state


@pytest.mark.parametrize(
    ("path", "end"),
    [
        (("acknowledge", "uphold", "close"), "closed"),
        (("dismiss", "close"), "closed"),
        (("pass_deadline", "escalate_to_owner", "escalate_to_operator", "uphold"), "decided"),
        (("acknowledge", "pass_deadline", "escalate_to_operator", "dismiss"), "decided"),
        (("uphold", "appeal", "affirm", "close"), "closed"),
        (("uphold", "appeal", "pass_deadline", "reverse", "close"), "closed"),
        (("uphold", "reconsider", "appeal"), "appealed"),
    ],
)
def test_the_paths_of_the_design_lead_where_it_says(path: tuple[Step, ...], end: CaseState) -> None:
    assert walk("open", *path) == end


@pytest.mark.parametrize("state", BEFORE_DECISION)
@pytest.mark.parametrize("decision", ["uphold", "dismiss"])
def test_a_case_can_be_decided_in_every_state_before_a_decision(state: CaseState, decision: Step) -> None:
    assert lifecycle.step(state, decision) == "decided"


@pytest.mark.parametrize("state", [state for state in STATES if state not in BEFORE_DECISION])
def test_a_decision_cannot_be_repeated_by_the_same_step(state: CaseState) -> None:
    with pytest.raises(IllegalStep):
        lifecycle.step(state, "uphold")


def test_an_appeal_that_was_dismissed_can_be_made_once_more() -> None:
    """`appeals.py` says to whom, and how often."""
    assert lifecycle.step("affirmed", "appeal") == "appealed"


def test_an_illegal_step_says_which_step_and_where() -> None:
    with pytest.raises(IllegalStep) as caught:
        lifecycle.step("closed", "appeal")
    assert caught.value.key == "error.case.step"
    assert caught.value.fields == {"state": "closed", "step": "appeal"}


@given(states, steps)
def test_every_sequence_of_steps_stays_within_the_table(state: CaseState, path: list[Step]) -> None:
    for name in path:
        before = state
        try:
            state = lifecycle.step(state, name)
        except IllegalStep:
            assert (before, name) not in TRANSITIONS
        else:
            assert TRANSITIONS[before, name] == state
    assert state in STATES


def test_every_state_can_be_reached_and_can_still_be_closed() -> None:
    reached = set(BORN.values())
    for _ in STATES:
        reached |= {end for (start, _), end in TRANSITIONS.items() if start in reached}
    closing: set[CaseState] = {"closed"}
    for _ in STATES:
        closing |= {start for (start, _), end in TRANSITIONS.items() if end in closing}
    assert reached == closing == set(STATES)


def test_every_step_is_used_and_no_step_follows_the_end() -> None:
    assert {name for _, name in TRANSITIONS} == set(STEPS)
    assert lifecycle.steps_from("closed") == ()
    assert lifecycle.steps_from("decided") == ("reconsider", "appeal", "close")


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS["closed", "appeal"] = "open"  # type: ignore[index]


def test_the_diagram_shows_every_transition_and_nothing_else() -> None:
    shown = set()
    for line in lifecycle.diagram().splitlines()[1:]:
        arrow, _, label = line.strip().partition(": ")
        start, _, end = arrow.partition(" --> ")
        shown |= {(start, name, end) for name in label.split(", ")}
    inside = {(start, name, end) for (start, name), end in TRANSITIONS.items()}
    ends = {("[*]", "manager", "open"), ("[*]", "auto", "decided"), ("closed", "", "[*]")}
    assert shown == inside | ends
    assert lifecycle.diagram().startswith("stateDiagram-v2\n")
