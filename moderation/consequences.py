"""Actions derived from facts: the same facts always give the same actions.

The facts of one cause are looked at together, so that a person is told once, in one message, everything that one
violation brought. This also makes a crash harmless: facts read back from the journal give the same actions.

Rules kept here:
- Every effect on a person is told to that person, with reason, duration and what they can do.
- The room is not told of it.
- Managers are told of cases by their cards.

Left to others: the words (`bot/texts`), the sending (`bot/outbox/dispatcher.py`, `bot/effects/send_notice.py`).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import singledispatch

from .credit.ledger_lines import entry_line
from .model.actions import (
    NO_ROOM,
    Action,
    Align,
    EditCard,
    InviteBack,
    KeepDesk,
    KeepLobby,
    Kick,
    LetIn,
    Offer,
    PostCard,
    Quote,
    Redact,
    Say,
    Tell,
    TellAbove,
    TellDesk,
    begins_early,
)
from .model.builtin_rules import (
    BARRED,
    BY_ORDER,
    CAP_JOINED,
    CAP_MEMBERS,
    OWN_RULES,
    PAUSES_REPORTS,
    TIER_LINKS,
    UNVERIFIED,
    UNVERIFIED_MANAGER,
    has_card,
)
from .model.facts import (
    LASTING,
    OF_ROOMS,
    AccountsLinked,
    AccountUnlinked,
    ActionTaken,
    Appealed,
    ApproverChanged,
    BalanceCorrected,
    CaseAssigned,
    CaseDecided,
    CaseGrew,
    CaseMoved,
    CaseNoted,
    CaseOpened,
    CreditChanged,
    DoorAnswered,
    DossierStep,
    EntryConfirmed,
    Fact,
    PersonVerified,
    RoleChanged,
    RoomRuleChanged,
    RoomSettingChanged,
    RosterChanged,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
    TaskOpened,
    VerificationAsked,
)
from .model.reach import is_one_room
from .model.ringing import rung_once
from .rooms import measure_consequences
from .rooms.slow_mode import HELD_BACK
from .values.ids import CaseNumber, RoomId, UserId
from .values.notices import Line, Moment, Phrase, RoomName, RuleText, Span, Who, line

# The reactions offered under a card. Each way to dismiss has the reason most often meant by it.
UPHOLD, DISMISS, SETTLED, HANDLED, MORE = "✅", "❌", "🤝", "♻", "🔎"
DISMISSALS = {DISMISS: "no-rule", SETTLED: "settled", HANDLED: "handled"}
OFFERED = (UPHOLD, *DISMISSALS, MORE)
# Returns the active groups a person is in; with a reach, also those of that community.
RoomsOf = Callable[..., Sequence[RoomId]]
Reporters = Mapping[int, Sequence[UserId]]  # case -> the people who had reported its subject


def consequences(facts: Sequence[Fact], rooms_of: RoomsOf, reporters: Reporters | None = None) -> tuple[Action, ...]:
    """Return the actions that follow from the facts of one cause, in the order in which they are to be queued."""
    actions = rung_once([action for fact in facts for action in _follow(fact, rooms_of)])
    outcomes = _outcomes(facts, reporters or {})
    people = dict.fromkeys((*_subjects(facts), *outcomes))
    told = [action for user in people for action in _tell(user, facts, rooms_of, outcomes.get(user, ()))]
    return (*actions, *told)


def at_once(facts: Sequence[Fact]) -> tuple[Action, ...]:
    """Return the consequences that can begin early, in the same order: they follow from the facts alone."""
    return tuple(action for fact in facts for action in _follow(fact, _in_none) if begins_early(action))


def _in_none(_user: UserId, _reach: str = "") -> Sequence[RoomId]:
    return ()


@singledispatch
def _follow(_fact: Fact, _rooms_of: RoomsOf) -> Iterator[Action]:
    """Yield the actions that follow from one fact alone."""
    yield from ()


@_follow.register
def _(fact: CaseOpened, _rooms_of: RoomsOf) -> Iterator[Action]:
    assert fact.room is not None
    if fact.lead:  # shown on the card of that case
        yield EditCard(room=fact.room, n=CaseNumber(fact.lead))
    elif has_card(fact.rule):
        yield PostCard(room=fact.room, n=CaseNumber(fact.n))


@_follow.register
def _(fact: CaseMoved, _rooms_of: RoomsOf) -> Iterator[Action]:
    assert fact.room is not None
    if fact.step == "closed":  # half a year later nobody has to be told
        return
    if fact.step == "parted":
        yield PostCard(room=fact.room, n=CaseNumber(fact.n))
        return
    yield EditCard(room=fact.room, n=CaseNumber(fact.n))
    if fact.step in ("acknowledged", "stopped", "closed") or fact.state in ("decided", "affirmed"):
        return
    key = f"desk.moved.{fact.step}" if fact.step != "escalated" else f"desk.passed-on.{fact.asked}"
    words = line(key, n=fact.n, due=Moment(fact.due))
    yield TellDesk(room=fact.room, n=fact.n, lines=(words,), ring=True)


@_follow.register
def _(fact: CaseNoted, _rooms_of: RoomsOf) -> Iterator[Action]:
    assert fact.room is not None
    yield TellDesk(room=fact.room, n=fact.n, lines=(line("desk.noted", by=Who(fact.by), n=fact.n, words=fact.words),))


@_follow.register
def _(fact: TaskOpened, _rooms_of: RoomsOf) -> Iterator[Action]:
    if fact.room is None or fact.task in ("case", "confirm"):  # the first is told by name, the second only listed
        return
    who = Who(fact.subject) if fact.subject else RoomName(fact.room)
    words = line(f"task.{fact.task}", n=fact.n, room=RoomName(fact.room), who=who)
    first = fact.task == "last-manager"
    yield TellAbove(room=fact.room, n=fact.n, lines=(words,), owners=first, first=first)


@_follow.register
def _(fact: CaseGrew, _rooms_of: RoomsOf) -> Iterator[Action]:
    assert fact.room is not None
    yield EditCard(room=fact.room, n=CaseNumber(fact.n))


@_follow.register
def _(fact: Appealed, _rooms_of: RoomsOf) -> Iterator[Action]:
    assert fact.room is not None
    yield EditCard(room=fact.room, n=CaseNumber(fact.n))
    due = Moment(fact.due)
    discreet: tuple[Line, ...] = ()
    if fact.report:  # nobody in the desk sees who reported, and only the reporter is told
        words = line("desk.appealed-report", n=fact.n, words=fact.words, due=due)
        discreet = (line("desk.appealed-report-discreet", n=fact.n, due=due),)
        yield Tell(
            room=fact.room,
            subject=fact.subject,
            lines=(line("report.appealed", n=fact.n, room=RoomName(fact.room), due=due),),
            n=fact.n,
            alone=True,
        )
    else:
        words = line("desk.appealed", who=Who(fact.subject), n=fact.n, words=fact.words, due=due)
    yield TellDesk(room=fact.room, n=fact.n, lines=(words,), ring=True, discreet=discreet)


@_follow.register
def _(fact: CaseDecided, _rooms_of: RoomsOf) -> Iterator[Action]:
    assert fact.room is not None
    yield EditCard(room=fact.room, n=CaseNumber(fact.n))
    if fact.waits and fact.what == "dismissed":
        yield Quote(room=fact.room, n=CaseNumber(fact.n))
    if fact.what == "dismissed" and fact.subject:  # if nobody was removed, nobody is invited
        yield InviteBack(room=fact.room, subject=fact.subject, n=fact.n)


@_follow.register
def _(fact: ActionTaken, _rooms_of: RoomsOf) -> Iterator[Action]:
    if fact.action == PostCard.NAME and fact.result == "done" and fact.room is not None:
        for key in OFFERED:
            yield Offer(room=fact.room, n=CaseNumber(fact.n), key=key)


@_follow.register
def _(fact: SanctionStarted, rooms_of: RoomsOf) -> Iterator[Action]:
    if fact.kind == "redact":
        assert fact.room is not None
        # The rule is shown to all in the room; that somebody is not verified is told to them alone.
        rule = "-" if fact.rule == UNVERIFIED else fact.rule
        yield Redact(room=fact.room, event=fact.event, subject=fact.subject, rule=rule)
        if fact.rule == TIER_LINKS and fact.n:
            yield Quote(room=fact.room, n=CaseNumber(fact.n), event=fact.event)
    elif fact.kind == "kick":
        assert fact.room is not None
        yield Kick(room=fact.room, subject=fact.subject, reason=fact.reason)
    elif fact.kind in OF_ROOMS:
        yield from measure_consequences.begun(fact)
    elif fact.kind in LASTING:
        for room in _rooms(fact, rooms_of):
            yield Align(room=room)
    if fact.kind == "demote":
        for room in _rooms(fact, rooms_of):
            yield TellDesk(room=room, n=fact.n, lines=(_desk_line(fact),))


@_follow.register
def _(fact: SanctionExtended, _rooms_of: RoomsOf) -> Iterator[Action]:
    if fact.kind in OF_ROOMS:
        yield from measure_consequences.longer(fact)


@_follow.register
def _(fact: SanctionEnded, rooms_of: RoomsOf) -> Iterator[Action]:
    if fact.kind in OF_ROOMS:
        yield from measure_consequences.over(fact)
        return
    for room in _rooms(fact, rooms_of):
        yield Align(room=room)
        if fact.kind == "ban" and fact.why == "reversed" and (fact.room is None or fact.reach):
            yield InviteBack(room=room, subject=fact.subject, n=fact.n)
        if fact.kind == "demote":
            yield TellDesk(room=room, n=fact.n, lines=(line("desk.restored", who=Who(fact.subject)),))


@_follow.register
def _(fact: RoomRuleChanged, _rooms_of: RoomsOf) -> Iterator[Action]:
    assert fact.room is not None
    key = "rules.added" if fact.step == "added" else "rules.removed"
    yield Say(room=fact.room, lines=(line(key, rule=RuleText(fact.rule)),))


@_follow.register
def _(fact: RoomSettingChanged, _rooms_of: RoomsOf) -> Iterator[Action]:
    assert fact.room is not None
    if fact.setting != "verify":
        return
    yield Align(room=fact.room)  # changes who may come in
    yield KeepLobby(room=fact.room)
    if fact.value != "-":
        yield Say(room=fact.room, lines=(line("set.said.verify", level=int(fact.value[0])), line("pointer.next")))


@_follow.register
def _(fact: DoorAnswered, _rooms_of: RoomsOf) -> Iterator[Action]:
    """Answer somebody who asks to come in, without telling anybody else."""
    assert fact.room is not None
    if fact.what == "admitted":  # they are told once they are in
        yield LetIn(room=fact.room, subject=fact.subject)
        return
    if fact.what == "refused":
        yield Kick(room=fact.room, subject=fact.subject)
    words = line(f"door.{fact.what}", room=RoomName(fact.room), until=Moment(fact.until))
    yield Tell(room=fact.room, subject=fact.subject, lines=(words,), alone=True)


@_follow.register
def _(fact: AccountsLinked, rooms_of: RoomsOf) -> Iterator[Action]:
    """Tell both accounts, and align their rooms: what holds for one holds for the other."""
    for user, other in ((fact.subject, fact.target), (fact.target, fact.subject)):
        yield from _everywhere(user, rooms_of, line("notice.linked", who=Who(other)), line("notice.linked-means"))


@_follow.register
def _(fact: AccountUnlinked, rooms_of: RoomsOf) -> Iterator[Action]:
    for user, other in ((fact.subject, fact.target), (fact.target, fact.subject)):
        yield from _everywhere(user, rooms_of, line("notice.unlinked", who=Who(other)), line("notice.unlinked-means"))


def _everywhere(user: UserId, rooms_of: RoomsOf, *words: Line) -> Iterator[Action]:
    """Tell somebody alone: links between accounts are nobody else's business."""
    if not user:
        return
    rooms = rooms_of(user)
    for room in rooms:
        yield Align(room=room)
        yield KeepDesk(room=room)
    yield Tell(room=next(iter(rooms), NO_ROOM), subject=user, lines=words, alone=True)


@_follow.register
def _(fact: DossierStep, _rooms_of: RoomsOf) -> Iterator[Action]:
    """Tell all operators of each approval, so that one in somebody else's name is noticed."""
    if fact.step == "approved" and fact.how != "user":
        said = line(f"dossier.approved-above.{fact.how}", n=fact.start, who=Who(UserId(fact.reader)))
        yield TellAbove(room=NO_ROOM, lines=(said,))


@_follow.register
def _(fact: ApproverChanged, _rooms_of: RoomsOf) -> Iterator[Action]:
    said = line(f"approver.{fact.step}", name=fact.name, who=Who(fact.subject), by=fact.reader)
    yield TellAbove(room=NO_ROOM, lines=(said,))


@_follow.register
def _(fact: RoleChanged, _rooms_of: RoomsOf) -> Iterator[Action]:
    if fact.room is not None:
        yield KeepDesk(room=fact.room)


def _rooms(fact: SanctionStarted | SanctionEnded, rooms_of: RoomsOf) -> Sequence[RoomId]:
    if fact.room is None:
        return rooms_of(fact.subject)
    if fact.reach:
        return tuple(dict.fromkeys((fact.room, *rooms_of(fact.subject, fact.reach))))
    return (fact.room,)


def _desk_line(fact: SanctionStarted) -> Line:
    if fact.basis == "verification":
        return line("desk.demoted-unverified", who=Who(fact.subject), n=fact.n)
    key = "desk.demoted-standing" if fact.basis == "standing" else "desk.demoted"
    return line(key, who=Who(fact.subject), credit=fact.credit, until=Moment(fact.until))


# Notices to the person concerned.


def _subjects(facts: Sequence[Fact]) -> list[UserId]:
    seen: dict[UserId, None] = {}
    for fact in facts:
        subject = getattr(fact, "subject", UserId(""))
        if subject:
            seen[subject] = None
    return list(seen)


def _outcomes(facts: Sequence[Fact], reporters: Reporters) -> dict[UserId, list[CaseDecided]]:
    """Map reporters to the outcomes they are told: never the decider's own, nor those about themselves."""
    found: dict[UserId, list[CaseDecided]] = {}
    for fact in facts:
        if isinstance(fact, CaseDecided):
            for user in reporters.get(fact.n, ()):
                if user not in (fact.by, fact.subject):
                    found.setdefault(user, []).append(fact)
    return found


def _outcome(fact: CaseDecided) -> Line:
    """Return the outcome of a report; the exact measures are between the managers and the person concerned."""
    assert fact.room is not None
    key: str = fact.what if fact.state == "decided" else fact.state
    if fact.state == "reversed" and fact.what == "upheld":
        key = "upheld-after-all"
    return line(f"report.outcome.{key}", room=RoomName(fact.room), n=fact.n)


def _tell(
    subject: UserId, facts: Sequence[Fact], rooms_of: RoomsOf, outcomes: Sequence[CaseDecided] = ()
) -> Iterator[Action]:
    own = [fact for fact in facts if getattr(fact, "subject", "") == subject]
    lines = _each_once(tuple(_say(fact)) for fact in own)
    reported = tuple(_outcome(fact) for fact in outcomes)
    if not lines:
        if outcomes:
            first = outcomes[0]
            assert first.room is not None
            yield Tell(room=first.room, subject=subject, lines=reported, n=first.n, alone=True)
        return
    number = next((n for fact in own if isinstance(fact, _ABOUT_THEM) and (n := getattr(fact, "n", 0))), 0)
    room = next((fact.room for fact in own if fact.room is not None), None)
    if room is None:
        room = next(iter(rooms_of(subject)), None)
    if room is None:
        return
    foot = (line("notice.foot" if any(map(_can_be_appealed, own)) else "notice.details", n=number),) if number else ()
    asks = next((fact.n for fact in own if isinstance(fact, CaseAssigned) and _told_of(fact)), 0)
    yield Tell(room=room, subject=subject, lines=(*reported, *lines, *foot), n=number, asks=asks)


def _told_of(fact: CaseAssigned) -> bool:
    """Return whether somebody responsible for a case is told so alone."""
    return fact.asked != "managers" or fact.how == "word"


def _can_be_appealed(fact: Fact) -> bool:
    """Return whether a fact is a decision against its subject, and not only a step until there is one."""
    match fact:
        case CaseOpened():
            return fact.state == "decided"
        case CaseDecided():
            return fact.what == "upheld"
        case CreditChanged():
            return fact.entry != "compensation"
        case SanctionStarted():
            return fact.basis != "interim" and fact.rule != TIER_LINKS
        case _:
            return False


# Facts about a case that concerns their subject.
_ABOUT_THEM = (CaseOpened, CaseDecided, Appealed, CreditChanged, SanctionStarted, SanctionEnded)


def _each_once(said: Iterable[tuple[Line, ...]]) -> tuple[Line, ...]:
    """Say each thing once: ten messages removed for one cause are not ten sentences."""
    kept: list[tuple[Line, ...]] = []
    for lines in said:
        if lines not in kept:
            kept.append(lines)
    return tuple(each for lines in kept for each in lines)


@singledispatch
def _say(_fact: Fact) -> Iterator[Line]:
    """Yield the lines that tell a person of one fact."""
    yield from ()


@_say.register
def _(fact: CaseOpened) -> Iterator[Line]:
    assert fact.room is not None
    if fact.rule in OWN_RULES:
        if fact.state == "decided" and fact.rule != BY_ORDER:
            yield line(f"notice.own.{fact.rule}", room=RoomName(fact.room), n=fact.n, about=fact.about)
            if fact.reason:
                yield line("notice.reason", reason=fact.reason)
    elif fact.decide == "auto":
        yield line("notice.violation", room=RoomName(fact.room), rule=RuleText(fact.rule), n=fact.n, words=fact.excerpt)


@_say.register
def _(fact: CaseDecided) -> Iterator[Line]:
    assert fact.room is not None
    key = "notice.affirmed" if fact.state == "affirmed" else f"notice.{fact.what}"
    if fact.waits:
        yield line(f"notice.waited.{fact.what}", room=RoomName(fact.room), n=fact.n, by=Who(fact.by))
    else:
        yield line(key, room=RoomName(fact.room), n=fact.n, by=Who(fact.by))
    if fact.reason:
        yield line("notice.reason", reason=fact.reason)


@_say.register
def _(fact: Appealed) -> Iterator[Line]:
    if not fact.report:
        yield line("notice.appealed", n=fact.n, due=Moment(fact.due))


@_say.register
def _(fact: CreditChanged) -> Iterator[Line]:
    yield entry_line(fact.ledger, fact.entry, fact.cost, fact.left)


@_say.register
def _(fact: EntryConfirmed) -> Iterator[Line]:
    yield line("notice.confirmed", n=fact.n)


@_say.register
def _(fact: BalanceCorrected) -> Iterator[Line]:
    yield line(f"notice.corrected.{fact.ledger}")


@_say.register
def _(fact: CaseAssigned) -> Iterator[Line]:
    """Tell those who are asked, except managers in the desk, who see the card."""
    assert fact.room is not None
    if _told_of(fact):
        yield line(f"notice.asked.{fact.asked}", room=RoomName(fact.room), n=fact.n, due=Moment(fact.due))


@_say.register
def _(fact: SanctionStarted) -> Iterator[Line]:
    if fact.subject == fact.by:  # people know what they do to themselves
        return
    if fact.rule in PAUSES_REPORTS:  # the case says why
        if fact.until:
            yield line("notice.reports-paused", until=Moment(fact.until))
        return
    if fact.rule in (UNVERIFIED, UNVERIFIED_MANAGER):  # the case, or the notice before, says what and why
        return
    if fact.rule in (BARRED, CAP_MEMBERS, CAP_JOINED):  # the case says what and why
        if fact.until:
            yield line("notice.until", until=Moment(fact.until))
        return
    if fact.kind == "redact" and fact.rule in HELD_BACK:
        room, every = RoomName(fact.room or ""), Span(fact.every)
        if fact.rule == TIER_LINKS and fact.n:
            if not fact.quiet:
                yield line("notice.waits", room=room, n=fact.n)
        elif not fact.quiet and fact.messages > 1:
            yield line(f"notice.held-several.{fact.rule}", room=room, every=every, count=fact.messages)
        elif not fact.quiet:
            yield line(f"notice.held.{fact.rule}", room=room, every=every)
    elif fact.basis == "interim":
        yield line(f"notice.interim.{fact.kind}", room=RoomName(fact.room or ""), rule=RuleText(fact.rule))
    elif fact.reach:
        yield from _there(fact)
    elif fact.basis == "standing":
        yield line("notice.measure-standing", credit=fact.credit)
    elif fact.basis == "command":
        yield line(
            f"notice.command.{fact.kind}", room=RoomName(fact.room or ""), by=Who(fact.by), every=Span(fact.every)
        )
    else:
        yield line(f"notice.measure.{fact.kind}", credit=fact.credit)
    if fact.until:
        yield line("notice.until", until=Moment(fact.until))
    if fact.reason and fact.basis != "operator":  # the operator's case says why
        yield line("notice.reason", reason=fact.reason)


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


@_say.register
def _(fact: SanctionExtended) -> Iterator[Line]:
    if fact.kind in OF_ROOMS:
        yield from measure_consequences.say_longer(fact)
        return
    yield line(f"notice.extended.{fact.kind}", until=Moment(fact.until))


@_say.register
def _(fact: SanctionEnded) -> Iterator[Line]:
    if fact.kind in OF_ROOMS:
        yield from measure_consequences.say_over(fact)
        return
    by_operator = fact.why == "command" and fact.room is None
    yield line(
        f"notice.ended.{fact.kind}", why=Phrase("why-ended.operator" if by_operator else f"why-ended.{fact.why}")
    )
    if fact.reason:
        yield line("notice.reason", reason=fact.reason)


@_say.register
def _(fact: DossierStep) -> Iterator[Line]:
    if fact.step != "exported" or fact.bar:
        return
    file = json.loads(fact.covers or "{}")
    numbers, approved = file.get("cases") or [0], file.get("approved") or [0]
    yield line("dossier.told", cases=", ".join(map(str, numbers)), when=Moment(file.get("at", 0)))
    yield line("dossier.told-approved", first=Moment(approved[0]), second=Moment(approved[-1]))
    yield line("dossier.told-object", n=max(numbers))


@_say.register
def _(fact: PersonVerified) -> Iterator[Line]:
    if fact.step == "verified" and fact.by:  # people who proved it themselves are told in that dialogue
        yield line("notice.verified", by=Who(fact.by), until=Moment(fact.until))
    if fact.why == "key":
        yield line("notice.key-changed")
        yield line("notice.key-changed-verify")
    if fact.step == "revoked" and fact.undoes >= 0 and fact.method == "vouch":
        yield line("notice.unvouched", by=Who(fact.by))
    if fact.step == "revoked" and fact.undoes >= 0 and fact.method == "roster":
        yield line("notice.off-roster")


@_say.register
def _(fact: VerificationAsked) -> Iterator[Line]:
    key = f"pointer.{fact.what}"
    if fact.what == "reminded" and not fact.until:
        key = "pointer.reminded-only"
    yield line(key, room=RoomName(fact.room or ""), until=Moment(fact.until))
    yield line("pointer.next")


@_say.register
def _(fact: RosterChanged) -> Iterator[Line]:
    if fact.subject == fact.by:  # people know what they do to themselves
        return
    if fact.hours:
        yield line("notice.roster", room=RoomName(fact.room or ""), hours=fact.hours, by=Who(fact.by))
    else:
        yield line("notice.roster-off", room=RoomName(fact.room or ""), by=Who(fact.by))
