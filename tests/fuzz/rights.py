"""Checks, after each message or reaction, what its sender may cause and may be told.

Rules kept here:
- Everything that a command does is allowed by its speaker's level in the room concerned, and counts no further than
  the speaker's word.
- Nothing is done in another person's name.
Left to others: what is said (`said.py`), what the people of one room can do to those of another (`elsewhere.py`).
"""

from collections.abc import Callable, Sequence
from typing import Any

from moderation.model.actions.base import Action
from moderation.model.actions.cards import AskDesk
from moderation.model.actions.telling import Say, Tell
from moderation.model.facts import (
    Appealed,
    AwayChanged,
    CaseClaimed,
    CaseCommented,
    CaseDecided,
    CaseExtended,
    CaseLeft,
    CaseMoved,
    CaseNoted,
    CaseOpened,
    ContentRead,
    CreditChanged,
    DataAsked,
    DeskChosen,
    EntryConfirmed,
    Fact,
    LanguageChosen,
    ListChosen,
    ListPreviewed,
    ListPublished,
    ListSpared,
    OrderedEverywhere,
    OrderRecalled,
    PersonVerified,
    PolicyServerSet,
    Reported,
    RoleChanged,
    RoomRuleChanged,
    RoomSettingChanged,
    RosterChanged,
    SanctionEnded,
    SanctionStarted,
    Swept,
)
from moderation.values.notices import Who
from tests.fuzz.door import OPERATOR
from tests.fuzz.world import LEVELS, World

Check = Callable[[World, Any, str], bool]


def _sanction(world: World, fact: Any, by: str) -> bool:
    if fact.kind == "redact" and fact.subject == by:
        return True
    if fact.kind in ("close", "lockdown"):
        return world.owns(by, fact.room)
    if fact.kind in ("suspend", "slow", "redact", "server"):
        return world.manages(by, fact.room)
    return world.manages(by, fact.room) and world.stands_above(by, fact.subject, fact.room)


def _ended(world: World, fact: Any, by: str) -> bool:
    if fact.kind in ("suspend", "slow", "server"):
        return world.manages(by, fact.room)
    if fact.kind in ("close", "lockdown", "gate"):
        return world.owns(by, fact.room)
    # Reversing a decision ends its consequences; a manager who only lifts a sanction must have the higher level.
    above = fact.why != "command" or world.stands_above(by, fact.subject, fact.room)
    return world.manages(by, fact.room) and above


def _decided(world: World, fact: Any, by: str) -> bool:
    room, about = world.cases[fact.n]
    return room == fact.room and world.manages(by, room) and about != by


def _above(world: World, fact: Any, by: str) -> bool:
    return world.manages(by, fact.room) and world.stands_above(by, fact.subject, fact.room)


# Kind of fact with a `by` (or whose subject is the one who acts) -> whether that person may be the cause of it.
ALLOWED: dict[type[Fact], Check] = {
    CaseOpened: lambda world, fact, by: world.manages(by, fact.room),
    SanctionStarted: _sanction,
    OrderedEverywhere: _above,
    OrderRecalled: lambda world, fact, by: world.manages(by, fact.room),
    SanctionEnded: _ended,
    Swept: lambda world, fact, by: (
        fact.subject == by or (world.manages(by, fact.room) and world.stands_above(by, fact.subject, fact.room))
    ),
    CaseDecided: _decided,
    EntryConfirmed: lambda world, fact, by: by == OPERATOR,
    CaseClaimed: _decided,
    CaseExtended: _decided,
    CaseMoved: _decided,
    DeskChosen: lambda world, fact, by: world.owns(by, fact.room),
    PolicyServerSet: lambda world, fact, by: fact.step == "changed" or world.owns(by, fact.room),
    CaseNoted: _decided,
    CaseLeft: lambda world, fact, by: fact.subject == by or world.manages(by, fact.room),
    ContentRead: lambda world, fact, by: world.manages(by, fact.room),
    RoleChanged: lambda world, fact, by: world.manages(by, fact.room),
    RosterChanged: lambda world, fact, by: world.owns(by, fact.room),
    RoomRuleChanged: lambda world, fact, by: world.manages(by, fact.room),
    RoomSettingChanged: lambda world, fact, by: world.owns(by, fact.room),
    ListPublished: _decided,
    LanguageChosen: lambda world, fact, by: fact.subject == by or world.manages(by, fact.room),
    ListChosen: lambda world, fact, by: (
        world.manages(by, fact.room) and (by == OPERATOR or fact.reach == world.community(fact.room))
    ),
    ListPreviewed: lambda world, fact, by: world.manages(by, fact.room),
    ListSpared: lambda world, fact, by: (
        (_decided(world, fact, by) if fact.n else _above(world, fact, by))
        and (by == OPERATOR or fact.reach == world.community(fact.room))
    ),
    Reported: lambda world, fact, by: world.inside(by, world.cases[fact.n][0]),
    PersonVerified: lambda world, fact, by: (
        fact.step == "revoked" or (world.manages(by, fact.room) and fact.subject != by)
    ),
}
OF_ONESELF = (AwayChanged, DataAsked)  # nobody can bring them about for another
SHOWN_TO_MANAGERS = (
    "card.",
    "cases.",
    "history.",
    "credit.entry",
    "standing.",
    "report.by",
    "card.note",
    "around.",
    "policy-list.",
)


def breaches(world: World, speaker: str, facts: Sequence[Fact], actions: Sequence[Action]) -> list[str]:
    """Return the consequences that the speaker had no right to cause, or was told without a right to know."""
    found = []
    for fact in facts:
        by = getattr(fact, "by", None)
        if isinstance(fact, OF_ONESELF) and fact.subject != speaker:
            found.append(f"for another: {fact}")
        if isinstance(fact, Appealed | CaseCommented) and world.cases[fact.n][1] != speaker:
            found.append(f"an appeal or comment in another's case: {fact}")
        if by and by != speaker:
            found.append(f"in another's name: {fact}")
        if by == speaker and not ALLOWED[type(fact)](world, fact, speaker):
            found.append(f"without the right: {fact}")
        if speaker != OPERATOR and _reaches_too_far(world, speaker, fact, facts):
            found.append(f"beyond the community of who decided it: {fact}")
    for action in actions:
        if isinstance(action, Say | Tell | AskDesk) and _answers(action, speaker):
            found += [f"told: {line}" for line in action.lines if not _may_know(world, speaker, line)]
    return found


def _reaches_too_far(world: World, speaker: str, fact: Fact, facts: Sequence[Fact]) -> bool:
    """Tell whether a decision of the speaker counts outside their community.

    What the operator's rules find in the speaker's own messages counts as the operator's word.
    """
    if isinstance(fact, PersonVerified):
        return fact.step == "verified" and fact.reach != world.community(fact.room)
    if not isinstance(fact, CreditChanged | SanctionStarted) or (isinstance(fact, SanctionStarted) and not fact.n):
        return False
    decided = {each.n for each in facts if getattr(each, "by", "") == speaker and isinstance(each, CaseDecided)}
    accused = {each.n for each in facts if getattr(each, "by", "") == speaker and isinstance(each, CaseOpened)}
    if fact.n not in decided | accused:
        return False
    if isinstance(fact, CreditChanged):
        return fact.entry == "charge" and fact.reach != world.community(fact.room)
    return fact.room is None or fact.reach not in ("", world.community(fact.room))


def _answers(action: Say | Tell | AskDesk, speaker: str) -> bool:
    """Tell whether the speaker gets to read a message: it is sent to them, or as a reply to them."""
    if isinstance(action, Tell):
        return action.subject == speaker and action.n == 0
    return action.to == speaker


def _may_know(world: World, speaker: str, line: Any) -> bool:
    who = next((value.user for value in line.fields.values() if isinstance(value, Who)), speaker)
    if not line.key.startswith((*SHOWN_TO_MANAGERS, "credit.now")) or who == speaker:
        return True
    about = line.fields.get("n")
    rooms = [world.cases[about][0]] if isinstance(about, int) and about in world.cases else list(LEVELS)
    return any(world.manages(speaker, room) for room in rooms)
