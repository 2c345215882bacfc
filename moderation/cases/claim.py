"""Claiming a case, and putting off its deadline, once.

Rules kept here:
- Only people who may decide a case can take it or put it off, so nobody takes their own case or an appeal against
  their own decision.
- To take a case changes neither its deadline nor who is responsible: whoever takes it becomes responsible too, and the
  case goes up and costs what it costs. Only the reminder goes to that person alone.
- What was taken is free again once the case goes up, is decided or is appealed (`storage/projections/cases.py`).
- The deadline is put off once, before it passes, at most by as much time as the class has. An appeal is never put off.

Left to others: reminders (`bot/effects/send_notice.py`), deadlines (`deadlines.py`).
"""

from collections.abc import Collection

from moderation.duty.responsibility import require_decider, require_hearer, require_other_decider
from moderation.model.context import CaseView, RoomView
from moderation.model.facts import CaseAssigned, CaseClaimed, CaseExtended, Fact
from moderation.policy import Policy
from moderation.values.errors import Refused
from moderation.values.ids import UserId

from .decide import acknowledge


def claim(
    case: CaseView, *, by: UserId, room: RoomView, policy: Policy, assigned: Collection[UserId], on: int
) -> tuple[Fact, ...]:
    """Return the facts of taking a case. Raises `Refused` if `by` could not decide it, or has it already."""
    _require(case, by, room, policy)
    if case.claimed == by:
        raise Refused("error.claim.yours", n=case.n)
    seen = acknowledge(case, by, room, policy, on=on) if case.state == "open" else ()
    responsible = CaseAssigned(room=case.room, on=on, n=case.n, asked=case.asked, due=case.due, subject=by)
    taken = CaseClaimed(room=case.room, on=on, n=case.n, by=by)
    return (*seen, *(() if by in assigned else (responsible,)), taken)


def extend(case: CaseView, *, by: UserId, room: RoomView, policy: Policy, now_ms: int, on: int) -> CaseExtended:
    """Return the fact that the deadline of a case is put off. Raises `Refused` if that cannot be."""
    _require(case, by, room, policy)
    if not policy.cases.more_time:
        raise Refused("error.later.off")
    if case.state == "appealed":
        raise Refused("error.later.appeal", n=case.n)
    if case.extended:
        raise Refused("error.later.twice", n=case.n)
    if not can_be_extended(case, policy, now_ms):
        raise Refused("error.later.passed", n=case.n)
    informed = int(bool(case.done))  # what holds until the decision was told with the deadline
    due = case.due + more_time(case, policy)
    return CaseExtended(room=case.room, on=on, n=case.n, due=due, informed=informed, subject=case.subject, by=by)


def can_be_extended(case: CaseView, policy: Policy, now_ms: int) -> bool:
    """Return whether the deadline of a case can still be put off."""
    waits = case.state in ("open", "acknowledged") and case.due > now_ms
    return waits and not case.extended and policy.cases.more_time > 0


def more_time(case: CaseView, policy: Policy) -> int:
    """Return by how much (ms) the deadline of a case can be put off."""
    return min(policy.cases.more_time, policy.cases.deadlines.of(case.grade))


def _require(case: CaseView, by: UserId, room: RoomView, policy: Policy) -> None:
    require_decider(case, by, room, policy)
    if not case.waits:
        raise Refused("error.claim.decided", n=case.n)
    if case.state == "appealed":
        require_other_decider(case, by, policy)
        require_hearer(case, by, policy)
