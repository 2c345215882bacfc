"""The people of a hostile room can do nothing to those of another community, and learn nothing about it.

Checked after each move:
- What was recorded counts no further than the hostile room.
- Messages there or to its people name nothing of other rooms.
- Nobody is asked to decide who did not accept it.
- Words that others see are recorded.
- The patterns of a room stay small.
At the end everybody's standing in the other rooms must be as it was.

Rules kept here: expectations are written down from the documents; the standing of people comes from the product itself,
as it has it when it judges.
"""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import re2

from moderation.cases.report_budget import Filed, allowance, free_again
from moderation.credit.credit import tier
from moderation.credit.ledger import account
from moderation.duty.duty import Duty
from moderation.judge.room_rules import compiled, settings_of
from moderation.model.actions.base import Action, to_json
from moderation.model.actions.cards import PostCard
from moderation.model.actions.rooms import LeaveDirect
from moderation.model.actions.telling import Say, Tell, TellAbove, TellDesk
from moderation.model.context import PersonView, RoomView
from moderation.model.facts import (
    ActionTaken,
    CaseAssigned,
    CaseDecided,
    CaseOpened,
    CreditChanged,
    DoorAnswered,
    Fact,
    NoticeGiven,
    PersonVerified,
    RoomRuleChanged,
    SanctionEnded,
    SanctionStarted,
)
from moderation.people.door import welcome
from moderation.people.verification import level_reached
from moderation.rules.pattern import Pattern, PatternRule
from moderation.values.events import MessagePosted, Received
from moderation.values.ids import EventId, RoomId, UserId
from moderation.values.levels import REACHES
from storage import queries
from storage.record_mapping import raw_of_record
from tests.fuzz.door import BOT, HOUR_MS, OPERATOR, defects
from tests.fuzz.moves import HOSTILE, VICTIMS, Move, Moves, Says, Tries, Waits, speaker
from tests.fuzz.rights import breaches
from tests.fuzz.world import ANN, BEN, GATED, GROUP, KEEPER, MAX, MIA, OTHER, OWNER, World

HONEST = (OWNER, MAX, MIA, ANN, BEN, KEEPER)
ELSEWHERE = (GROUP, GATED)
AT_ONCE = ("no-elephants", "links", "crowd", "files")  # rules of the operator's that decide by themselves
MOST_STEPS, MOST_LOOKED_AT = 2_000, 4_096  # docs/model.md, "Rules"
LONGEST_SECRET = 300  # characters that a code or an address can hide
# Private matters, which are told to a person alone; prefixes of the keys of texts.
ALONE = ("credit.", "standing.", "history.", "verify.level", "verify.holds", "own.", "statement.", "cases.")
# Numbers there are not cases, or are cases that count in this room too and so are told with their cost.
NO_CASES = ("own.", "error.", "credit.entry.")


@dataclass(frozen=True)
class Stands:
    """Somebody's standing in a room."""

    credit: int
    standing: int
    tier: str
    reports: tuple[int, bool]  # how many they can file in a day, and whether by tomorrow they can
    holding: frozenset[str]  # what holds against them
    role: str
    suspended: bool
    verified: int
    welcome: bool
    on_duty: tuple[bool, ...]  # asked as a manager or owner, away, asked as much as one can be, level only offered


def everybody_elsewhere(world: World) -> dict[tuple[str, RoomId], Stands]:
    """Return everybody's standing in the rooms that are not hostile."""

    async def look() -> dict[tuple[str, RoomId], Stands]:
        async with world.door.stores.database.read() as db:
            await world.door.pipeline.knowledge.begin(db)  # nothing from the cache
            return {each: found for room in ELSEWHERE async for each, found in _in_room(world, db, room)}

    return world.door.run(look())


async def _in_room(world: World, db: Any, room: RoomId) -> AsyncIterator[tuple[tuple[str, RoomId], Stands]]:
    known, policy, now = world.door.pipeline.knowledge, world.door.config.policy, world.door.now
    view = await known.room(db, room)
    assert view is not None
    duty = await queries.duty_of(db, view, policy.operators, now, at_most=policy.duty.at_most)
    for user in (*HONEST, *HOSTILE):
        person = await known.person(db, UserId(user), now)
        told = await queries.known_of_report(db, room, EventId("$none"), -1, UserId(user), now, policy.reports)
        yield (user, room), _stands(world, view, person, duty, told.filed)


def _stands(world: World, view: RoomView, person: PersonView, duty: Duty, filed: Sequence[Filed]) -> Stands:
    user, policy, now = person.user, world.door.config.policy, world.door.now
    credit = account(person, "credit", view, policy).balance(now)
    by_tomorrow = free_again(filed, policy.reports, now + 24 * HOUR_MS) is None
    runs = user in (*duty.managers, *duty.owners)
    return Stands(
        credit=credit,
        standing=account(person, "standing", view, policy).balance(now),
        tier=tier(credit, policy.tiers),
        reports=(allowance(filed, policy.reports), by_tomorrow),
        holding=frozenset(each.kind for each in person.in_force if each.covers(view)),
        role=view.power.role(user),
        suspended=user in view.suspended,
        verified=level_reached(person.proofs, frozenset(REACHES), view, now),
        welcome=welcome(person, view, BOT, policy, now),
        on_duty=(runs, user in duty.away, user in duty.full, user in duty.offered),
    )


def changed(before: dict[tuple[str, RoomId], Stands], after: dict[tuple[str, RoomId], Stands]) -> list[str]:
    """Return what is worse than or different from before. Points come back with time, and measures end."""
    found = []
    for (user, room), was in before.items():
        now = after[user, room]
        for name in [item.name for item in fields(Stands)]:
            old, new = getattr(was, name), getattr(now, name)
            if name in ("credit", "standing", "tier", "holding") and user in HOSTILE:
                continue  # what the operator's rules find of them counts everywhere
            if name in ("credit", "standing"):
                same = new >= old
            elif name in ("tier", "holding"):
                same = new <= old
            else:
                same = new == old
            if not same:
                found.append(f"{name} of {user} in {room}: {old} -> {new}")
    return found


def play(world: World, move: Move) -> list[str]:
    """Make a move, and return what is wrong with its consequences."""
    if isinstance(move, Waits):
        (facts, actions), wrong = defects(lambda: world.door.wait(move.ms))
        for fact in facts:
            world.learn(fact)
        return [*map(str, wrong), *_wrong(world, move, "", facts, actions)]
    event = move.made(world)
    said = event.body if isinstance(event, MessagePosted) else ""
    at = world.door.stores.journal.size
    (facts, actions), wrong = defects(lambda: world.took(event))
    if isinstance(event, MessagePosted) and event.room == OTHER:
        world.messages.append((OTHER, event.event))
    found = [
        *map(str, wrong),
        *breaches(world, speaker(move), facts, actions),
        *_wrong(world, move, said, facts, actions),
    ]
    if any(isinstance(fact, RoomRuleChanged) for fact in facts):
        found += _heavy(world)
    return [*found, *_hidden(world, event, at, facts, actions)]


def _wrong(world: World, move: Move, said: str, facts: Sequence[Fact], actions: Sequence[Action]) -> list[str]:
    found = [f"elsewhere: {fact}" for fact in facts if _is_elsewhere(world, move, fact)]
    found += [f"reaches too far: {fact}" for fact in facts if _reaches_further(world, fact)]
    found += [f"not accepted: {fact}" for fact in facts if _not_accepted(world, fact)]
    found += [f"not there: {fact}" for fact in facts if _not_there(world, fact)]
    found += [f"heard by friends: {fact}" for fact in facts if _heard_by_friends(world, fact)]
    for action in actions:
        found += [f"{why}: {action}" for why in _told(world, move, said, action)]
    return found


# What is recorded.


def _is_elsewhere(world: World, move: Move, fact: Fact) -> bool:
    """Tell whether a fact wrongly concerns another community's room."""
    if fact.room not in (*ELSEWHERE, *(world.desks[room] for room in ELSEWHERE)):
        return False
    if isinstance(fact, DoorAnswered):
        return fact.what == "admitted" or not _may_concern_others(move)
    ends = isinstance(fact, SanctionEnded) and fact.why == "time"
    return not (isinstance(move, Waits) and (ends or isinstance(fact, NoticeGiven | ActionTaken)))


def _may_concern_others(move: Move) -> bool:
    """Tell whether the move is a knock at the gated room's door, or time passing, in which measures there end."""
    return isinstance(move, Waits) or (isinstance(move, Moves) and move.place == "gated")


def _reaches_further(world: World, fact: Fact) -> bool:
    """Tell whether a fact counts in another community, for or against somebody."""
    own = world.codes[OTHER]
    if isinstance(fact, PersonVerified):
        return fact.step == "verified" and fact.reach != own
    if isinstance(fact, CreditChanged):
        return fact.reach != own and fact.subject in HONEST
    if isinstance(fact, SanctionEnded):
        return fact.room is None and fact.reach != own and fact.why == "command"
    if isinstance(fact, SanctionStarted):
        return (fact.room is None or fact.reach != "") and fact.reach != own and fact.subject in HONEST
    return False


def _not_accepted(world: World, fact: Fact) -> bool:
    """Tell whether somebody is held responsible for a room who has a level there but accepted no duty."""
    if not isinstance(fact, CaseAssigned | CaseOpened | CreditChanged):
        return False
    asked = isinstance(fact, CaseAssigned) or (isinstance(fact, CreditChanged) and fact.ledger == "standing")
    accused = isinstance(fact, CaseOpened) and fact.rule.startswith(("duty_", "room_"))
    accepted = world.known.get(world.desks[OTHER], set())
    return (asked or accused) and fact.room == OTHER and fact.subject in VICTIMS and fact.subject not in accepted


def _not_there(world: World, fact: Fact) -> bool:
    """Tell whether the hostile room decides something about somebody who never was there."""
    about = getattr(fact, "subject", "")
    decides = isinstance(fact, CaseOpened | SanctionStarted | CreditChanged)  # a vouch may come before somebody does
    return decides and bool(about) and fact.room == OTHER and about not in world.known[OTHER]


def _heard_by_friends(world: World, fact: Fact) -> bool:
    """Tell whether an appeal against a decision that counts everywhere is heard in the appellant's own room."""
    if isinstance(fact, CaseAssigned):
        heard = fact.asked != "operator" and not world.decided[fact.n]
    else:
        heard = isinstance(fact, CaseDecided) and fact.by != OPERATOR and world.decided[fact.n] == 1
    return heard and fact.n in world.appealed and world.rules[fact.n] in AT_ONCE  # type: ignore[attr-defined]


# Messages.


def _told(world: World, move: Move, said: str, action: Action) -> Iterator[str]:
    """Yield what is wrong with sending this message; an answer may repeat what was `said`."""
    if action.room in (*ELSEWHERE, *(world.desks[room] for room in ELSEWHERE)) and not _may_concern_others(move):
        yield "said elsewhere"
    if (
        action.room in world.direct.values()
        and len(world.there[action.room]) > 2
        and not isinstance(action, LeaveDirect)
    ):
        yield "said before others"
    if isinstance(action, Tell) and _is_stranger(world, move, action):
        yield "said to a stranger"
    lines = action.lines if isinstance(action, Say | Tell | TellDesk | TellAbove) else ()
    if isinstance(action, Say) and action.room in (OTHER, GROUP) and any(each.key.startswith(ALONE) for each in lines):
        yield "said before all"
    if not _is_read_by_the_hostile(world, action):
        return
    if isinstance(action, PostCard) and world.cases[action.n][0] != OTHER:
        yield "the card of another room's case"
    for line in lines:
        n = line.fields.get("n")
        foreign = isinstance(n, int) and n in world.cases and world.cases[n][0] != OTHER and str(n) not in said
        if foreign and not line.key.startswith(NO_CASES):
            yield f"a case of another room in {line.key}"
        if line.key.startswith(("credit.in-force", "standing.now")) and isinstance(move, Says | Tries):
            yield from _of_elsewhere(world, speaker(move), line.key, lines)
    text = json.dumps(to_json(action))
    yield from (f"names {name}" for name in _names_of_elsewhere(world) if name in text and name not in said)


def _is_stranger(world: World, move: Move, told: Tell) -> bool:
    """Tell whether a message goes to somebody who never was in the hostile room and is not vouched for there."""
    known = {*world.known[OTHER], OPERATOR, *(world.known[GROUP] if isinstance(move, Waits) else ())}
    return told.subject not in known and not told.lines[0].key.startswith(("notice.verified", "notice.unvouched"))


def _of_elsewhere(world: World, asks: str, key: str, lines: Sequence[Any]) -> Iterator[str]:
    """Yield what a message reveals to others: sanctions against somebody elsewhere, or that they run a room there."""
    who = next((v.user for each in lines for v in each.fields.values() if hasattr(v, "user")), asks)
    if who == asks or who not in HONEST:
        return
    if key == "standing.now" and world.levels[OTHER].get(who, 0) < 50 and not _ran(world, who):
        yield "that somebody runs another room"
    if key.startswith("credit.in-force") and not _was_measured(world, who):
        yield "what holds against somebody elsewhere"


def _ran(world: World, who: str) -> bool:
    return any(isinstance(fact, CreditChanged) and fact.subject == who for fact in world.door.facts())


def _was_measured(world: World, who: str) -> bool:
    """Tell whether a sanction was started against somebody in the hostile room, or everywhere."""
    begun = (fact for fact in world.door.facts() if isinstance(fact, SanctionStarted) and fact.kind != "redact")
    return any(fact.subject == who and fact.room in (OTHER, None) for fact in begun)


def _is_read_by_the_hostile(world: World, action: Action) -> bool:
    if isinstance(action, Tell):
        return action.subject in HOSTILE
    if isinstance(action, Say):
        return action.room in (OTHER, world.desks[OTHER], *(world.direct[user] for user in HOSTILE))
    return isinstance(action, TellDesk | PostCard) and action.room == OTHER


def _names_of_elsewhere(world: World) -> Iterator[str]:
    """Yield the names that the people of the hostile room cannot know."""
    yield from (GROUP, world.desks[GROUP], world.desks[GATED], world.codes[GROUP], "4711")
    yield from (user for user in (MIA, BEN, KEEPER) if user not in world.known[OTHER])


# What is recorded of what others see.


def _hidden(world: World, event: Received, at: int, facts: Sequence[Fact], actions: Sequence[Action]) -> Iterator[str]:
    """Yield words that others can see but that are in no record, or not on the card."""
    if not isinstance(event, MessagePosted) or event.room in world.direct.values():
        return
    (record,) = [each for each in world.door.records(at) if each.index == at]
    kept = raw_of_record(record)
    if kept is not None and kept["content"] == event.content:
        cases = [fact for fact in facts if isinstance(fact, CaseOpened) and fact.event == event.event]
        yield from (f"a card without words: {fact}" for fact in cases if not fact.excerpt)
        return
    goes = any(action.NAME == "redact" and getattr(action, "event", "") == event.event for action in actions)
    short = len(event.body) <= LONGEST_SECRET and len(event.body.split()) <= 4
    plain = set(event.content) <= {"msgtype", "body", "m.relates_to"}
    if not (goes and short and plain and kept is not None):
        yield f"not recorded: {event.content}, but {kept}"


# What the rules of a room can cost the others.


def _heavy(world: World) -> Iterator[str]:
    """Yield faults of a room's patterns: too large together, or reading more than they may."""

    async def look() -> tuple[str, ...]:
        async with world.door.stores.database.read() as db:
            view = await world.door.pipeline.knowledge.room(db, OTHER)
            assert view is not None
            return view.rules

    texts = world.door.run(look())
    accepted = [rule for text in texts if isinstance(rule := settings_of(text), PatternRule)]
    if (size := sum(map(_steps, accepted))) > MOST_STEPS:
        yield f"patterns of {size} steps"
    for own in compiled(texts, world.door.config.policy):
        if isinstance(own.check, Pattern) and not 0 < (own.check._most or 0) <= MOST_LOOKED_AT:
            yield f"looks at {own.check._most} characters"


def _steps(rule: PatternRule) -> int:
    options = re2.Options()
    options.case_sensitive = not rule.ignore_case
    return sum(re2.compile(pattern, options).programsize for pattern in rule.patterns)
