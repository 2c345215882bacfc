"""Reports by members: what comes of pointing the managers to a message, and of doing so again and again for nothing.

Rules this module keeps: a report of a message joins the case that has the message already, or the open case of what
was reported of the same person just before, or opens one; a case waits for people, nothing applies before a decision;
nobody reports themselves, the bot, or one message twice; whoever's reports were dismissed too often in a room is
warned, then may not report there for a time: a case each, decided at once, that can be appealed; a report that proves
right after all takes back what its dismissal brought.
Left to others: reading what is known of reports (`storage/views/reports.py`), who is asked for a decision
(`complete.py`), what upholding brings (`decide.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .cases import Step, step
from .context import CaseView, Context
from .errors import Refused
from .facts import CaseDecided, CaseGrew, CaseOpened, Fact, Reported, SanctionStarted
from .ids import EventId, UserId
from .judge import EXCERPT
from .own_rules import MISUSE, OWN_RULES, REPORTED
from .policy import Policy, ReportSettings


@dataclass(frozen=True, slots=True)
class Message:
    """What was pointed to."""

    event: EventId
    record: int
    words: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """Somebody may not report in a room until `until`; case `n` says why."""

    until: int
    n: int


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the message and of who reports it."""

    cases: Sequence[CaseView] = ()  # those that have the message, oldest first
    before: int = 0  # the case that this person's earlier report of it went to
    pause: Pause | None = None
    accounts: Sequence[UserId] = ()  # of the person who reports


def report(
    message: Message, *, by: UserId, reason: str, context: Context, known: Known, policy: Policy, on: int
) -> tuple[Fact, ...]:
    """The facts of a report by `by`; `context.subject` is whose message it is. Raises `Refused`, saying why not."""
    _refuse(by, context, known)
    case = _case_of(known.cases) or _incident(context, policy)
    n = case.n if case else context.next_case
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
        return (_opened(message, context, policy, on), reported)
    return (reported,) if case in known.cases else (reported, _grown(case, message, context, on))


def _refuse(by: UserId, context: Context, known: Known) -> None:
    if context.subject.user in (by, *known.accounts):
        raise Refused("error.report.self")
    if context.subject.user == context.bot:
        raise Refused("error.report.bot")
    if known.before:
        raise Refused("error.report.twice", n=known.before)
    if known.pause is not None:
        raise Refused("error.report.paused", room=context.room.room, until=known.pause.until, n=known.pause.n)


def _case_of(cases: Sequence[CaseView]) -> CaseView | None:
    """The case about the message: the one that waits for a decision, else the newest."""
    return next((case for case in cases if not case.outcome), cases[-1] if cases else None)


def _incident(context: Context, policy: Policy) -> CaseView | None:
    """The case of what was reported of the same person a moment ago, if it still waits."""
    case = context.subject.recent_cases.get((context.room.room, REPORTED))
    if case is None or case.outcome or context.now_ms - case.opened > policy.credit.incident_window:
        return None
    return case


def _opened(message: Message, context: Context, policy: Policy, on: int) -> CaseOpened:
    return CaseOpened(
        room=context.room.room,
        on=on,
        n=context.next_case,
        rule=REPORTED,
        grade=policy.reports.grade,
        decide="manager",
        state="open",
        due=context.now_ms + policy.cases.deadlines.of(policy.reports.grade),
        manages=int(context.room.room in context.subject.manages),
        message=message.record,
        subject=context.subject.user,
        event=message.event,
        excerpt=message.words[:EXCERPT],
    )


def _grown(case: CaseView, message: Message, context: Context, on: int) -> CaseGrew:
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
    """Somebody who reported what a case is about."""

    user: UserId
    dismissed: int = 0  # other cases they brought about that came to nothing: within the time, since their last pause
    warned: bool = False  # in that time


@dataclass(frozen=True, slots=True)
class ReportedCase:
    """A case of what members reported, as its decision finds it."""

    reporters: tuple[Reporter, ...] = ()
    misuse: tuple[CaseView, ...] = ()  # the cases about reporters that rest on its dismissal, and stand


@dataclass(frozen=True, slots=True)
class AroundReports:
    """What is known around the facts of one cause: read before they are written."""

    now_ms: int
    settings: ReportSettings
    next_case: int
    cases: Mapping[int, ReportedCase] = field(default_factory=dict)


def with_misuse(facts: Sequence[Fact], around: AroundReports) -> tuple[Fact, ...]:
    """The facts, and what their decisions bring to those who had reported. Asked twice it adds nothing twice."""
    known = list(facts)
    for fact in facts:
        if isinstance(fact, CaseDecided) and fact.n in around.cases:
            known += [added for added in _decided(fact, facts, around) if added not in known]
    return tuple(known)


def _decided(fact: CaseDecided, facts: Sequence[Fact], around: AroundReports) -> Iterator[Fact]:
    case = around.cases[fact.n]
    if fact.what == "upheld":
        yield from _taken_back(fact, case.misuse)
    elif fact.state == "decided":  # what somebody upheld before, and an appeal reversed, was reported with reason
        yield from _for_nothing(fact, case, facts, around)


def _for_nothing(fact: CaseDecided, case: ReportedCase, facts: Sequence[Fact], around: AroundReports) -> Iterator[Fact]:
    already = {other.subject for other in facts if isinstance(other, CaseOpened) and other.rule == MISUSE}
    taken = max((other.n for other in facts if isinstance(other, CaseOpened)), default=0)
    number = max(around.next_case, taken + 1)
    for reporter in case.reporters:
        until = _brought(reporter, around)
        if until is not None and reporter.user != fact.by and reporter.user not in already:
            yield from _misused(fact, reporter.user, number, until)
            number += 1


def _brought(reporter: Reporter, around: AroundReports) -> int | None:
    """What one more dismissed report brings: a warning (0), a pause until some time, or nothing (None)."""
    after, count = around.settings.misuse_after, reporter.dismissed + 1
    if after > 0 and count >= 2 * after:
        return around.now_ms + around.settings.misuse_pause
    return 0 if after > 0 and count >= after and not reporter.warned else None


def _misused(fact: CaseDecided, user: UserId, n: int, until: int) -> Iterator[Fact]:
    """A pause is a warning that holds for a time: reports are refused meanwhile, and nothing else."""
    yield CaseOpened(
        room=fact.room,
        on=fact.on,
        n=n,
        rule=MISUSE,
        grade=OWN_RULES[MISUSE].grade,
        decide="auto",
        state="decided",
        due=0,
        about=fact.n,
        subject=user,
    )
    yield SanctionStarted(
        room=fact.room, on=fact.on, kind="warn", until=until, n=n, basis="rule", rule=MISUSE, subject=user
    )


_UNDO: Mapping[str, Step] = {"decided": "reconsider", "appealed": "reverse"}


def _taken_back(fact: CaseDecided, cases: Sequence[CaseView]) -> Iterator[CaseDecided]:
    """The report was right after all."""
    for case in cases:
        undo = _UNDO.get(case.state)
        if undo is None:  # somebody has looked at it again, on appeal, and let it stand
            continue
        yield CaseDecided(
            room=case.room,
            on=fact.on,
            n=case.n,
            what="dismissed",
            state=step(case.state, undo),  # type: ignore[arg-type]
            subject=case.subject,
            by=fact.by,
        )
