"""Notifications in words: the messages that tell people what follows from facts.

Rules kept here:
- Each thing is said once: ten messages removed for one cause are not ten sentences.
- A message about a case says which rule, message and room it is about, and ends with what its reader can do now.
- Nobody in the desk sees who reported, and the words of a reporter only while the person concerned does not read along.

Left to others: who is told what (`moderation/consequences/`), the lines for a person (`person_lines.py`), sending
(`bot/effects/send_notice.py`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from moderation.model.actions.base import Action
from moderation.model.actions.telling import Say, Tell, TellAbove, TellDesk
from moderation.model.facts import (
    OF_ROOMS,
    REMOVING,
    Appealed,
    ApproverChanged,
    CaseCommented,
    CaseMoved,
    CaseNoted,
    CaseOpened,
    DeskChosen,
    DossierStep,
    Fact,
    PolicyServerSet,
    RoomRuleChanged,
    RoomSettingChanged,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
    TaskOpened,
    WaveNoticed,
)
from moderation.model.notifications import Notification, NotifyAbove, NotifyDesk, NotifyPerson, NotifyRoom
from moderation.values.notices import Line, Moment, Quoted, RoomName, RuleText, Who, line

from . import measure_lines
from .person_lines import anywhere, outcome_line, person_lines, undecided_lines
from .wave_lines import wave_lines


def in_words(following: Iterable[Action | Notification]) -> tuple[Action, ...]:
    """Return the actions with every notification made a message."""
    return tuple(_message(each) if isinstance(each, Notification) else each for each in following)


def _message(told: Notification) -> Action:
    match told:
        case NotifyPerson():
            return Tell(
                room=told.room,
                subject=told.subject,
                lines=_to_person(told),
                n=told.n,
                asks=told.asks,
                alone=told.alone,
                once=f"removal of {told.case.rule}" if told.case and _is_of_removal(told) else "",
            )
        case NotifyDesk():
            discreet = _lines(told.facts, _discreet) if any(_is_by_reporter(fact) for fact in told.facts) else ()
            return TellDesk(
                room=told.room, n=told.n, lines=_lines(told.facts, _to_desk), ring=told.ring, discreet=discreet
            )
        case NotifyAbove():
            lines = _lines(told.facts, _to_above)
            return TellAbove(room=told.room, n=told.n, lines=lines, owners=told.owners, first=told.first)
        case NotifyRoom():
            return Say(room=told.room, lines=_lines(told.facts, _to_room))
    raise NotImplementedError(type(told).__name__)


def _lines(facts: Sequence[Fact], words: Callable[[Fact], Iterator[Line]]) -> tuple[Line, ...]:
    return tuple(each for fact in facts for each in words(fact))


# People.


def _is_of_removal(told: NotifyPerson) -> bool:
    """Return whether a message opens a case with a removal, or says only that more was removed for the case."""
    removed = [fact for fact in told.facts if isinstance(fact, SanctionStarted) and fact.kind in REMOVING]
    opened = any(isinstance(fact, CaseOpened) for fact in told.facts)
    return bool(told.n and removed) and (opened or len(removed) == len(told.facts)) and not told.outcomes


def _to_person(told: NotifyPerson) -> tuple[Line, ...]:
    reported = tuple(map(outcome_line, told.outcomes))
    return (*reported, *undecided_lines(told), *_each_once(told), *_next(told))


def _each_once(told: NotifyPerson) -> Iterator[Line]:
    alike: dict[Fact, list[Fact]] = {}
    for fact in told.facts:
        alike.setdefault(anywhere(fact), []).append(fact)
    firsts = [same[0] for same in alike.values()]
    said: list[tuple[Line, ...]] = []
    for first, *others in alike.values():
        if (lines := tuple(person_lines(first, replace(told, facts=(*firsts, *others))))) not in said:
            said.append(lines)
    return (each for lines in said for each in lines)


def _next(told: NotifyPerson) -> Iterator[Line]:
    """Yield what the person can do now."""
    if told.remedy == "comment" and told.case is not None:
        if told.case.due:
            yield line(f"notice.will-decide.{told.case.asked}", due=Moment(told.case.due))
        yield line("notice.comment", n=told.n)
    if told.remedy == "appeal":
        yield line("notice.foot" if told.hearer == "other" else "notice.foot-same", n=told.n)
    elif told.remedy == "again":
        yield line("notice.foot-again", n=told.n)
    elif told.n and not told.alone:
        yield line("notice.details", n=told.n)


# The desk.


def _is_by_reporter(fact: Fact) -> bool:
    return isinstance(fact, Appealed) and bool(fact.report)


def _discreet(fact: Fact) -> Iterator[Line]:
    """Yield what is said instead while the person whom the case is about reads along."""
    if isinstance(fact, Appealed) and fact.report:
        yield line("desk.appealed-report-discreet", n=fact.n, due=Moment(fact.due))
    else:
        yield from _to_desk(fact)


def _to_desk(fact: Fact) -> Iterator[Line]:
    match fact:
        case CaseMoved():
            key = f"desk.moved.{fact.step}" if fact.step != "escalated" else f"desk.passed-on.{fact.asked}"
            yield line(key, n=fact.n, due=Moment(fact.due))
        case CaseNoted():
            yield line("desk.noted", by=Who(fact.by), n=fact.n, words=fact.words)
        case CaseCommented():
            yield line("desk.commented", who=Who(fact.subject), n=fact.n, words=Quoted(fact.words))
        case Appealed() if fact.report:
            yield line("desk.appealed-report", n=fact.n, words=Quoted(fact.words), due=Moment(fact.due))
        case Appealed():
            due = Moment(fact.due)
            yield line("desk.appealed", who=Who(fact.subject), n=fact.n, words=Quoted(fact.words), due=due)
        case SanctionStarted() if fact.kind in OF_ROOMS:
            yield from measure_lines.begin_lines(fact)
        case SanctionStarted():
            yield _demoted(fact)
        case SanctionExtended():
            yield measure_lines.longer(fact)
        case SanctionEnded() if fact.kind in OF_ROOMS:
            yield measure_lines.end_line(fact)
        case SanctionEnded():
            yield line("desk.restored", who=Who(fact.subject))
        case DeskChosen():
            yield line(f"desk.joined.{fact.why}", room=RoomName(fact.home), by=Who(fact.by))
            yield line("desk.joined.duty", room=RoomName(fact.home))
        case WaveNoticed():
            yield from wave_lines(fact)
        case _:
            raise NotImplementedError(type(fact).__name__)


def _demoted(fact: SanctionStarted) -> Line:
    if fact.basis == "verification":
        return line("desk.demoted-unverified", who=Who(fact.subject), n=fact.n)
    key = "desk.demoted-standing" if fact.basis == "standing" else "desk.demoted"
    return line(key, who=Who(fact.subject), credit=fact.credit, until=Moment(fact.until))


# Operators, and everybody in a room.


def _to_above(fact: Fact) -> Iterator[Line]:
    match fact:
        case TaskOpened():
            room = RoomName(fact.room or "")
            yield line(f"task.{fact.task}", n=fact.n, room=room, who=Who(fact.subject) if fact.subject else room)
        case PolicyServerSet():
            yield line(f"policy.told.{fact.step}", room=RoomName(fact.home), by=Who(fact.by))
        case DossierStep():
            yield line(f"dossier.approved-above.{fact.how}", n=fact.start, who=Who(fact.reader))
        case WaveNoticed():
            yield from wave_lines(fact)
        case ApproverChanged():
            yield line(f"approver.{fact.step}", name=fact.name, who=Who(fact.subject), by=fact.reader)
        case _:
            raise NotImplementedError(type(fact).__name__)


def _to_room(fact: Fact) -> Iterator[Line]:
    match fact:
        case RoomRuleChanged():
            yield line("rules.added" if fact.step == "added" else "rules.removed", rule=RuleText(fact.rule))
        case RoomSettingChanged():
            yield line("set.said.verify", level=int(fact.value[0]))
            yield line("pointer.next")
        case SanctionStarted():
            yield from measure_lines.begun_here(fact)
        case SanctionEnded():
            yield from measure_lines.ended_here(fact)
        case _:
            raise NotImplementedError(type(fact).__name__)
