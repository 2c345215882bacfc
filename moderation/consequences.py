"""What must be said and done because of facts: facts in, actions out, always the same.

The facts that one cause gave rise to are looked at together, so that a person is told once, in one message, of all that
one violation brought. This is also what makes a crash harmless: facts read back from the journal give the same actions.

Rules this module keeps: every effect on a person is told to that person, with reason, duration and what they can do; a
room hears nothing of it; managers hear of cases by their cards.
Left to others: the words (`bot/messages`), the sending (`bot/act.py`, `bot/notify.py`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import singledispatch

from .actions import Action, Align, EditCard, KeepDesk, Kick, Offer, PostCard, Redact, Tell, TellDesk
from .facts import (
    LASTING,
    ActionTaken,
    Appealed,
    CaseDecided,
    CaseGrew,
    CaseOpened,
    CreditChanged,
    Fact,
    PersonVerified,
    RoleChanged,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
)
from .ids import CaseNumber, RoomId, UserId
from .notices import Line, Moment, Phrase, RoomName, RuleText, Who, line

UPHOLD, DISMISS, MORE = "✅", "❌", "🔎"  # the reactions offered under a card
OFFERED = (UPHOLD, DISMISS, MORE)

RoomsOf = Callable[[UserId], Sequence[RoomId]]  # the active groups a person is in


def consequences(facts: Sequence[Fact], rooms_of: RoomsOf) -> tuple[Action, ...]:
    """The actions that follow from the facts of one cause, in the order they are to be queued."""
    actions = [action for fact in facts for action in _follow(fact, rooms_of)]
    told = [action for subject in _subjects(facts) for action in _tell(subject, facts, rooms_of)]
    return (*actions, *told)


@singledispatch
def _follow(_fact: Fact, _rooms_of: RoomsOf) -> Iterator[Action]:
    """The actions that follow from one fact alone."""
    yield from ()


@_follow.register
def _(fact: CaseOpened, _rooms_of: RoomsOf) -> Iterator[Action]:
    assert fact.room is not None
    yield PostCard(room=fact.room, n=CaseNumber(fact.n))


@_follow.register
def _(fact: CaseGrew, _rooms_of: RoomsOf) -> Iterator[Action]:
    assert fact.room is not None
    yield EditCard(room=fact.room, n=CaseNumber(fact.n))


@_follow.register
def _(fact: Appealed, _rooms_of: RoomsOf) -> Iterator[Action]:
    assert fact.room is not None
    yield EditCard(room=fact.room, n=CaseNumber(fact.n))
    words = line("desk.appealed", who=Who(fact.subject), n=fact.n, words=fact.words, due=Moment(fact.due))
    yield TellDesk(room=fact.room, n=fact.n, lines=(words,))


@_follow.register
def _(fact: CaseDecided, _rooms_of: RoomsOf) -> Iterator[Action]:
    assert fact.room is not None
    yield EditCard(room=fact.room, n=CaseNumber(fact.n))


@_follow.register
def _(fact: ActionTaken, _rooms_of: RoomsOf) -> Iterator[Action]:
    if fact.action == PostCard.NAME and fact.result == "done" and fact.room is not None:
        for key in OFFERED:
            yield Offer(room=fact.room, n=CaseNumber(fact.n), key=key)


@_follow.register
def _(fact: SanctionStarted, rooms_of: RoomsOf) -> Iterator[Action]:
    if fact.kind == "redact":
        assert fact.room is not None
        yield Redact(room=fact.room, event=fact.event, subject=fact.subject, rule=fact.rule)
    elif fact.kind == "kick":
        assert fact.room is not None
        yield Kick(room=fact.room, subject=fact.subject, reason=fact.reason)
    elif fact.kind in LASTING:
        for room in _rooms(fact, rooms_of):
            yield Align(room=room)
    if fact.kind == "demote":
        for room in _rooms(fact, rooms_of):
            yield TellDesk(room=room, n=fact.n, lines=(_desk_line(fact),))


@_follow.register
def _(fact: SanctionEnded, rooms_of: RoomsOf) -> Iterator[Action]:
    for room in _rooms(fact, rooms_of):
        yield Align(room=room)
        if fact.kind == "demote":
            yield TellDesk(room=room, n=fact.n, lines=(line("desk.restored", who=Who(fact.subject)),))


@_follow.register
def _(fact: RoleChanged, _rooms_of: RoomsOf) -> Iterator[Action]:
    if fact.room is not None:
        yield KeepDesk(room=fact.room)


def _rooms(fact: Fact, rooms_of: RoomsOf) -> Sequence[RoomId]:
    if fact.room is not None:
        return (fact.room,)
    return rooms_of(fact.subject)  # type: ignore[attr-defined]


def _desk_line(fact: SanctionStarted) -> Line:
    return line("desk.demoted", who=Who(fact.subject), credit=fact.credit, until=Moment(fact.until))


# What the person concerned is told.


def _subjects(facts: Sequence[Fact]) -> list[UserId]:
    seen: dict[UserId, None] = {}
    for fact in facts:
        subject = getattr(fact, "subject", UserId(""))
        if subject:
            seen[subject] = None
    return list(seen)


def _tell(subject: UserId, facts: Sequence[Fact], rooms_of: RoomsOf) -> Iterator[Action]:
    own = [fact for fact in facts if getattr(fact, "subject", "") == subject]
    lines = _each_once(tuple(_say(fact)) for fact in own)
    if not lines:
        return
    number = next((n for fact in own if (n := getattr(fact, "n", 0))), 0)
    room = next((fact.room for fact in own if fact.room is not None), None)
    if room is None:
        room = next(iter(rooms_of(subject)), None)
    if room is None:
        return
    foot = (line("notice.foot", n=number),) if number else ()
    yield Tell(room=room, subject=subject, lines=(*lines, *foot), n=number)


def _each_once(said: Iterable[tuple[Line, ...]]) -> tuple[Line, ...]:
    """Ten messages removed for one cause are not ten sentences."""
    kept: list[tuple[Line, ...]] = []
    for lines in said:
        if lines not in kept:
            kept.append(lines)
    return tuple(each for lines in kept for each in lines)


@singledispatch
def _say(_fact: Fact) -> Iterator[Line]:
    """The lines in which a person is told of one fact."""
    yield from ()


@_say.register
def _(fact: CaseOpened) -> Iterator[Line]:
    assert fact.room is not None
    if fact.decide == "auto":
        yield line("notice.violation", room=RoomName(fact.room), rule=RuleText(fact.rule), n=fact.n, words=fact.excerpt)


@_say.register
def _(fact: CaseDecided) -> Iterator[Line]:
    assert fact.room is not None
    key = "notice.affirmed" if fact.state == "affirmed" else f"notice.{fact.what}"
    yield line(key, room=RoomName(fact.room), n=fact.n, by=Who(fact.by))
    if fact.reason:
        yield line("notice.reason", reason=fact.reason)


@_say.register
def _(fact: Appealed) -> Iterator[Line]:
    yield line("notice.appealed", n=fact.n, due=Moment(fact.due))


@_say.register
def _(fact: CreditChanged) -> Iterator[Line]:
    yield line(f"notice.credit.{fact.entry}", cost=fact.cost, left=fact.left)


@_say.register
def _(fact: SanctionStarted) -> Iterator[Line]:
    if fact.subject == fact.by:  # what people do to themselves they know
        return
    if fact.kind == "redact" and fact.rule in ("tier_slow", "tier_links"):
        yield line(f"notice.held.{fact.rule}", room=RoomName(fact.room or ""))
    elif fact.basis == "interim":
        yield line(f"notice.interim.{fact.kind}", room=RoomName(fact.room or ""), rule=RuleText(fact.rule))
    elif fact.basis == "command":
        yield line(f"notice.command.{fact.kind}", room=RoomName(fact.room or ""), by=Who(fact.by))
    else:
        yield line(f"notice.measure.{fact.kind}", credit=fact.credit)
    if fact.until:
        yield line("notice.until", until=Moment(fact.until))
    if fact.reason:
        yield line("notice.reason", reason=fact.reason)


@_say.register
def _(fact: SanctionExtended) -> Iterator[Line]:
    yield line(f"notice.extended.{fact.kind}", until=Moment(fact.until))


@_say.register
def _(fact: SanctionEnded) -> Iterator[Line]:
    yield line(f"notice.ended.{fact.kind}", why=Phrase(f"why-ended.{fact.why}"))


@_say.register
def _(fact: PersonVerified) -> Iterator[Line]:
    if fact.step == "verified":
        yield line("notice.verified", by=Who(fact.by), until=Moment(fact.until))
