"""The words that tell a person of a fact that concerns them.

Rules kept here:
- A person is told what was done, why, until when and by whom, and never less.
- What the case says already is not said again with each measure.

Left to others: which facts they are told (`moderation/consequences/`), measures against rooms (`measure_lines.py`).
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import singledispatch

from moderation.model.actions.base import NO_ROOM
from moderation.model.builtin_rules import (
    BARRED,
    CAP_JOINED,
    CAP_MEMBERS,
    IN_WAVE,
    LISTED,
    NEW_MEMBER,
    NEW_MEMBER_RULES,
    OWN_RULES,
    PAUSES_REPORTS,
    REPORTED,
    TIER_LINKS,
)
from moderation.model.context import CaseView
from moderation.model.facts import (
    OF_ROOMS,
    REMOVING,
    AccountsLinked,
    AccountUnlinked,
    Appealed,
    BalanceCorrected,
    CaseAssigned,
    CaseDecided,
    CaseExtended,
    CaseOpened,
    CreditChanged,
    DoorAnswered,
    DossierStep,
    EntryConfirmed,
    Fact,
    ListPublished,
    PersonVerified,
    RosterChanged,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
    Swept,
    VerificationAsked,
)
from moderation.model.notifications import NotifyPerson
from moderation.model.reach import is_one_room
from moderation.rooms.slow_mode import HELD_BACK
from moderation.values.notices import Code, Line, Moment, Phrase, RoomName, RuleText, Span, Who, line, room_or_rooms

from . import measure_lines
from .ledger_lines import entry_line
from .newcomer_lines import new_until

QUOTED = 100  # characters of a message that a notice quotes


def outcome_line(fact: CaseDecided) -> Line:
    """Return the outcome of a report; the exact measures are between the managers and the person concerned."""
    key: str = fact.what if fact.state == "decided" else fact.state
    if fact.state == "reversed" and fact.what == "upheld":
        key = "upheld-after-all"
    return line(f"report.outcome.{key}", room=RoomName(fact.room or ""), n=fact.n)


@singledispatch
def person_lines(fact: Fact, _told: NotifyPerson) -> Iterator[Line]:
    """Yield the lines that tell a person of one fact; `told` is the whole notification."""
    raise NotImplementedError(type(fact).__name__)


@person_lines.register
def _(fact: CaseOpened, told: NotifyPerson) -> Iterator[Line]:
    room = RoomName(fact.room or "")
    if fact.rule in OWN_RULES:
        yield line(f"notice.own.{fact.rule}", room=room, n=fact.n, about=fact.about)
        if fact.rule == LISTED:
            yield line("notice.on-list", said=fact.excerpt)
        if fact.reason:
            yield line("notice.reason", reason=fact.reason)
    else:
        yield line("notice.violation", room=room, rule=RuleText(fact.rule), n=fact.n)
        yield from _words(told)


@person_lines.register
def _(fact: CaseDecided, told: NotifyPerson) -> Iterator[Line]:
    room, by = RoomName(fact.room or ""), Who(fact.by)
    if fact.waits:
        yield line(f"notice.waited.{fact.what}", room=room, n=fact.n, by=by)
    elif fact.state == "affirmed":
        yield line("notice.affirmed", room=room, n=fact.n, by=by, rule=_rule(told.case))
    else:
        yield _decided(fact, told.case)
    yield from _words(told)
    if fact.reason:
        yield line("notice.reason", reason=fact.reason)
    if fact.what == "dismissed" and not fact.waits and fact.state != "affirmed":
        yield from _can_post_again(told.case)


def undecided_lines(told: NotifyPerson) -> Iterator[Line]:
    """Yield what a measure is about that was taken before anybody decided."""
    started = any(isinstance(fact, SanctionStarted) and fact.basis in ("interim", "rule") for fact in told.facts)
    case = told.case
    if case is not None and not case.outcome and started and case.rule != TIER_LINKS:
        yield line("notice.undecided", room=RoomName(case.room), rule=RuleText(case.rule), n=case.n)
        yield from _words(told)


def _words(told: NotifyPerson) -> Iterator[Line]:
    """Yield which messages a case is about: by their words or, where these are not kept, by their time."""
    case = told.case
    if case is None or not case.events:
        return
    count, words = len(case.events), shortened(case.excerpt)
    if words:
        yield line("notice.words" if count == 1 else "notice.words-several", words=words, count=count)
    elif told.sent:
        yield line("notice.sent" if count == 1 else "notice.sent-several", when=Moment(told.sent), count=count)


def shortened(words: str) -> str:
    """Return the beginning of what somebody wrote, for a message about it."""
    return words if len(words) <= QUOTED else f"{words[: QUOTED - 1].rstrip()}…"


def _decided(fact: CaseDecided, case: CaseView | None) -> Line:
    """Return the line of a decision: about a reported message, one that breaks a rule, or something else."""
    room, by = RoomName(fact.room or ""), Who(fact.by)
    if case is not None and case.rule == REPORTED:
        return line(f"notice.report.{fact.what}", room=room, n=fact.n, by=by)
    rule = _rule(case)
    if case is not None and case.rule not in OWN_RULES and case.events:
        return line(f"notice.message.{fact.what}", room=room, n=fact.n, by=by, rule=rule)
    return line(f"notice.case.{fact.what}", room=room, n=fact.n, by=by, rule=rule)


def _rule(case: CaseView | None) -> RuleText:
    return RuleText(case.rule if case else "")


def _can_post_again(case: CaseView | None) -> Iterator[Line]:
    """Yield what somebody can post again whose case is dismissed: what was removed, or never came."""
    done = {kind for kind, _ in case.done} if case is not None else set()
    if "redact" in done:
        yield line("notice.post-again")
    elif "withhold" in done:
        yield line("notice.post-again-withheld")


@person_lines.register
def _(fact: CaseExtended, told: NotifyPerson) -> Iterator[Line]:
    key = "notice.later" if told.subject == fact.subject else "report.later"
    yield line(key, room=RoomName(fact.room or ""), n=fact.n, due=Moment(fact.due))


@person_lines.register
def _(fact: Appealed, told: NotifyPerson) -> Iterator[Line]:
    room, due = RoomName(fact.room or ""), Moment(fact.due)
    if fact.report:
        yield line("report.appealed", n=fact.n, room=room, due=due)
    else:
        yield line(f"notice.appealed.{told.hearer}", n=fact.n, room=room, due=due, rule=_rule(told.case))


@person_lines.register
def _(fact: CreditChanged, _told: NotifyPerson) -> Iterator[Line]:
    yield entry_line(fact.ledger, fact.entry, fact.cost, fact.left)


@person_lines.register
def _(fact: EntryConfirmed, _told: NotifyPerson) -> Iterator[Line]:
    yield line("notice.confirmed", n=fact.n)


@person_lines.register
def _(fact: BalanceCorrected, _told: NotifyPerson) -> Iterator[Line]:
    yield line(f"notice.corrected.{fact.ledger}")


@person_lines.register
def _(fact: CaseAssigned, _told: NotifyPerson) -> Iterator[Line]:
    yield line(f"notice.asked.{fact.asked}", room=RoomName(fact.room or ""), n=fact.n, due=Moment(fact.due))


@person_lines.register
def _(fact: SanctionStarted, told: NotifyPerson) -> Iterator[Line]:
    if fact.rule in PAUSES_REPORTS:  # the case says why
        yield line("notice.reports-paused", until=Moment(fact.until))
        return
    if fact.rule in (BARRED, CAP_MEMBERS, CAP_JOINED, IN_WAVE, LISTED):  # the case says what and why
        yield line("notice.until", until=Moment(fact.until))
        return
    if fact.kind in REMOVING and fact.rule in HELD_BACK:
        yield _held_back(fact)
    elif fact.basis == "interim" or _is_open(told.case):
        yield line(f"notice.interim.{fact.kind}")
    elif fact.reach:
        yield from _there(fact)
    elif fact.basis == "standing":
        yield line("notice.measure-standing", credit=fact.credit)
    elif fact.basis == "command":
        room = room_or_rooms(_rooms(fact, told))
        yield line(f"notice.command.{fact.kind}", room=room, by=Who(fact.by), every=Span(fact.every))
    elif fact.kind in ("kick", "ban") and fact.basis in ("rule", "decision"):
        yield line(f"notice.removed.{fact.kind}", room=RoomName(fact.home))
    else:
        yield line(f"notice.measure.{fact.kind}", credit=fact.credit)
    if fact.until:
        yield line("notice.until", until=Moment(fact.until))
    if fact.reason and fact.basis != "operator":  # the operator's case says why
        yield line("notice.reason", reason=fact.reason)


def _rooms(fact: SanctionStarted | SanctionEnded, told: NotifyPerson) -> tuple[str, ...]:
    """Return all rooms in which the person is told of the same."""
    like = anywhere(fact)
    rooms = (each.room for each in told.facts if isinstance(each, type(fact)) and anywhere(each) == like)
    return tuple(dict.fromkeys(room for room in rooms if room is not None))


def anywhere(fact: Fact) -> Fact:
    """Return what a person is told of a fact, whichever room it is about: an order may be for several, or for all."""
    if isinstance(fact, SanctionEnded):
        return replace(fact, room=fact.room and NO_ROOM, start=0)
    return replace(fact, room=fact.room and NO_ROOM) if isinstance(fact, SanctionStarted) else fact


@person_lines.register
def _(fact: Swept, told: NotifyPerson) -> Iterator[Line]:
    sweeps = [each for each in told.facts if isinstance(each, Swept)]
    rooms, count = room_or_rooms([each.home for each in sweeps]), sum(each.count for each in sweeps)
    key = "notice.swept" if fact.by else "notice.swept-by-list"
    yield line(key, room=rooms, by=Who(fact.by), since=Moment(fact.since), count=count)
    with_measure = any(isinstance(each, SanctionStarted) and each.reason for each in told.facts)
    if fact.reason and not with_measure:
        yield line("notice.reason", reason=fact.reason)


@person_lines.register
def _(fact: ListPublished, _told: NotifyPerson) -> Iterator[Line]:
    yield line(f"notice.listed.{fact.step}", list=fact.list, list_room=Code(fact.list_room), n=fact.n)


def _is_open(case: CaseView | None) -> bool:
    return case is not None and not case.outcome


def _held_back(fact: SanctionStarted) -> Line:
    room, every = RoomName(fact.room or ""), Span(fact.every)
    if fact.rule in NEW_MEMBER_RULES:
        what = next(Phrase(f"held.{each}") for each, rule in NEW_MEMBER.items() if rule == fact.rule)
        until = new_until(fact.every, fact.messages)
        return line(f"notice.new-member.{until}", room=room, what=what, every=every, count=fact.messages)
    if fact.rule == TIER_LINKS and fact.n:
        return line("notice.waits", room=room, n=fact.n)
    if fact.messages > 1:
        return line(f"notice.held-several.{fact.rule}", room=room, every=every, count=fact.messages)
    return line(f"notice.held.{fact.rule}", room=room, every=every)


def _there(fact: SanctionStarted) -> Iterator[Line]:
    """Yield the consequences of a balance in the rooms of one community."""
    if fact.kind == "mute":
        yield line("notice.measure.mute")
    else:
        what = "standing" if fact.basis == "standing" else fact.kind
        yield line(f"notice.measure-there.{what}", credit=fact.credit)
    if is_one_room(fact.reach):
        yield line("notice.reach.room", room=RoomName(fact.room or ""))
    else:
        yield line("notice.reach.community", room=RoomName(fact.room or ""), community=fact.reach)


@person_lines.register
def _(fact: SanctionExtended, _told: NotifyPerson) -> Iterator[Line]:
    if fact.kind in OF_ROOMS:
        yield measure_lines.longer(fact)
        return
    yield line(f"notice.extended.{fact.kind}", until=Moment(fact.until))


@person_lines.register
def _(fact: SanctionEnded, told: NotifyPerson) -> Iterator[Line]:
    if fact.kind in OF_ROOMS:
        yield measure_lines.end_line(fact)
        return
    if fact.room is None:
        yield line(f"notice.ended-everywhere.{fact.kind}")
    else:
        yield line(f"notice.ended.{fact.kind}", room=room_or_rooms(_rooms(fact, told)))
    if any(isinstance(each, CaseDecided) and each.n == fact.n for each in told.facts):  # the decision says why
        return
    by_operator = fact.why == "command" and fact.room is None
    yield line("why-ended.operator" if by_operator else f"why-ended.{fact.why}")
    if fact.reason:
        yield line("notice.reason", reason=fact.reason)


@person_lines.register
def _(fact: DossierStep, _told: NotifyPerson) -> Iterator[Line]:
    file = json.loads(fact.covers or "{}")
    numbers, approved = file.get("cases") or [0], file.get("approved") or [0]
    yield line("dossier.told", cases=", ".join(map(str, numbers)), when=Moment(file.get("at", 0)))
    yield line("dossier.told-approved", first=Moment(approved[0]), second=Moment(approved[-1]))
    yield line("dossier.told-object", n=max(numbers))


@person_lines.register
def _(fact: PersonVerified, _told: NotifyPerson) -> Iterator[Line]:
    if fact.step == "verified" and fact.by:
        yield line("notice.verified", by=Who(fact.by), until=Moment(fact.until))
    if fact.why == "key":
        yield line("notice.key-changed")
        yield line("notice.key-changed-verify")
    if fact.step == "revoked" and fact.undoes >= 0 and fact.method == "vouch":
        yield line("notice.unvouched", by=Who(fact.by))
    if fact.step == "revoked" and fact.undoes >= 0 and fact.method == "roster":
        yield line("notice.off-roster")


@person_lines.register
def _(fact: VerificationAsked, _told: NotifyPerson) -> Iterator[Line]:
    key = f"pointer.{fact.what}"
    if fact.what == "reminded" and not fact.until:
        key = "pointer.reminded-only"
    yield line(key, room=RoomName(fact.room or ""), until=Moment(fact.until))
    yield line("pointer.next")


@person_lines.register
def _(fact: RosterChanged, _told: NotifyPerson) -> Iterator[Line]:
    if fact.hours:
        yield line("notice.roster", room=RoomName(fact.room or ""), hours=fact.hours, by=Who(fact.by))
    else:
        yield line("notice.roster-off", room=RoomName(fact.room or ""), by=Who(fact.by))


@person_lines.register
def _(fact: DoorAnswered, _told: NotifyPerson) -> Iterator[Line]:
    yield line(f"door.{fact.what}", room=RoomName(fact.room or ""), until=Moment(fact.until))


@person_lines.register
def _(fact: AccountsLinked, told: NotifyPerson) -> Iterator[Line]:
    yield line("notice.linked", who=Who(fact.target if told.subject == fact.subject else fact.subject))
    yield line("notice.linked-means")


@person_lines.register
def _(fact: AccountUnlinked, told: NotifyPerson) -> Iterator[Line]:
    yield line("notice.unlinked", who=Who(fact.target if told.subject == fact.subject else fact.subject))
    yield line("notice.unlinked-means")
