"""Actions and notifications derived from facts: the same facts always give the same.

The facts of one cause are looked at together, so that a person is told once, in one message, everything that one
violation brought. This also makes a crash harmless: facts read back from the journal give the same actions.

Rules kept here:
- Every effect on a person is told to that person, with reason, duration and what they can do at that moment.
- A person gets one message for one cause. Further messages of an incident are removed without another one.
- The room is not told of it.
- Managers are told of cases by their cards.
- The room itself is told when a measure against it begins and ends; a measure that only makes place for another is not
  announced twice.

Left to others: the words (`bot/texts/notifications.py`), the sending (`bot/outbox/dispatcher.py`,
`bot/effects/send_notice.py`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import singledispatch

from .cases.appeals import is_open_to_appeal, only_decider_hears
from .cases.statements import StatementContext
from .model.actions import (
    NO_ROOM,
    Action,
    Align,
    AlignPolicy,
    AlignServers,
    EditBurst,
    EditCard,
    InviteBack,
    KeepDesk,
    KeepLobby,
    Kick,
    Leave,
    LetIn,
    Offer,
    PostBurst,
    PostCard,
    PublishEntry,
    Quote,
    Redact,
    Sweep,
)
from .model.builtin_rules import (
    BARRED,
    BY_ORDER,
    CAP_JOINED,
    CAP_MEMBERS,
    IN_WAVE,
    JOIN_WAVE,
    LISTED,
    OWN_RULES,
    PAUSES_REPORTS,
    TIER_LINKS,
    UNVERIFIED,
    UNVERIFIED_MANAGER,
    has_card,
)
from .model.context import CaseView
from .model.facts import (
    LASTING,
    OF_ROOMS,
    REMOVING,
    REOPENED,
    AccountsLinked,
    AccountUnlinked,
    ActionTaken,
    Appealed,
    ApproverChanged,
    BalanceCorrected,
    CaseAssigned,
    CaseClaimed,
    CaseCommented,
    CaseDecided,
    CaseExtended,
    CaseGrew,
    CaseMoved,
    CaseNoted,
    CaseOpened,
    CreditChanged,
    DataAsked,
    DeskChosen,
    DoorAnswered,
    DossierStep,
    EntryConfirmed,
    Fact,
    ListPublished,
    PersonVerified,
    PolicyServerSet,
    RoleChanged,
    RoomRuleChanged,
    RoomSettingChanged,
    RosterChanged,
    SanctionEnded,
    SanctionExtended,
    SanctionKind,
    SanctionStarted,
    Swept,
    TaskOpened,
    VerificationAsked,
    WaveNoticed,
)
from .model.notifications import (
    Hearer,
    Notification,
    NotifyAbove,
    NotifyDesk,
    NotifyPerson,
    NotifyRoom,
    Remedy,
    rung_once,
)
from .rooms.slow_mode import HELD_BACK
from .values.ids import NO_USER, CaseNumber, RoomId, UserId

# The reactions on a card. Each way to dismiss has the reason most often meant by it.
UPHOLD, DISMISS, SETTLED, HANDLED, MORE, CLAIM, LATER, TOGETHER = "✅", "❌", "🤝", "♻", "🔎", "✋", "⏳", "👥"
DISMISSALS = {DISMISS: "no-rule", SETTLED: "settled", HANDLED: "handled"}
OFFERED = (UPHOLD, DISMISS, MORE, CLAIM)  # those that the bot puts under it, in this order
UNDERSTOOD = (*OFFERED, LATER, TOGETHER, SETTLED, HANDLED)
NUMBERS = tuple(f"{number}\u20e3" for number in range(1, 10))  # those that choose a reason, under a question
# Returns the active groups a person is in; with a reach, also those of that community.
RoomsOf = Callable[..., Sequence[RoomId]]
Consequence = Action | Notification
WRITTEN: frozenset[SanctionKind] = frozenset(
    {"suspend", "close", "gate", "lockdown"}
)  # measures written into the room's own settings
Reporters = Mapping[int, Sequence[UserId]]  # case -> the people who had reported its subject


@dataclass(frozen=True, slots=True)
class Known:
    """The context of what people are told: the cases that the facts name, as they are now, and the time."""

    cases: Mapping[int, StatementContext] = field(default_factory=dict)
    now_ms: int = 0


def offered(case: CaseView, *, more: bool) -> tuple[str, ...]:
    """Return the reactions that the bot puts under the card of a case; with `more` those that an appeal adds.

    What a rule decided can only be taken back, until it is appealed. The time at which they are put there makes no
    difference.
    """
    by_rule = case.decide == "auto" and has_card(case.rule)
    if more:
        return (UPHOLD, CLAIM) if by_rule else ()
    return (DISMISS, MORE) if by_rule and not case.appealed else OFFERED


def consequences(
    facts: Sequence[Fact], rooms_of: RoomsOf, reporters: Reporters | None = None, known: Known | None = None
) -> tuple[Consequence, ...]:
    """Return what follows from the facts of one cause, in the order in which it is to be queued."""
    known = known or Known()
    actions = rung_once([action for fact in facts for action in (*_follow(fact, rooms_of), *_back(fact, known))])
    outcomes = _outcomes(facts, reporters or {})
    subjects = (getattr(fact, "subject", NO_USER) for fact in facts)
    people = dict.fromkeys((*filter(None, subjects), *outcomes))
    later = [word for fact in facts if isinstance(fact, CaseExtended) for word in _put_off(fact, reporters or {})]
    told = [action for user in people for action in _tell(user, facts, rooms_of, outcomes.get(user, ()), known)]
    return (*actions, *later, *told)


def at_once(facts: Sequence[Fact]) -> tuple[Action, ...]:
    """Return the consequences that can begin early, in the same order: they follow from the facts alone."""
    follow = (action for fact in facts for action in _follow(fact, _in_none))
    return tuple(action for action in follow if isinstance(action, Action) and action.early)


def _in_none(_user: UserId, _reach: str = "") -> Sequence[RoomId]:
    return ()


@singledispatch
def _follow(_fact: Fact, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    """Yield what follows from one fact alone."""
    yield from ()


@_follow.register
def _(fact: CaseOpened, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.lead:  # shown on the card of that case
        yield EditCard(room=fact.home, n=CaseNumber(fact.lead))
    elif fact.burst:
        shown = PostBurst if fact.burst == fact.n else EditBurst
        yield shown(room=fact.home, n=CaseNumber(fact.burst))
    elif has_card(fact.rule):
        yield PostCard(room=fact.home, n=CaseNumber(fact.n))


@_follow.register
def _(fact: CaseMoved, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.step == "closed":  # half a year later nobody has to be told
        return
    if fact.step == "parted":
        yield PostCard(room=fact.home, n=CaseNumber(fact.n))
        return
    yield EditCard(room=fact.home, n=CaseNumber(fact.n))
    if fact.step in ("acknowledged", "stopped", "closed") or fact.state in ("decided", "affirmed"):
        return
    yield NotifyDesk(room=fact.home, n=fact.n, facts=(fact,), ring=True)


@_follow.register
def _(fact: CaseClaimed | CaseExtended, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield EditCard(room=fact.home, n=CaseNumber(fact.n))


@_follow.register
def _(fact: CaseNoted, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield NotifyDesk(room=fact.home, n=fact.n, facts=(fact,))


@_follow.register
def _(fact: CaseCommented, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield EditCard(room=fact.home, n=CaseNumber(fact.n))
    yield NotifyDesk(room=fact.home, n=fact.n, facts=(fact,))


@_follow.register
def _(fact: TaskOpened, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.room is None or fact.task in ("case", "confirm"):  # the first is told by name, the second only listed
        return
    first = fact.task == "last-manager"
    yield NotifyAbove(room=fact.room, n=fact.n, facts=(fact,), owners=first, first=first)


@_follow.register
def _(fact: CaseGrew, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield EditCard(room=fact.home, n=CaseNumber(fact.n))


@_follow.register
def _(fact: Appealed, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield EditCard(room=fact.home, n=CaseNumber(fact.n))
    yield Offer(room=fact.home, n=CaseNumber(fact.n), more=True)
    if fact.report:  # nobody in the desk sees who reported, and only the reporter is told
        yield NotifyPerson(room=fact.home, subject=fact.subject, n=fact.n, facts=(fact,), alone=True)
    yield NotifyDesk(room=fact.home, n=fact.n, facts=(fact,), ring=True)


@_follow.register
def _(fact: DataAsked, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.what == "leave-confirmed":
        yield Leave(room=fact.home, subject=fact.subject)


@_follow.register
def _(fact: CaseDecided, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield EditCard(room=fact.home, n=CaseNumber(fact.n))
    if fact.waits and fact.what == "dismissed":
        yield Quote(room=fact.home, n=CaseNumber(fact.n))


def _back(fact: Fact, known: Known) -> Iterator[InviteBack]:
    """Invite a person back where a case is reversed; if nobody was removed there, nobody is invited."""
    if not isinstance(fact, CaseDecided) or fact.what != "dismissed" or not fact.subject:
        return
    about = known.cases.get(fact.n)
    for room in (fact.home, *(about.case.elsewhere if about else ())):
        yield InviteBack(room=room, subject=fact.subject, n=fact.n)


@_follow.register
def _(fact: ActionTaken, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.action == PostCard.NAME and fact.result == "done" and fact.room is not None:
        yield Offer(room=fact.room, n=CaseNumber(fact.n))


@_follow.register
def _(fact: SanctionStarted, rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.kind == "redact":
        # The rule is shown to all in the room; that somebody is not verified is told to them alone.
        rule = "-" if fact.rule == UNVERIFIED else fact.rule
        yield Redact(room=fact.home, event=fact.event, subject=fact.subject, rule=rule)
    elif fact.kind == "kick":
        silent = fact.rule == IN_WAVE
        yield Kick(room=fact.home, subject=fact.subject, n=fact.n, rule=fact.rule, by=fact.by, silent=silent)
    elif fact.kind in OF_ROOMS:
        yield from _measure_begun(fact)
    elif fact.kind in LASTING:
        for room in _rooms(fact, rooms_of):
            yield Align(room=room)
    if fact.kind in REMOVING and fact.rule == TIER_LINKS and fact.n:
        yield Quote(room=fact.home, n=CaseNumber(fact.n), event=fact.event)
    if fact.kind == "demote":
        for room in _rooms(fact, rooms_of):
            yield NotifyDesk(room=room, n=fact.n, facts=(fact,))


@_follow.register
def _(fact: Swept, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield Sweep(
        room=fact.home,
        subject=fact.subject,
        n=fact.n,
        on=fact.on,
        oldest=fact.oldest,
        until=fact.until,
        rule=fact.rule,
    )


def _measure_begun(fact: SanctionStarted) -> Iterator[Consequence]:
    yield from _written(fact)
    yield NotifyRoom(room=fact.home, facts=(fact,))
    if fact.n and fact.rule != JOIN_WAVE:  # else somebody who runs the room ordered it, or the wave is told with it
        yield NotifyDesk(room=fact.home, n=fact.n, facts=(fact,))


def _written(fact: SanctionStarted | SanctionEnded) -> Iterator[Action]:
    """Yield what brings the room's own settings in line with a measure."""
    if fact.kind in WRITTEN:
        yield Align(room=fact.home)
    elif fact.kind == "server":
        yield AlignServers(room=fact.home)


@_follow.register
def _(fact: SanctionExtended, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.kind in REOPENED:
        yield NotifyDesk(room=fact.home, facts=(fact,))


@_follow.register
def _(fact: SanctionEnded, rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.kind in OF_ROOMS:
        yield from _measure_over(fact)
        return
    for room in _rooms(fact, rooms_of):
        yield Align(room=room)
        if fact.kind == "ban" and fact.why == "reversed" and (fact.room is None or fact.reach):
            yield InviteBack(room=room, subject=fact.subject, n=fact.n)
        if fact.kind == "demote":
            yield NotifyDesk(room=room, n=fact.n, facts=(fact,))


def _measure_over(fact: SanctionEnded) -> Iterator[Consequence]:
    yield from _written(fact)
    if fact.why != "overtaken":
        yield NotifyRoom(room=fact.home, facts=(fact,))
        if fact.n:
            yield NotifyDesk(room=fact.home, n=fact.n, facts=(fact,))


@_follow.register
def _(fact: WaveNoticed, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield NotifyDesk(room=fact.home, n=fact.n, facts=(fact,))
    yield NotifyAbove(room=fact.home, n=fact.n, facts=(fact,), owners=True)


@_follow.register
def _(fact: PolicyServerSet, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.step != "changed":
        yield AlignPolicy(room=fact.home)
    if fact.step in ("changed", "down", "back"):
        yield NotifyAbove(room=fact.home, facts=(fact,), owners=True)


@_follow.register
def _(fact: ListPublished, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    list_room = RoomId(fact.list_room)
    yield PublishEntry(room=fact.home, list=fact.list, list_room=list_room, key=fact.key, n=fact.n)


@_follow.register
def _(fact: RoomRuleChanged, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if not fact.trial:
        yield NotifyRoom(room=fact.home, facts=(fact,))


@_follow.register
def _(fact: RoomSettingChanged, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.setting != "verify":
        return
    yield Align(room=fact.home)  # changes who may come in
    yield KeepLobby(room=fact.home)
    if fact.value != "-":
        yield NotifyRoom(room=fact.home, facts=(fact,))


@_follow.register
def _(fact: DoorAnswered, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    """Answer somebody who asks to come in, without telling anybody else."""
    if fact.what == "admitted":  # they are told once they are in
        yield LetIn(room=fact.home, subject=fact.subject)
        return
    if fact.what == "refused":
        yield Kick(room=fact.home, subject=fact.subject)
    yield NotifyPerson(room=fact.home, subject=fact.subject, facts=(fact,), alone=True)


@_follow.register
def _(fact: AccountsLinked | AccountUnlinked, rooms_of: RoomsOf) -> Iterator[Consequence]:
    """Align the rooms of both accounts, for which the same holds or no longer does, and tell each alone."""
    for user in (fact.subject, fact.target):
        if user:
            rooms = rooms_of(user)
            for room in rooms:
                yield Align(room=room)
                yield KeepDesk(room=room)
            yield NotifyPerson(room=next(iter(rooms), NO_ROOM), subject=user, facts=(fact,), alone=True)


@_follow.register
def _(fact: DossierStep, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    """Tell all operators of each approval, so that one in somebody else's name is noticed."""
    if fact.step == "approved" and fact.how != "user":
        yield NotifyAbove(room=NO_ROOM, facts=(fact,))


@_follow.register
def _(fact: ApproverChanged, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield NotifyAbove(room=NO_ROOM, facts=(fact,))


@_follow.register
def _(fact: DeskChosen, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield KeepDesk(room=fact.home)
    if fact.desk not in ("-", "own"):
        yield NotifyDesk(room=fact.home, facts=(fact,))


@_follow.register
def _(fact: RoleChanged, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.room is not None:
        yield KeepDesk(room=fact.room)


def _rooms(fact: SanctionStarted | SanctionEnded, rooms_of: RoomsOf) -> Sequence[RoomId]:
    if fact.room is None:
        return rooms_of(fact.subject)
    if fact.reach:
        return tuple(dict.fromkeys((fact.room, *rooms_of(fact.subject, fact.reach))))
    return (fact.room,)


# Notifications of the people concerned.


def _outcomes(facts: Sequence[Fact], reporters: Reporters) -> dict[UserId, list[CaseDecided]]:
    """Map reporters to the outcomes they are told: never the decider's own, nor those about themselves."""
    found: dict[UserId, list[CaseDecided]] = {}
    for fact in facts:
        if isinstance(fact, CaseDecided):
            for user in reporters.get(fact.n, ()):
                if user not in (fact.by, fact.subject):
                    found.setdefault(user, []).append(fact)
    return found


def _put_off(fact: CaseExtended, reporters: Reporters) -> Iterator[NotifyPerson]:
    """Tell the reporters of a case, who were told its deadline, that it is put off."""
    for user in reporters.get(fact.n, ()):
        if user not in (fact.by, fact.subject):
            yield NotifyPerson(room=fact.home, subject=user, n=fact.n, facts=(fact,), alone=True)


def _tell(
    subject: UserId, facts: Sequence[Fact], rooms_of: RoomsOf, outcomes: Sequence[CaseDecided], known: Known
) -> Iterator[NotifyPerson]:
    own = [fact for fact in facts if getattr(fact, "subject", "") == subject]
    told = tuple(fact for fact in own if _is_told(fact) and not _is_more_of_the_same(fact, own))
    if not told:
        if outcomes:
            first = outcomes[0]
            assert first.room is not None
            reported = tuple(outcomes)
            yield NotifyPerson(room=first.room, subject=subject, n=first.n, facts=(), outcomes=reported, alone=True)
        return
    room = next((fact.room for fact in own if fact.room is not None), None) or next(iter(rooms_of(subject)), None)
    if room is not None:
        n = next((n for fact in own if isinstance(fact, ABOUT_THEM) and (n := getattr(fact, "n", 0))), 0)
        about = known.cases.get(n)
        yield NotifyPerson(
            room=room,
            subject=subject,
            n=n,
            facts=told,
            outcomes=tuple(outcomes),
            asks=next((fact.n for fact in told if isinstance(fact, CaseAssigned)), 0),
            case=about.case if about else None,
            sent=about.sent if about else 0,
            remedy=_remedy(own, about, known.now_ms) if about else "",
            hearer=_hearer(facts, about) if about else "other",
        )


def _remedy(own: Sequence[Fact], about: StatementContext, now_ms: int) -> Remedy:
    """Return what the person can do at this moment about what they are told."""
    case = about.case
    if not case.outcome:
        return "comment" if any(isinstance(fact, SanctionStarted) for fact in own) and case.rule != TIER_LINKS else ""
    if any(map(_is_against_them, own)) and is_open_to_appeal(case, about.policy, now_ms):
        return "again" if case.state == "affirmed" else "appeal"
    return ""


def _hearer(facts: Sequence[Fact], about: StatementContext) -> Hearer:
    """Return who hears an appeal: of one that is lodged the people who are asked, else who would be."""
    case = about.case
    if case.state != "appealed":
        return "decider" if only_decider_hears(case, about.policy) else "other"
    asked = [fact.subject for fact in facts if isinstance(fact, CaseAssigned) and fact.n == case.n]
    if not asked:
        return "terminal"
    return "decider" if all(map(case.was_decided_by, asked)) else "other"


def _is_more_of_the_same(fact: Fact, own: Sequence[Fact]) -> bool:
    """Return whether a fact removes one more message, or them again, in an incident of which they were told."""
    grown = {each.n for each in own if isinstance(each, CaseGrew)}
    return isinstance(fact, SanctionStarted) and fact.kind in (*REMOVING, "kick") and fact.n in grown


def _is_against_them(fact: Fact) -> bool:
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
        case Swept():
            return True
        case ListPublished():
            return fact.step == "published"
        case _:
            return False


# Facts about a case that concerns their subject.
ABOUT_THEM = (
    CaseOpened,
    CaseDecided,
    CaseExtended,
    Appealed,
    CreditChanged,
    SanctionStarted,
    SanctionEnded,
    Swept,
    ListPublished,
)


def _is_told(fact: Fact) -> bool:
    """Return whether the person whom a fact is about is told of it."""
    match fact:
        case CaseOpened() if fact.rule in OWN_RULES:
            return fact.state == "decided" and fact.rule != BY_ORDER
        case CaseOpened():
            return fact.decide == "auto"
        case Appealed():
            return not fact.report
        case CaseExtended():
            return bool(fact.informed)
        case CaseAssigned():  # managers in the desk see the card
            return fact.asked != "managers" or fact.how == "word"
        case SanctionStarted():
            return _is_felt(fact)
        case Swept():
            return fact.subject != fact.by
        case SanctionEnded() if fact.kind in OF_ROOMS:
            return fact.why != "overtaken" and fact.by != fact.subject
        case DossierStep():
            return fact.step == "exported" and not fact.bar
        case PersonVerified():
            return _is_news(fact)
        case RosterChanged():
            return fact.subject != fact.by  # people know what they do to themselves
    return isinstance(fact, _ALWAYS_TOLD)


_ALWAYS_TOLD = (
    CaseDecided,
    CreditChanged,
    EntryConfirmed,
    BalanceCorrected,
    ListPublished,
    SanctionExtended,
    SanctionEnded,
    VerificationAsked,
)


def _is_felt(fact: SanctionStarted) -> bool:
    if fact.subject == fact.by:  # people know what they do to themselves
        return False
    if fact.rule in (*PAUSES_REPORTS, BARRED, CAP_MEMBERS, CAP_JOINED, IN_WAVE, LISTED):  # the case says what and why
        return bool(fact.until)
    if fact.rule in (UNVERIFIED, UNVERIFIED_MANAGER):  # the case, or the notice before, says what and why
        return False
    return not (fact.kind in REMOVING and fact.rule in HELD_BACK and fact.quiet)


def _is_news(fact: PersonVerified) -> bool:
    if fact.step == "verified" and fact.by:  # people who proved it themselves are told in that dialogue
        return True
    taken_back = fact.step == "revoked" and fact.undoes >= 0 and fact.method in ("vouch", "roster")
    return taken_back or fact.why == "key"
