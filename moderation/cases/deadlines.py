"""Reminders, deadlines and escalation of cases that wait. docs/responsibility.md.

Rules kept here:
- At half time the people responsible for the case are reminded.
- At the deadline those who were told and run the room are charged, and the case goes to the owner with the same time,
  then to the operator.
- A case that nobody could be told of goes up at half time.
- People who leave of their own accord in the second half of the time are charged like the others.
- People who left earlier, or were made to leave, are charged only if they run the room again within thirty days.
- People whose rights are suspended are not charged (docs/decisions/0034).
- Nobody is above the operator, so there the case waits on, and the group bears the consequences.
- What one step leaves is enough for the next, even if its consequences are lost (`bot/pipeline/replay.py`).

Pure. Left to others: when to look (`bot/scheduler/scheduler.py`), who is responsible for a case at first
(`obligations.py`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from moderation.credit.ledger import with_entry
from moderation.duty.duty import Duty, can_act, first_to_ask, how_told, next_level
from moderation.model.builtin_rules import OVERDUE
from moderation.model.context import CaseView, Context, InForce
from moderation.model.facts import (
    Asked,
    CaseAssigned,
    CaseLeft,
    CaseState,
    CreditChanged,
    Fact,
    TaskOpened,
)
from moderation.policy import Policy
from moderation.rooms.measures import answers_for, rectify_neglected_room
from moderation.values.durations import DAY_MS
from moderation.values.ids import RoomId, UserId

from .lifecycle import step
from .neglect import another_day, is_spared, neglect_facts

BACK_WITHIN_MS = 30 * DAY_MS  # people who come back so soon had not given up the room


@dataclass(frozen=True, slots=True)
class Gone:
    """The time when somebody left while a case waited for them, and whether of their own accord."""

    at_ms: int
    own: bool


@dataclass(frozen=True, slots=True)
class Excused:
    """A case whose time was over while somebody responsible for it was gone. `waits`: whether it still waits."""

    n: int
    waits: bool


@dataclass(frozen=True, slots=True)
class WaitingCase:
    """A case for which something is due, and everything known around it."""

    case: CaseView
    now_ms: int
    policy: Policy
    next_case: int
    duty: Duty
    context: Context  # of the person the case is about, in its room
    assigned: tuple[UserId, ...] = ()  # at the level that is asked now
    told: frozenset[UserId] = frozenset()  # those of them who have been told, as the records show
    gone: Mapping[UserId, Gone] = field(default_factory=dict)  # those of them who left while it waited
    charged: frozenset[UserId] = frozenset()  # people already charged because of this case
    people: Mapping[UserId, Context] = field(default_factory=dict)  # of those assigned
    measures: tuple[InForce, ...] = ()  # against the room itself
    task: bool = False  # whether the operator has been asked already
    room_answers: bool = True  # False: all its reporters are paused, so it has no consequences for the room


def reminder(waiting: WaitingCase) -> tuple[Fact, ...]:
    """Remind the people responsible at half time; if none of them could be told, pass the case on."""
    case = waiting.case
    if case.asked != "operator" and waiting.assigned and not waiting.told:
        return tuple(_passed_on(waiting, case.state, ()))
    return (case.moved("reminded", case.state, case.due),)


def stop_deadlines(case: CaseView) -> tuple[Fact, ...]:
    """Stop the deadlines of a case: its room is no longer served."""
    return (case.moved("stopped", case.state, 0),)


def close_case(case: CaseView) -> tuple[Fact, ...]:
    """Close a case that was decided so long ago that nobody can appeal it any more."""
    return (case.moved("closed", step(case.state, "close"), 0),)


def deadline(waiting: WaitingCase) -> tuple[Fact, ...]:
    """Return what follows when all the time is over."""
    case = waiting.case
    if case.rule == OVERDUE and case.state in ("decided", "affirmed"):
        if not any(waiting.duty.is_any(each, {case.subject}) for each in can_act(waiting.duty)):
            return (case.moved("overdue", case.state, 0),)
        return another_day(case, waiting.context, waiting.policy)
    return tuple(_passed(waiting))


def _passed(waiting: WaitingCase) -> Iterator[Fact]:
    case = waiting.case
    late = _late(waiting)
    state = case.state
    if state in ("open", "acknowledged"):
        state = step(state, "pass_deadline")
        yield case.moved("overdue", state, case.due)
    for number, user in enumerate(late, waiting.next_case):
        yield from neglect_facts(waiting.people[user], OVERDUE, n=number, about=case.n, policy=waiting.policy, on=-1)
    for user in _excused(waiting, late):
        yield CaseLeft(room=case.room, n=case.n, what="excused", subject=user)
    if case.asked == "operator":
        yield from _waits_on(waiting, state)
    else:
        yield from _passed_on(waiting, state, late)


def _late(waiting: WaitingCase) -> tuple[UserId, ...]:
    """Return who is charged: those responsible who were told, and run the room or left late of their own accord."""
    if waiting.case.asked == "operator":
        return ()
    duty = waiting.duty
    case = waiting.case
    not_late = {case.subject, case.by, *case.appellants, *waiting.charged}  # they cannot decide it
    there = can_act(duty)
    asked = [user for user in _liable(waiting) if user in there or _left_late(user, waiting)]
    late = duty.each_once(user for user in asked if not duty.is_any(user, not_late))
    return tuple(u for u in late if not is_spared(waiting.people[u], waiting.policy))


def _excused(waiting: WaitingCase, late: tuple[UserId, ...]) -> tuple[UserId, ...]:
    """Return those who are gone, and are charged only if they come back."""
    if waiting.case.asked == "operator":
        return ()
    there = can_act(waiting.duty)
    return tuple(user for user in _liable(waiting) if user not in there and user not in late)


def _liable(waiting: WaitingCase) -> list[UserId]:
    """Return those who were told of it, except those whose rights are suspended: they cannot decide it."""
    told = [user for user in waiting.assigned if user in waiting.told]
    return [user for user in told if not _is_suspended(waiting.people[user])]


def _is_suspended(context: Context) -> bool:
    held = (each for each in context.subject.in_force if each.covers(context.room))
    return any(each.kind in ("demote", "ban") for each in held)


def _left_late(user: UserId, waiting: WaitingCase) -> bool:
    """Return whether somebody left of their own accord after half the time, and so had been reminded."""
    gone, case = waiting.gone.get(user), waiting.case
    half = waiting.policy.cases.deadlines.of(case.grade) // 2
    return gone is not None and gone.own and gone.at_ms >= case.due - half


def facts_of_leaving(room: RoomId, cases: Iterable[int], *, user: UserId, by: UserId, on: int) -> tuple[CaseLeft, ...]:
    """Return the facts that somebody left while these cases waited for them."""
    return tuple(CaseLeft(room=room, on=on, n=n, what="gone", subject=user, by=by) for n in cases)


def came_back(context: Context, excused: Iterable[Excused], policy: Policy, *, on: int) -> tuple[Fact, ...]:
    """Return what follows when somebody runs a room again soon after they were excused from cases there."""
    facts: list[Fact] = []
    for number, case in enumerate(excused, context.next_case):
        if is_spared(context, policy):
            break
        more = neglect_facts(context, OVERDUE, n=number, about=case.n, policy=policy, on=on, waits=case.waits)
        for entry in (fact for fact in more if isinstance(fact, CreditChanged)):
            context = replace(context, subject=with_entry(context.subject, entry, context.now_ms))
        facts += more
    return tuple(facts)


def _passed_on(waiting: WaitingCase, state: CaseState, late: tuple[UserId, ...]) -> Iterator[Fact]:
    case = waiting.case
    without = frozenset({case.subject, case.by, *case.appellants, *waiting.assigned, *waiting.charged})
    level, people = first_to_ask(next_level(case.asked), waiting.duty, waiting.now_ms, without=without)
    due = waiting.now_ms + waiting.policy.cases.deadlines.of(case.grade)
    yield case.moved("escalated", _escalated(state, level), due, asked=level)
    for user in people:
        how = how_told(user, level, waiting.duty)
        yield CaseAssigned(room=case.room, n=case.n, asked=level, due=due, how=how, subject=user)
    if level == "operator":
        yield TaskOpened(room=case.room, task="case", n=case.n, subject=case.subject)
        if state != "appealed" and waiting.room_answers:
            yield from rectify_neglected_room(
                room=waiting.context.room,
                in_force=waiting.measures,
                owner=answers_for(waiting.duty),
                n=waiting.next_case + len(late),
                now_ms=waiting.now_ms,
                policy=waiting.policy,
                on=-1,
            )


def _waits_on(waiting: WaitingCase, state: CaseState) -> Iterator[Fact]:
    """Ask the operator again: once a day at most, since there is nobody else to ask."""
    case = waiting.case
    again = step(state, "pass_deadline")
    due = waiting.now_ms + max(waiting.policy.cases.deadlines.of(case.grade), DAY_MS)
    yield case.moved("escalated", again, due, asked="operator")
    if not waiting.task:
        yield TaskOpened(room=case.room, task="case", n=case.n, subject=case.subject)


def _escalated(state: CaseState, level: Asked) -> CaseState:
    if state == "appealed":
        return step("appealed", "pass_deadline")
    return step(state, "escalate_to_owner" if level == "owner" else "escalate_to_operator")
