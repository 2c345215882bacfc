"""The life of a case, as one table.

Rules kept here:
- A case is in exactly one `CaseState`.
- Only the steps of `TRANSITIONS` exist; a step that is not in the table raises `IllegalStep` and changes nothing.
- The diagram in the documentation is made from the table, so that the two cannot differ.

Left to others: who may take a step (`moderation/duty/responsibility.py`) and who is asked next
(`moderation/duty/duty.py`), deadlines and their costs (`deadlines.py`), what happens to the room
(`moderation/rooms/measures.py`), storing (`storage/`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from moderation.model.facts import CaseState
from moderation.policy import Decide
from moderation.values.errors import IllegalStep

Step = Literal[
    "acknowledge",
    "uphold",
    "dismiss",
    "pass_deadline",
    "escalate_to_owner",
    "escalate_to_operator",
    "reconsider",
    "appeal",
    "affirm",
    "reverse",
    "close",
]

STATES: tuple[CaseState, ...] = get_args(CaseState)
STEPS: tuple[Step, ...] = get_args(Step)

# A rule with `decide = "auto"` decides at once: its case waits for nobody, but can be appealed like others.
BORN: Mapping[Decide, CaseState] = MappingProxyType({"manager": "open", "auto": "decided"})

TRANSITIONS: Mapping[tuple[CaseState, Step], CaseState] = MappingProxyType(
    {
        # One tap is enough: a decision implies having seen the case.
        ("open", "acknowledge"): "acknowledged",
        ("open", "uphold"): "decided",
        ("open", "dismiss"): "decided",
        ("open", "pass_deadline"): "overdue",
        # Nobody else is on duty, or the case concerns those who are.
        ("open", "escalate_to_owner"): "escalated_owner",
        ("open", "escalate_to_operator"): "escalated_operator",
        ("acknowledged", "uphold"): "decided",
        ("acknowledged", "dismiss"): "decided",
        # To acknowledge is not to decide; the deadline stays.
        ("acknowledged", "pass_deadline"): "overdue",
        # A late decision is accepted in every state before it.
        ("overdue", "uphold"): "decided",
        ("overdue", "dismiss"): "decided",
        ("overdue", "escalate_to_owner"): "escalated_owner",
        # If the owner was late or is concerned, or there is no owner.
        ("overdue", "escalate_to_operator"): "escalated_operator",
        ("escalated_owner", "uphold"): "decided",
        ("escalated_owner", "dismiss"): "decided",
        ("escalated_owner", "escalate_to_operator"): "escalated_operator",
        ("escalated_operator", "uphold"): "decided",
        ("escalated_operator", "dismiss"): "decided",
        # Nobody is above the operator. The room bears the consequences; the case waits.
        ("escalated_operator", "pass_deadline"): "escalated_operator",
        # A manager corrects the rule's decision or an earlier one, without waiting for an appeal.
        ("decided", "reconsider"): "decided",
        ("decided", "appeal"): "appealed",
        ("decided", "close"): "closed",
        ("appealed", "affirm"): "affirmed",
        ("appealed", "reverse"): "reversed",
        # The appeal goes to the next person, and remains an appeal.
        ("appealed", "pass_deadline"): "appealed",
        # Once more, to the operator; what an operator affirmed is final (`appeals.py`).
        ("affirmed", "appeal"): "appealed",
        ("affirmed", "close"): "closed",
        # A reporter's appeal was successful: now the person concerned can appeal.
        ("reversed", "appeal"): "appealed",
        ("reversed", "close"): "closed",
    }
)


def step(state: CaseState, step: Step) -> CaseState:
    """Return the state after `step`. Raises `IllegalStep` if the table has no such step."""
    after = TRANSITIONS.get((state, step))
    if after is None:
        raise IllegalStep("error.case.step", state=state, step=step)
    return after


def steps_from(state: CaseState) -> tuple[Step, ...]:
    """Return the steps that exist in `state`, in the order of `Step`: what a card can offer."""
    return tuple(name for name in STEPS if (state, name) in TRANSITIONS)


def diagram() -> str:
    """Return `TRANSITIONS` as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2"]
    lines += [f"    [*] --> {state}: {decide}" for decide, state in BORN.items()]
    for (start, end), names in _arrows().items():
        lines.append(f"    {start} --> {end}: {', '.join(names)}")
    lines += [f"    {state} --> [*]" for state in STATES if not steps_from(state)]
    return "\n".join(lines) + "\n"


def _arrows() -> dict[tuple[CaseState, CaseState], list[Step]]:
    """Return one arrow for each pair of states, with all the steps along it."""
    arrows: dict[tuple[CaseState, CaseState], list[Step]] = {}
    for (start, name), end in TRANSITIONS.items():
        arrows.setdefault((start, end), []).append(name)
    return arrows


if __name__ == "__main__":  # for the documentation: docs/responsibility.md contains this output
    print(diagram(), end="")
