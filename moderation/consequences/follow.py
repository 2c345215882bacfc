"""The consequences of one fact alone.

Rules kept here:
- Managers are told of cases by their cards.
- The room itself is told when a measure against it begins and ends; a measure that only makes place for another is not
  announced twice.

Left to others: telling the people concerned (`people.py`).
"""

from collections.abc import Iterator, Sequence
from functools import singledispatch

from moderation.model.actions.base import NO_ROOM, Action
from moderation.model.actions.cards import EditBurst, EditCard, Offer, PostBurst, PostCard, Quote
from moderation.model.actions.lists import MatchAgain, PublishEntry
from moderation.model.actions.people import EraseAlso
from moderation.model.actions.removal import InviteBack, Kick, Redact, Sweep
from moderation.model.actions.rooms import Align, AlignPolicy, AlignServers, KeepDesk, KeepLobby, Leave, LetIn
from moderation.model.builtin_rules import IN_WAVE, JOIN_WAVE, TIER_LINKS, UNVERIFIED, has_card
from moderation.model.facts import (
    LASTING,
    OF_ROOMS,
    REMOVING,
    REOPENED,
    AccountsLinked,
    AccountUnlinked,
    ActionTaken,
    Appealed,
    ApproverChanged,
    CaseClaimed,
    CaseCommented,
    CaseDecided,
    CaseExtended,
    CaseGrew,
    CaseMoved,
    CaseNoted,
    CaseOpened,
    DataAsked,
    DeskChosen,
    DoorAnswered,
    DossierStep,
    Fact,
    Learnt,
    ListPublished,
    PolicyServerSet,
    RoleChanged,
    RoomRuleChanged,
    RoomSettingChanged,
    SanctionEnded,
    SanctionExtended,
    SanctionKind,
    SanctionStarted,
    Swept,
    TaskOpened,
    WaveNoticed,
)
from moderation.model.notifications import NotifyAbove, NotifyDesk, NotifyPerson, NotifyRoom
from moderation.shards.applying import applied
from moderation.values.ids import CaseNumber, RoomId

from .known import Consequence, Known, RoomsOf

WRITTEN: frozenset[SanctionKind] = frozenset(
    {"suspend", "close", "gate", "lockdown"}
)  # measures written into the room's own settings


@singledispatch
def follow(_fact: Fact, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    """Yield what follows from one fact alone."""
    yield from ()


@follow.register
def _(fact: CaseOpened, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.lead:  # shown on the card of that case
        yield EditCard(room=fact.home, n=CaseNumber(fact.lead))
    elif fact.burst:
        shown = PostBurst if fact.burst == fact.n else EditBurst
        yield shown(room=fact.home, n=CaseNumber(fact.burst))
    elif has_card(fact.rule):
        yield PostCard(room=fact.home, n=CaseNumber(fact.n))


@follow.register
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


@follow.register
def _(fact: CaseClaimed | CaseExtended, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield EditCard(room=fact.home, n=CaseNumber(fact.n))


@follow.register
def _(fact: CaseNoted, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield NotifyDesk(room=fact.home, n=fact.n, facts=(fact,))


@follow.register
def _(fact: CaseCommented, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield EditCard(room=fact.home, n=CaseNumber(fact.n))
    yield NotifyDesk(room=fact.home, n=fact.n, facts=(fact,))


@follow.register
def _(fact: TaskOpened, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.room is None or fact.task in ("case", "confirm"):  # the first is told by name, the second only listed
        return
    first = fact.task == "last-manager"
    yield NotifyAbove(room=fact.room, n=fact.n, facts=(fact,), owners=first, first=first)


@follow.register
def _(fact: CaseGrew, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield EditCard(room=fact.home, n=CaseNumber(fact.n))


@follow.register
def _(fact: Appealed, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield EditCard(room=fact.home, n=CaseNumber(fact.n))
    yield Offer(room=fact.home, n=CaseNumber(fact.n), more=True)
    if fact.report:  # nobody in the desk sees who reported, and only the reporter is told
        yield NotifyPerson(room=fact.home, subject=fact.subject, n=fact.n, facts=(fact,), alone=True)
    yield NotifyDesk(room=fact.home, n=fact.n, facts=(fact,), ring=True)


@follow.register
def _(fact: DataAsked, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.what == "leave-confirmed":
        yield Leave(room=fact.home, subject=fact.subject)


@follow.register
def _(fact: CaseDecided, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield EditCard(room=fact.home, n=CaseNumber(fact.n))
    if fact.waits and fact.what == "dismissed":
        yield Quote(room=fact.home, n=CaseNumber(fact.n))


def invited_back(fact: Fact, known: Known) -> Iterator[InviteBack]:
    """Invite a person back where a case is reversed; if nobody was removed there, nobody is invited."""
    if not isinstance(fact, CaseDecided) or fact.what != "dismissed" or not fact.subject:
        return
    about = known.cases.get(fact.n)
    for room in (fact.home, *(about.case.elsewhere if about else ())):
        yield InviteBack(room=room, subject=fact.subject, n=fact.n)


@follow.register
def _(fact: ActionTaken, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.action == PostCard.NAME and fact.result == "done" and fact.room is not None:
        yield Offer(room=fact.room, n=CaseNumber(fact.n))


@follow.register
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


@follow.register
def _(fact: Swept, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield Sweep(
        room=fact.home, subject=fact.subject, n=fact.n, on=fact.on, oldest=fact.oldest, until=fact.until, rule=fact.rule
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


@follow.register
def _(fact: SanctionExtended, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.kind in REOPENED:
        yield NotifyDesk(room=fact.home, facts=(fact,))


@follow.register
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


@follow.register
def _(fact: WaveNoticed, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield NotifyDesk(room=fact.home, n=fact.n, facts=(fact,))
    yield NotifyAbove(room=fact.home, n=fact.n, facts=(fact,), owners=True)


@follow.register
def _(fact: PolicyServerSet, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.step != "changed":
        yield AlignPolicy(room=fact.home)
    if fact.step in ("changed", "down", "back"):
        yield NotifyAbove(room=fact.home, facts=(fact,), owners=True)


@follow.register
def _(fact: ListPublished, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    list_room = RoomId(fact.list_room)
    yield PublishEntry(room=fact.home, list=fact.list, list_room=list_room, key=fact.key, n=fact.n)


@follow.register
def _(fact: RoomRuleChanged, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if not fact.trial:
        yield NotifyRoom(room=fact.home, facts=(fact,))


@follow.register
def _(fact: RoomSettingChanged, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.setting != "verify":
        return
    yield Align(room=fact.home)  # changes who may come in
    yield KeepLobby(room=fact.home)
    if fact.value != "-":
        yield NotifyRoom(room=fact.home, facts=(fact,))


@follow.register
def _(fact: DoorAnswered, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    """Answer somebody who asks to come in, without telling anybody else."""
    if fact.what == "admitted":  # they are told once they are in
        yield LetIn(room=fact.home, subject=fact.subject)
        return
    if fact.what == "refused":
        yield Kick(room=fact.home, subject=fact.subject)
    yield NotifyPerson(room=fact.home, subject=fact.subject, facts=(fact,), alone=True)


@follow.register
def _(fact: AccountsLinked | AccountUnlinked, rooms_of: RoomsOf) -> Iterator[Consequence]:
    """Align the rooms of both accounts, for which the same holds or no longer does, and tell each alone."""
    for user in (fact.subject, fact.target):
        if user:
            rooms = rooms_of(user)
            for room in rooms:
                yield Align(room=room)
                yield KeepDesk(room=room)
            yield NotifyPerson(room=next(iter(rooms), NO_ROOM), subject=user, facts=(fact,), alone=True)


@follow.register
def _(fact: Learnt, rooms_of: RoomsOf) -> Iterator[Consequence]:
    """Bring the rooms in line as if it had been recorded here; the people concerned are told where it was."""
    if fact.what in ("erase", "erase-again"):
        yield EraseAlso(room=NO_ROOM, subject=fact.subject, again=fact.what == "erase-again")
    elif fact.what == "unspared":
        yield MatchAgain(room=NO_ROOM)
    elif (as_here := applied(fact)) is not None:
        yield from (each for each in follow(as_here, rooms_of) if isinstance(each, Action))


@follow.register
def _(fact: DossierStep, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    """Tell all operators of each approval, so that one in somebody else's name is noticed."""
    if fact.step == "approved" and fact.how != "user":
        yield NotifyAbove(room=NO_ROOM, facts=(fact,))


@follow.register
def _(fact: ApproverChanged, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield NotifyAbove(room=NO_ROOM, facts=(fact,))


@follow.register
def _(fact: DeskChosen, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    yield KeepDesk(room=fact.home)
    if fact.desk not in ("-", "own"):
        yield NotifyDesk(room=fact.home, facts=(fact,))


@follow.register
def _(fact: RoleChanged, _rooms_of: RoomsOf) -> Iterator[Consequence]:
    if fact.room is not None:
        yield KeepDesk(room=fact.room)


def _rooms(fact: SanctionStarted | SanctionEnded, rooms_of: RoomsOf) -> Sequence[RoomId]:
    if fact.room is None:
        return rooms_of(fact.subject)
    if fact.reach:
        return tuple(dict.fromkeys((fact.room, *rooms_of(fact.subject, fact.reach))))
    return (fact.room,)
