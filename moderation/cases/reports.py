"""Reports by members: the consequences of reporting a message, and of reporting again and again without ground.

Rules kept here:
- A report of a message joins the case that has the message already, or the open case of reports on the same person just
  before, or opens one.
- Reports by one person on several people in a short time have one card and one deadline.
- A case waits for people, and nothing applies before a decision.
- Nobody reports themselves, the bot, one message twice, or more than their budget.
- Somebody whose reports were dismissed too often in a room is warned, then may not report there for a time.
- Somebody whose reports too often passed their deadline undecided may not report there for a time either.
- Each of these is a case, decided at once, that can be appealed.
- A report that proves right after all takes back the consequences of its dismissal or waiting.

Left to others: the budget (`report_budget.py`), reading what is known of reports (`storage/queries/reports.py`), who is
asked for a decision (`obligations.py`), what upholding brings (`decide.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeGuard

from moderation.model.builtin_rules import MISUSE, REPORTED, UNDECIDED
from moderation.model.context import CaseView, Context
from moderation.model.facts import (
    CaseDecided,
    CaseGrew,
    CaseMoved,
    CaseOpened,
    CaseState,
    DecidedState,
    Fact,
    Reported,
    SanctionStarted,
)
from moderation.model.facts.cases import EXCERPT
from moderation.model.new_facts import decided_case, waiting_case
from moderation.policy import Policy, ReportSettings
from moderation.values.errors import Refused
from moderation.values.ids import EventId, UserId

from .report_budget import Filed, free_again

MOST_MESSAGES = 20  # messages that one person can report as one case


@dataclass(frozen=True, slots=True)
class ReportedMessage:
    """A message that was reported."""

    event: EventId
    record: int
    words: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """A time until which somebody may not report in a room; case `n` says why."""

    until: int
    n: int
    rule: str = MISUSE


@dataclass(frozen=True, slots=True)
class ReportContext:
    """Facts known about the message and about the person who reports it."""

    cases: Sequence[CaseView] = ()  # the cases that have the message, oldest first
    before: int = 0  # the case of this person's earlier report of it
    pause: Pause | None = None
    accounts: Sequence[UserId] = ()  # of the person who reports
    filed: Sequence[Filed] = ()  # the cases that this person reported lately, in any room
    messages: Mapping[int, int] = field(default_factory=dict)  # how many of their messages, by case
    lead: CaseView | None = None  # the newest undecided case that this person opened here with a card of its own


def report(
    message: ReportedMessage,
    *,
    by: UserId,
    reason: str,
    context: Context,
    known: ReportContext,
    policy: Policy,
    on: int,
) -> tuple[Fact, ...]:
    """Return the facts of a report by `by`; `context.subject` is the author of the message.

    Raises `Refused` with the reason if it is not accepted.
    """
    _refuse(by, context, known)
    case = case_about(known.cases) or _incident(context, policy)
    n = case.n if case else context.next_case
    _refuse_too_many(n, known, policy, context.now_ms)
    reported = Reported(
        room=context.room.room,
        on=on,
        n=n,
        message=message.record,
        subject=context.subject.user,
        by=by,
        reason=reason,
    )
    if case is None:
        return (open_report(message, context, policy, on, _lead(context, known, policy)), reported)
    return (reported,) if case in known.cases else (reported, _grown(case, message, context, on))


def _refuse(by: UserId, context: Context, known: ReportContext) -> None:
    if context.subject.user in (by, *known.accounts):
        raise Refused("error.report.self")
    if context.subject.user == context.bot:
        raise Refused("error.report.bot")
    if known.before:
        raise Refused("error.report.twice", n=known.before)
    if known.pause is not None:
        key = "error.report.paused" if known.pause.rule == MISUSE else "error.report.undecided"
        raise Refused(key, room=context.room.room, until=known.pause.until, n=known.pause.n)


def _refuse_too_many(n: int, known: ReportContext, policy: Policy, now_ms: int) -> None:
    """Raise `Refused` if case `n` would exceed the person's budget, or has enough of their messages."""
    if n in known.messages:
        if known.messages[n] >= MOST_MESSAGES:
            raise Refused("error.report.enough", n=n)
        return
    again = free_again(known.filed, policy.reports, now_ms)
    if again is not None:
        waiting = sum(not each.outcome for each in known.filed)
        raise Refused("error.report.budget", count=waiting, until=again)


def case_about(cases: Sequence[CaseView]) -> CaseView | None:
    """Return the case about the message: the one that waits for a decision, else the newest."""
    return next((case for case in cases if not case.outcome), cases[-1] if cases else None)


def _incident(context: Context, policy: Policy) -> CaseView | None:
    """Return the case of reports on the same person a moment ago, if it still waits."""
    case = context.subject.recent_cases.get((context.room.room, REPORTED))
    if case is None or case.outcome or context.now_ms - case.opened > policy.credit.incident_window:
        return None
    return case


def _lead(context: Context, known: ReportContext, policy: Policy) -> int:
    """Return the case on whose card this one is shown; 0 if none. Others decide about managers."""
    case = known.lead
    if case is None or case.manages or context.room.room in context.subject.manages:
        return 0
    return case.n if context.now_ms - case.opened <= policy.reports.together_within else 0


def open_report(message: ReportedMessage, context: Context, policy: Policy, on: int, lead: int = 0) -> CaseOpened:
    """Return the fact that opens a case about a message; `lead` is the case on whose card it is shown (0: its own)."""
    grade, excerpt = policy.reports.grade, message.words[:EXCERPT]
    case = waiting_case(context, policy, REPORTED, grade, on=on, event=message.event, excerpt=excerpt)
    return replace(case, due=0 if lead else case.due, message=message.record, lead=lead)


def _grown(case: CaseView, message: ReportedMessage, context: Context, on: int) -> CaseGrew:
    return CaseGrew(
        room=context.room.room,
        on=on,
        n=case.n,
        message=message.record,
        subject=context.subject.user,
        event=message.event,
    )


# Misuse.


@dataclass(frozen=True, slots=True)
class Reporter:
    """Somebody who reported the subject of a case."""

    user: UserId
    dismissed: int = 0  # other cases by them that were dismissed: within the time, since their last pause
    warned: bool = False  # in that time
    undecided: int = 0  # their cases in the room past the deadline: this one and those that wait with it included
    paused: bool = False


@dataclass(frozen=True, slots=True)
class ReportedCase:
    """A case of reports by members, at its decision."""

    reporters: tuple[Reporter, ...] = ()
    misuse: tuple[CaseView, ...] = ()  # cases about reporters that rest on its dismissal or waiting, and stand


@dataclass(frozen=True, slots=True)
class AroundReports:
    """The context of the facts of one cause, read before they are written."""

    now_ms: int
    settings: ReportSettings
    next_case: int
    cases: Mapping[int, ReportedCase] = field(default_factory=dict)


def with_misuse(facts: Sequence[Fact], around: AroundReports) -> tuple[Fact, ...]:
    """Return the facts with what decisions, and passed deadlines, mean for the reporters.

    Idempotent: a second call adds nothing.
    """
    known = list(facts)
    for fact in facts:
        if isinstance(fact, CaseDecided) and fact.n in around.cases:
            known += [added for added in _decided(fact, known, around) if added not in known]
        elif is_late(fact, facts) and fact.n in around.cases:
            known += [added for added in _undecided(fact, known, around) if added not in known]
    return tuple(known)


def is_late(fact: Fact, facts: Sequence[Fact]) -> TypeGuard[CaseMoved]:
    """Return whether a case was not decided in time; passing on a new one because nobody is there is not late."""
    if not isinstance(fact, CaseMoved) or fact.state == "appealed":
        return False
    late = fact.step == "overdue" or (fact.step, fact.asked) == ("escalated", "operator")
    return late and not any(isinstance(other, CaseOpened) and other.n == fact.n for other in facts)


def _decided(fact: CaseDecided, facts: Sequence[Fact], around: AroundReports) -> Iterator[Fact]:
    case = around.cases[fact.n]
    if fact.what == "upheld":
        yield from _taken_back(fact, case.misuse)
    elif fact.state == "decided":  # a report that somebody upheld before an appeal reversed it had a ground
        yield from _for_nothing(fact, case, facts, around)


def _for_nothing(fact: CaseDecided, case: ReportedCase, facts: Sequence[Fact], around: AroundReports) -> Iterator[Fact]:
    number = _next_number(facts, around)
    for reporter in case.reporters:
        until = _brought(reporter, _dismissed_with(fact, reporter.user, facts, around), around)
        if until is not None and reporter.user != fact.by and reporter.user not in _already(MISUSE, facts):
            yield from _paused(fact, MISUSE, reporter.user, number, until)
            number += 1


def _already(rule: str, facts: Sequence[Fact]) -> set[UserId]:
    return {other.subject for other in facts if isinstance(other, CaseOpened) and other.rule == rule}


def _next_number(facts: Sequence[Fact], around: AroundReports) -> int:
    taken = max((other.n for other in facts if isinstance(other, CaseOpened)), default=0)
    return max(around.next_case, taken + 1)


def _dismissed_with(fact: CaseDecided, user: UserId, facts: Sequence[Fact], around: AroundReports) -> int:
    """Return how many cases reported by `user` the same act has dismissed, up to and including this one."""
    dismissed = [each.n for each in facts if isinstance(each, CaseDecided) and each.what == "dismissed"]
    cases = {n: around.cases[n] for n in dismissed if n in around.cases}
    theirs = [n for n, case in cases.items() if any(each.user == user for each in case.reporters)]
    return theirs.index(fact.n) + 1


def _undecided(fact: CaseMoved, facts: Sequence[Fact], around: AroundReports) -> Iterator[Fact]:
    """Pause reporters of whose reports too many wait beyond their deadline. It says nothing against the reports."""
    after, number = around.settings.misuse_after, _next_number(facts, around)
    for reporter in around.cases[fact.n].reporters:
        if 0 < after <= reporter.undecided and not reporter.paused and reporter.user not in _already(UNDECIDED, facts):
            until = around.now_ms + around.settings.misuse_pause
            yield from _paused(fact, UNDECIDED, reporter.user, number, until)
            number += 1


def _brought(reporter: Reporter, more: int, around: AroundReports) -> int | None:
    """Return what `more` dismissed reports cause: a warning (0), a pause until some time, or nothing (None)."""
    after, count = around.settings.misuse_after, reporter.dismissed + more
    if after > 0 and count >= 2 * after:
        return around.now_ms + around.settings.misuse_pause
    return 0 if after > 0 and count >= after and not reporter.warned else None


def _paused(fact: CaseDecided | CaseMoved, rule: str, user: UserId, n: int, until: int) -> Iterator[Fact]:
    """Yield a pause: a warning that holds for a time, in which reports are refused and nothing else."""
    yield decided_case(rule, fact.room, n, user, on=fact.on, about=fact.n)
    yield SanctionStarted(
        room=fact.room, on=fact.on, kind="warn", until=until, n=n, basis="rule", rule=rule, subject=user
    )


_UNDONE: Mapping[CaseState, DecidedState] = {"decided": "decided", "appealed": "reversed"}


def _taken_back(fact: CaseDecided, cases: Sequence[CaseView]) -> Iterator[CaseDecided]:
    """Dismiss the cases against the reporters: the report was right after all."""
    for case in cases:
        state = _UNDONE.get(case.state)
        if state is None:  # upheld on appeal: it stands
            continue
        yield case.decision("dismissed", state, by=fact.by, on=fact.on)
