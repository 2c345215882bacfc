"""Facts that must follow whenever a case begins to wait, somebody is demoted, or a neglected room is mended.

They are added to the facts of one cause before these are written, so that no path can forget them.

Rules kept here:
- Somebody on duty is responsible for a case from the moment it opens.
- Nobody is asked about themselves or about their own decision.
- If nobody is left to ask, the operator is, and is told.
- That nobody at all was on duty is a case of its own for the owner, at most once a day.
- Pure and idempotent: a second call adds nothing.

Left to others: reading what it needs (`bot/pipeline/case_context.py`), deadlines (`deadlines.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from moderation.credit.tiers import made_manager, not_held_back
from moderation.duty.duty import Duty, can_act, first_to_ask, how_told, on_duty
from moderation.model.builtin_rules import NOBODY, decided_by
from moderation.model.context import CaseView, Context, InForce
from moderation.model.facts import (
    REOPENED,
    AccountsLinked,
    AccountUnlinked,
    Appealed,
    Asked,
    CaseAssigned,
    CaseDecided,
    CaseMoved,
    CaseOpened,
    CreditChanged,
    Fact,
    RoleChanged,
    SanctionEnded,
    SanctionStarted,
    TaskDone,
    TaskKind,
    TaskOpened,
)
from moderation.policy import Policy
from moderation.rooms.align_room import GATES
from moderation.rooms.measures import end_neglect_measures
from moderation.values.durations import DAY_MS
from moderation.values.ids import NO_USER, RoomId, UserId

from .lifecycle import step
from .neglect import neglect_facts


@dataclass(frozen=True, slots=True)
class CaseContext:
    """The context of the facts, read before they are written."""

    now_ms: int
    policy: Policy
    next_case: int
    on: int  # the record that caused them
    duties: Mapping[RoomId, Duty] = field(default_factory=dict)
    owners: Mapping[tuple[RoomId, UserId], Context] = field(default_factory=dict)  # of rooms where nobody is on duty
    appealed: Mapping[int, CaseView] = field(default_factory=dict)  # the appealed cases
    measures: Mapping[RoomId, tuple[InForce, ...]] = field(default_factory=dict)  # against the rooms themselves
    waiting: Mapping[RoomId, frozenset[int]] = field(default_factory=dict)  # cases that wait with the operator
    waiting_with: Mapping[int, tuple[CaseView, ...]] = field(default_factory=dict)  # on the card of a decided case
    tasks: Mapping[int, int] = field(default_factory=dict)  # case -> record of the open task to decide it
    to_confirm: Mapping[int, int] = field(default_factory=dict)  # likewise of the open task to confirm a decision
    room_tasks: Mapping[tuple[RoomId, TaskKind], tuple[int, ...]] = field(default_factory=dict)  # open ones about rooms
    people: tuple[Context, ...] = ()  # people whose accounts are linked or unlinked: as they will be, in each room


def concerns(facts: Sequence[Fact]) -> bool:
    """Return whether `derive_obligations` may add anything; a quick check, since it adds nothing to most facts."""
    return any(
        isinstance(fact, Appealed | CaseDecided | CaseMoved | AccountsLinked | AccountUnlinked)
        or (isinstance(fact, CaseOpened) and fact.state == "open")
        or (isinstance(fact, SanctionStarted) and fact.kind == "demote")
        or (isinstance(fact, SanctionEnded) and fact.kind in REOPENED)
        or (isinstance(fact, RoleChanged) and fact.role != "member")
        for fact in facts
    )


def derive_obligations(facts: Sequence[Fact], around: CaseContext) -> tuple[Fact, ...]:
    """Return the facts, and those that must go with them."""
    whole = list(facts)
    for fact in facts:
        whole += [added for added in _after(fact, facts, around) if added not in whole]
    for fact in tuple(whole):  # an added fact can demote, too
        whole += [added for added in _last_who_can_act(fact, whole, around) if added not in whole]
    return tuple(whole)


def _after(fact: Fact, facts: Sequence[Fact], around: CaseContext) -> Iterator[Fact]:
    match fact:
        case CaseOpened(state="open", lead=0):
            yield from _first_asked(fact, fact.rule, around)
            yield from _nobody_on_duty(fact, facts, around)
        case Appealed():
            yield from _first_asked(fact, around.appealed[fact.n].rule, around)
        case AccountsLinked() | AccountUnlinked():
            yield from _other_ledgers(fact, around)
        case CaseDecided():
            yield from _decided(fact, facts, around)
            yield from _to_be_confirmed(fact, facts, around)
            yield from _parted(fact, facts, around)
        case SanctionEnded() if fact.kind in REOPENED - GATES and fact.n and fact.why != "overtaken":
            yield from _no_longer_asked("room", fact.room, around)
        case RoleChanged() if fact.role != "member":
            yield from _no_longer_asked("last-manager", fact.room, around)


def _parted(fact: CaseDecided, facts: Sequence[Fact], around: CaseContext) -> Iterator[Fact]:
    """Let cases go on alone that were shown on the card of a decided case and are not decided with it."""
    decided = {other.n for other in facts if isinstance(other, CaseDecided)}
    for case in around.waiting_with.get(fact.n, ()):
        if case.n not in decided:
            due = around.now_ms + around.policy.cases.deadlines.of(case.grade)
            alone = replace(case, due=due, on=around.on)
            yield case.moved("parted", case.state, due, on=around.on)
            yield from _first_asked(alone, case.rule, around)


def _first_asked(fact: CaseOpened | Appealed | CaseView, rule: str, around: CaseContext) -> Iterator[Fact]:
    """Yield who is responsible for a case that begins to wait."""
    assert fact.room is not None
    appealed, operators = around.appealed.get(fact.n), around.policy.operators
    about, decider = (appealed.subject, appealed.by) if appealed else (fact.subject, NO_USER)
    without = frozenset({fact.subject, about, decider})
    above = decider in operators or (bool(operators) and appealed is not None and appealed.to_operator)
    lowest: Asked = "operator" if above else decided_by(rule)
    duty, friends = around.duties[fact.room], appealed.friends if appealed else frozenset()
    level, people = first_to_ask(lowest, duty, around.now_ms, without=without | friends)
    if not people and friends:  # nobody else is left
        level, people = first_to_ask(lowest, duty, around.now_ms, without=without)
    if not people:  # nobody is above operators: the one who decided hears the appeal too
        without = frozenset({fact.subject, about})
        level, people = first_to_ask("operator", duty, around.now_ms, without=without)
    if level != "managers":
        yield _passed_on(fact, level)
    for user in people:
        how = how_told(user, level, around.duties[fact.room])
        yield CaseAssigned(room=fact.room, on=around.on, n=fact.n, asked=level, due=fact.due, how=how, subject=user)
    if level == "operator":
        yield TaskOpened(room=fact.room, on=around.on, task="case", n=fact.n, subject=about)


def _passed_on(fact: CaseOpened | Appealed | CaseView, level: Asked) -> CaseMoved:
    state = fact.state
    if state == "open":
        state = step("open", "escalate_to_owner" if level == "owner" else "escalate_to_operator")
    return CaseMoved(room=fact.room, on=fact.on, n=fact.n, step="escalated", state=state, asked=level, due=fact.due)


def _nobody_on_duty(fact: CaseOpened, facts: Sequence[Fact], around: CaseContext) -> Iterator[Fact]:
    """Charge the owners if nobody is on duty, for which they are responsible."""
    duty = around.duties[fact.home]
    if decided_by(fact.rule) != "managers" or on_duty(duty, around.now_ms):
        return
    if around.now_ms - duty.nobody_ms < DAY_MS:
        return
    if any(other.rule == NOBODY for other in facts if isinstance(other, CaseOpened)):
        return
    if fact is not next(other for other in facts if isinstance(other, CaseOpened) and other.state == "open"):
        return  # one message can cause two cases; the absence is one
    taken = max((other.n for other in facts if isinstance(other, CaseOpened)), default=0)
    number = max(around.next_case, taken + 1)
    for owner in duty.owners:
        if owner not in duty.offered and (fact.home, owner) in around.owners:
            known = around.owners[fact.home, owner]
            yield from neglect_facts(known, NOBODY, n=number, about=fact.n, policy=around.policy, on=around.on)
            number += 1


def _decided(fact: CaseDecided, facts: Sequence[Fact], around: CaseContext) -> Iterator[Fact]:
    """Close the operator's tasks about a decided case, and mend a room whose cases are all decided."""
    if fact.n in around.tasks:
        yield TaskDone(room=fact.home, on=around.on, start=around.tasks[fact.n], result="overtaken")
    by_operator = fact.by in around.policy.operators
    if fact.n in around.to_confirm and (by_operator or fact.what == "dismissed"):
        result: Literal["done", "overtaken"] = "done" if by_operator else "overtaken"
        yield TaskDone(room=fact.home, on=around.on, start=around.to_confirm[fact.n], result=result)
    decided = {other.n for other in facts if isinstance(other, CaseDecided)}
    waiting = around.waiting.get(fact.home, frozenset()) - decided
    if fact.n in around.waiting.get(fact.home, frozenset()) and not waiting:
        yield from end_neglect_measures(in_force=around.measures.get(fact.home, ()), on=around.on)
        yield from _no_longer_asked("room", fact.home, around)


def _to_be_confirmed(fact: CaseDecided, facts: Sequence[Fact], around: CaseContext) -> Iterator[Fact]:
    """Ask the operator whether a room's decision on a rule of theirs counts elsewhere too."""
    charges = (each for each in facts if isinstance(each, CreditChanged) and each.n == fact.n)
    theirs = {rule.name for rule in around.policy.rules}
    counts = any(each.entry == "charge" and each.cost and each.reach and each.rule in theirs for each in charges)
    if counts and fact.n not in around.to_confirm:
        yield TaskOpened(room=fact.room, on=around.on, task="confirm", n=fact.n, subject=fact.subject)


def _other_ledgers(fact: AccountsLinked | AccountUnlinked, around: CaseContext) -> Iterator[Fact]:
    """Adapt rights when ledgers are merged (too low for managing) or separated (high enough again)."""
    follows = _if_they_manage if isinstance(fact, AccountsLinked) else not_held_back
    found = [added for each in around.people for added in follows(each, around.policy, on=around.on)]
    yield from dict.fromkeys(found)  # what holds everywhere is found in each room


def _if_they_manage(context: Context, policy: Policy, *, on: int) -> tuple[Fact, ...]:
    return made_manager(context, policy, on=on) if context.subject.manages else ()


def _no_longer_asked(task: TaskKind, room: RoomId | None, around: CaseContext) -> Iterator[Fact]:
    """Close the operator's tasks that were settled in another way."""
    for record in around.room_tasks.get((room, task), ()) if room is not None else ():
        yield TaskDone(room=room, on=around.on, start=record, result="overtaken")


def _last_who_can_act(fact: Fact, facts: Sequence[Fact], around: CaseContext) -> Iterator[Fact]:
    """Ask the operator to stand in before a room is left without anybody who can act.

    Several may be demoted for one cause: the task names the last of them.
    """
    for room, duty in around.duties.items():
        here = can_act(duty)
        demoted = [each for each in _demotions(facts, room) if any(duty.is_any(user, {each.subject}) for user in here)]
        out = {other.subject for other in demoted}
        if demoted and demoted[-1] is fact and all(duty.is_any(each, out) for each in here):
            last = demoted[-1]
            yield TaskOpened(room=room, on=around.on, task="last-manager", n=last.n, subject=last.subject)


def _demotions(facts: Sequence[Fact], room: RoomId) -> list[SanctionStarted]:
    started = (fact for fact in facts if isinstance(fact, SanctionStarted))
    return [fact for fact in started if fact.kind == "demote" and fact.room in (None, room)]
