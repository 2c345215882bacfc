"""Notifications of the people whom facts concern, and of those who reported.

Rules kept here:
- Every effect on a person is told to that person, with reason, duration and what they can do at that moment.
- Of what another shard ordered, only those are told who are or were in a room of this one; that one told them, too.
- A person gets one message for one cause. Further messages of an incident are removed without another one.
"""

from collections.abc import Iterator, Sequence

from moderation.cases.appeals import is_open_to_appeal, only_decider_hears
from moderation.cases.statements import StatementContext
from moderation.model.builtin_rules import (
    BARRED,
    BY_ORDER,
    CAP_JOINED,
    CAP_MEMBERS,
    IN_WAVE,
    LISTED,
    OWN_RULES,
    PAUSES_REPORTS,
    TIER_LINKS,
    UNVERIFIED,
    UNVERIFIED_MANAGER,
)
from moderation.model.facts import (
    OF_ROOMS,
    REMOVING,
    Appealed,
    BalanceCorrected,
    CaseAssigned,
    CaseDecided,
    CaseExtended,
    CaseGrew,
    CaseOpened,
    CreditChanged,
    DossierStep,
    EntryConfirmed,
    Fact,
    Learnt,
    ListPublished,
    PersonVerified,
    RosterChanged,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
    Swept,
    VerificationAsked,
)
from moderation.model.notifications import Hearer, NotifyPerson, Remedy
from moderation.rooms.slow_mode import HELD_BACK
from moderation.values.ids import UserId

from .known import Known, Reporters, RoomsOf


def outcomes_told(facts: Sequence[Fact], reporters: Reporters) -> dict[UserId, list[CaseDecided]]:
    """Map reporters to the outcomes they are told: never the decider's own, nor those about themselves."""
    found: dict[UserId, list[CaseDecided]] = {}
    for fact in facts:
        if isinstance(fact, CaseDecided):
            for user in reporters.get(fact.n, ()):
                if user not in (fact.by, fact.subject):
                    found.setdefault(user, []).append(fact)
    return found


def put_off_told(fact: CaseExtended, reporters: Reporters) -> Iterator[NotifyPerson]:
    """Tell the reporters of a case, who were told its deadline, that it is put off."""
    for user in reporters.get(fact.n, ()):
        if user not in (fact.by, fact.subject):
            yield NotifyPerson(room=fact.home, subject=user, n=fact.n, facts=(fact,), alone=True)


def tell(
    subject: UserId, facts: Sequence[Fact], rooms_of: RoomsOf, outcomes: Sequence[CaseDecided], known: Known
) -> Iterator[NotifyPerson]:
    own = [fact for fact in facts if getattr(fact, "subject", "") == subject]
    told = tuple(fact for fact in own if _is_told(fact) and not _is_more_of_the_same(fact, own))
    if any(isinstance(fact, Learnt) for fact in own) and not rooms_of(subject):
        return
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
