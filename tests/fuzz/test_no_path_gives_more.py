"""No path gives anybody more than their own level in a room: whatever is said or pressed, by whomever, wherever.

Commands are drawn from `COMMANDS` by what they declare, so that a new one is tried without being named here; who may do
what is written down here once more, from the documents and not from the code. Said in groups, desks and direct rooms,
in threads, replies and edits, with the code of another room, with cases of other rooms; pressed on cards and messages.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.commands.table import COMMANDS
from moderation.actions import Action, Say, Tell
from moderation.events import Received
from moderation.facts import (
    Appealed,
    AwayChanged,
    CaseAssigned,
    CaseDecided,
    CaseGrew,
    CaseLeft,
    CaseMoved,
    CaseNoted,
    CaseOpened,
    ContentRead,
    CreditChanged,
    DataAsked,
    EntryConfirmed,
    Fact,
    LanguageChosen,
    PersonVerified,
    Reported,
    RoomRuleChanged,
    RoomSettingChanged,
    RosterChanged,
    SanctionEnded,
    SanctionStarted,
)
from moderation.ids import RoomId, UserId
from moderation.notices import Who
from tests.fuzz.door import BOT, OPERATOR, Door, defects

TRIES = 90  # each of up to ten things said or pressed

OWNER, MAX, MIA, ANN, BEN, MUTED = (f"@{name}:example.org" for name in ("owner", "max", "mia", "ann", "ben", "muted"))
BANNED, GONE, DEMOTED, OUTSIDER = (f"@{name}:example.org" for name in ("banned", "gone", "demoted", "outsider"))
OTHER_OWNER, OTHER_MAX = "@other-owner:example.org", "@other-max:example.org"
PEOPLE = (OWNER, MAX, MIA, ANN, BEN, MUTED, BANNED, GONE, DEMOTED, OUTSIDER, OTHER_OWNER, OTHER_MAX, str(OPERATOR))
GROUP, OTHER = RoomId("!group:example.org"), RoomId("!other:example.org")
LEVELS = {
    GROUP: {OWNER: 100, MAX: 50, MIA: 50, ANN: 0, BEN: 0, MUTED: -1, BANNED: 50, GONE: 50, DEMOTED: 0},
    OTHER: {OTHER_OWNER: 100, OTHER_MAX: 50, ANN: 0, OWNER: 0},
}
OUT = {GROUP: {BANNED: "ban", GONE: "leave"}, OTHER: {}}


class World:
    """Two groups with their desks, and a direct room for everybody."""

    def __init__(self, folder: Path) -> None:
        self.door = Door.open(folder)
        self.cases: dict[int, tuple[RoomId, str]] = {}  # number -> room and whom it is about
        self.cards: dict[int, str] = {}
        codes = (f"G-{letter}222" for letter in "23456789ABCDEFGHJKLMNPQRSTUVWXYZ")
        self.codes: dict[RoomId, str] = {}
        self.desks: dict[RoomId, RoomId] = {}
        for room, owner in ((GROUP, OWNER), (OTHER, OTHER_OWNER)):
            name = room[1:].partition(":")[0]
            self.codes[room] = next(codes)
            self.door.room(name, "group", LEVELS[room], owner=owner, code=self.codes[room])
            running = {user: 0 for user, level in LEVELS[room].items() if level >= 50}
            self.desks[room] = self.door.room(
                f"desk-{name}", "desk", running, served=self.codes[room], code=next(codes)
            )
            for user, membership in OUT[room].items():
                self._take(room, owner, "m.room.member", {"membership": membership}, state_key=user)
        self.direct = {
            user: self.door.room(f"direct-{number}", "direct", {user: 0}, user=user, code=next(codes))
            for number, user in enumerate(PEOPLE)
        }
        until = self.door.now + 365 * 86_400_000
        known = [
            PersonVerified(method="roster", level=2, until=until, subject=UserId(user))
            for user in (OWNER, MAX, OTHER_OWNER, OTHER_MAX)
        ]
        self.door.run(self.door.pipeline.commit(known))  # who vouches has to be verified
        self.messages = [event for room in LEVELS for event in self._story(room)]

    def _take(self, room: RoomId, sender: str, type_: str, content: Any, **more: Any) -> Received:
        event = self.door.read(room, sender, type_, content, **more)
        for fact in self.door.take(event)[0]:
            self.learn(fact)
        return event

    def _story(self, room: RoomId) -> Iterator[tuple[RoomId, str]]:
        """Cases of members and managers, with cards; messages of everybody."""
        for user in [user for user in LEVELS[room] if user not in OUT[room]]:
            for body in ("hello", "forbidden 17", "forbidden 18"):
                said = self._take(room, user, "m.room.message", {"msgtype": "m.text", "body": body})
                assert said.event is not None
                yield room, said.event
        for n in [n for n, (where, _) in self.cases.items() if where == room and n not in self.cards]:
            mark = {"case": n, "request": f"card{n}"}
            content = {"msgtype": "m.notice", "body": f"Case {n}", "org.answerable.card": mark}
            card = self._take(self.desks[room], BOT, "m.room.message", content)
            assert card.event is not None
            self.cards[n] = card.event

    def learn(self, fact: Fact) -> None:
        """Note a case that was opened."""
        if isinstance(fact, CaseOpened) and fact.room is not None:
            self.cases[fact.n] = (fact.room, fact.subject)

    # Who may do what, from docs/model.md and docs/responsibility.md.

    def manages(self, user: str, room: RoomId | None) -> bool:
        """Whether somebody runs a room and is there, or runs the deployment."""
        there = room is not None and LEVELS[room].get(user, 0) >= 50 and user not in OUT[room]
        return user == OPERATOR or there

    def owns(self, user: str, room: RoomId | None) -> bool:
        """Likewise of the owner."""
        return self.manages(user, room) and (user == OPERATOR or (room is not None and LEVELS[room][user] >= 100))

    def inside(self, user: str, room: RoomId | None) -> bool:
        """Whether somebody is in a room."""
        return user == OPERATOR or (room is not None and user in LEVELS[room] and user not in OUT[room])

    def stands_above(self, user: str, target: str, room: RoomId) -> bool:
        """Whether somebody may do something to somebody, as by hand."""
        return user == OPERATOR or LEVELS[room].get(user, 0) > LEVELS[room].get(target, 0)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all that is tried: decisions and measures pile up, levels stay (nothing is sent)."""
    world = World(tmp_path_factory.mktemp("world"))
    yield world
    assert world.door.problems() == ()
    world.door.close()


Check = Callable[[World, Any, str], bool]


def _sanction(world: World, fact: Any, by: str) -> bool:
    if fact.kind == "redact" and fact.subject == by:
        return True
    if fact.kind in ("close",):
        return world.owns(by, fact.room)
    if fact.kind in ("suspend", "slow", "redact"):
        return world.manages(by, fact.room)
    return world.manages(by, fact.room) and world.stands_above(by, fact.subject, fact.room)


def _ended(world: World, fact: Any, by: str) -> bool:
    if fact.kind in ("suspend", "slow"):
        return world.manages(by, fact.room)
    if fact.kind == "close":
        return world.owns(by, fact.room)
    # A decision that is reversed ends what rested on it; a manager who only lifts must stand above.
    above = fact.why != "command" or world.stands_above(by, fact.subject, fact.room)
    return world.manages(by, fact.room) and above


def _decided(world: World, fact: Any, by: str) -> bool:
    room, about = world.cases[fact.n]
    return room == fact.room and world.manages(by, room) and about != by


# Kind of fact with a `by` (or whose subject is the one who acts) -> whether that person may be the cause of it.
ALLOWED: dict[type[Fact], Check] = {
    CaseOpened: lambda world, fact, by: world.manages(by, fact.room),
    SanctionStarted: _sanction,
    SanctionEnded: _ended,
    CaseDecided: _decided,
    EntryConfirmed: lambda world, fact, by: by == OPERATOR,
    CaseMoved: _decided,
    CaseNoted: _decided,
    CaseLeft: lambda world, fact, by: fact.subject == by or world.manages(by, fact.room),
    ContentRead: lambda world, fact, by: world.manages(by, fact.room),
    RosterChanged: lambda world, fact, by: world.owns(by, fact.room),
    RoomRuleChanged: lambda world, fact, by: world.manages(by, fact.room),
    RoomSettingChanged: lambda world, fact, by: world.owns(by, fact.room),
    LanguageChosen: lambda world, fact, by: fact.subject == by or world.manages(by, fact.room),
    Reported: lambda world, fact, by: world.inside(by, world.cases[fact.n][0]),
    PersonVerified: lambda world, fact, by: (
        fact.step == "revoked" or (world.manages(by, fact.room) and fact.subject != by)
    ),
}
OF_ONESELF = (AwayChanged, DataAsked)  # nobody can bring them about for another
SHOWN_TO_MANAGERS = ("card.", "cases.", "history.", "credit.entry", "standing.", "report.by", "card.note")


def breaches(world: World, speaker: str, facts: Sequence[Fact], actions: Sequence[Action]) -> list[str]:
    """What happened that the speaker has no right to bring about, or was told without a right to know."""
    found = []
    for fact in facts:
        world.learn(fact)
    for fact in facts:
        by = getattr(fact, "by", None)
        if isinstance(fact, OF_ONESELF) and fact.subject != speaker:
            found.append(f"for another: {fact}")
        if isinstance(fact, Appealed) and world.cases[fact.n][1] != speaker:
            found.append(f"an appeal in another's case: {fact}")
        if by and by != speaker:
            found.append(f"in another's name: {fact}")
        if by == speaker and not ALLOWED[type(fact)](world, fact, speaker):
            found.append(f"without the right: {fact}")
        if speaker != OPERATOR and _reaches_too_far(world, speaker, fact, facts):
            found.append(f"beyond the community of who decided it: {fact}")
    for action in actions:
        if isinstance(action, Say | Tell) and _answers(world, action, speaker):
            found += [f"told: {line}" for line in action.lines if not _may_know(world, speaker, action, line)]
    return found


def _reaches_too_far(world: World, speaker: str, fact: Fact, facts: Sequence[Fact]) -> bool:
    """Whether what somebody decided counts outside their room: each room here is a community of its own.

    What the operator's rules find by themselves of what the speaker says is the operator's word.
    """
    if isinstance(fact, PersonVerified):
        return fact.step == "verified" and fact.reach != world.codes.get(fact.room or RoomId(""))
    if not isinstance(fact, CreditChanged | SanctionStarted) or (isinstance(fact, SanctionStarted) and not fact.n):
        return False
    decided = {each.n for each in facts if getattr(each, "by", "") == speaker and isinstance(each, CaseDecided)}
    accused = {each.n for each in facts if getattr(each, "by", "") == speaker and isinstance(each, CaseOpened)}
    if fact.n not in decided | accused:
        return False
    if isinstance(fact, CreditChanged):
        return fact.entry == "charge" and fact.reach != world.codes.get(fact.room or RoomId(""))
    return fact.room is None or fact.reach not in ("", world.codes.get(fact.room))


def _answers(world: World, action: Say | Tell, speaker: str) -> bool:
    """Whether it is what the speaker gets to read: said to them, or before them."""
    if isinstance(action, Tell):
        return action.subject == speaker and action.n == 0
    return action.to == speaker


def _may_know(world: World, speaker: str, action: Say | Tell, line: Any) -> bool:
    who = next((value.user for value in line.fields.values() if isinstance(value, Who)), speaker)
    if not line.key.startswith((*SHOWN_TO_MANAGERS, "credit.now")) or who == speaker:
        return True
    about = line.fields.get("n")
    rooms = [world.cases[about][0]] if isinstance(about, int) and about in world.cases else list(LEVELS)
    return any(world.manages(speaker, room) for room in rooms)


# What is said.


def mostly(*usual: Any, rarely: Sequence[Any]) -> st.SearchStrategy[Any]:
    """One of the usual values, now and then one that is wrong."""
    return st.sampled_from([*usual * (1 + 6 * len(rarely) // len(usual)), *rarely])


words_of = {
    "user": mostly(*PEOPLE, rarely=[str(BOT), "@nobody:example.org", "@", "ann", ""]),
    "case": mostly(*map(str, range(1, 31)), rarely=["#1", "x", "9" * 20, "9" * 9, "0", "-1", "1" * 1500]),
    "duration": mostly("1h", "3d", rarely=["10w", "1s", "x", ""]),
    "word": mostly("zh", "en", "add", "remove", "test", "language", "verify", "digest", "5m", rarely=["room", ""]),
    "text": mostly("no-spam terms spam", "no-spam", "en", "2 restrict", "off", rarely=["x pattern (a+)+$", "<b> {}"]),
    "reason": mostly(
        "", "why", "error it was", "bad-faith it was", "false he lied", "off", "room", "mon-fri 08:00-18:00 UTC",
        rarely=["12345678"],
    ),
}  # fmt: skip
names = st.sampled_from(sorted({command.name for command in COMMANDS.values()}))


@st.composite
def commands(draw: st.DrawFn) -> str:
    """A command with what it asks for, or nearly so; about this room or another."""
    name = draw(names)
    wanted = [item.rstrip("?*") for item in COMMANDS[name].spec.split()]
    words = [draw(words_of[item]) for item in wanted]
    code = draw(mostly("", "", "G-2222", "G-4222", rarely=["G-3222", "G-ZZZZ"]))
    return " ".join(["!" + name, *words, code])


steps = st.tuples(
    st.sampled_from([*PEOPLE, MAX, MAX, MIA, OWNER, OWNER, OTHER_MAX, OTHER_OWNER, str(OPERATOR), str(OPERATOR)]),
    mostly("group", "desk", "direct", "other", "other desk", rarely=["another's direct"]),
    st.one_of(*[commands()] * 4, st.sampled_from(["\u2705", "\u274c", "\U0001f50e", "\U0001f6a9", "\u26a0\ufe0f"])),
    mostly("plain", "plain", "reply", "thread", "link", rarely=["edit", "notice"]),
    st.integers(0, 80),
)


def event_of(world: World, step: Any) -> Received:
    """Somebody says or presses something. Homeservers let nobody into a room they are not in; here everybody is let."""
    speaker, place, said, how, number = step
    rooms = {
        "group": GROUP,
        "other": OTHER,
        "desk": world.desks[GROUP],
        "other desk": world.desks[OTHER],
        "direct": world.direct[speaker],
        "another's direct": world.direct[PEOPLE[number % len(PEOPLE)]],
    }
    room, target = rooms[place], world.messages[number % len(world.messages)][1]
    if not said.startswith("!"):
        cards = [*world.cards.values(), target]
        on = cards[number % len(cards)]
        relation = {"rel_type": "m.annotation", "event_id": on, "key": said}
        return world.door.read(room, speaker, "m.reaction", {"m.relates_to": relation})
    content: dict[str, Any] = {"msgtype": "m.notice" if how == "notice" else "m.text", "body": said}
    if how == "reply":
        content["m.relates_to"] = {"m.in_reply_to": {"event_id": target}}
    if how == "thread":
        content["m.relates_to"] = {"rel_type": "m.thread", "event_id": target}
    if how == "edit":
        content |= {"m.new_content": dict(content), "m.relates_to": {"rel_type": "m.replace", "event_id": target}}
    if how == "link":
        where, which = world.messages[number % len(world.messages)]
        content["body"] += f" https://matrix.to/#/{where}/{which}?via=example.org"
    return world.door.read(room, speaker, "m.room.message", content)


@settings(max_examples=TRIES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@example(said=[(MAX, "direct", f"!case {'9' * 20}", "plain", 0)])  # more than a database holds
@example(said=[(MAX, "direct", f"!uphold #{'1' * 1500}", "plain", 0)])
@example(said=[(BANNED, "direct", f"!credit {OWNER} G-2222", "plain", 0)])  # a ban leaves the level standing
@example(said=[(GONE, "direct", "!lang zh room G-2222", "plain", 0)])
@example(said=[(MAX, "desk", f"!vouch {ANN}", "plain", 0)])  # counts in that room alone
@example(said=[(MIA, "desk", f"!uphold {n} why", "plain", 0) for n in range(1, 13)])
@given(said=st.lists(steps, min_size=1, max_size=10))
def test_nothing_said_or_pressed_anywhere_does_more_than_who_says_it_may(world: World, said: list[Any]) -> None:
    check_steps(world, said)


def check_steps(world: World, said: list[Any]) -> None:
    """One after the other."""
    for step in said:
        (facts, actions), wrong = defects(lambda step=step: world.door.take(event_of(world, step)))  # type: ignore[misc]
        assert wrong == [], step
        assert breaches(world, step[0], facts, actions) == [], step


def test_those_who_have_a_right_can_use_it(world: World) -> None:
    """Else a bot that refuses everything would do as well."""
    numbers = itertools.count()

    def does(speaker: str, place: RoomId, body: str) -> list[str]:
        next(numbers)
        facts, _ = world.door.say(place, speaker, body)
        for fact in facts:
            world.learn(fact)
        return [type(fact).__name__ for fact in facts if getattr(fact, "by", "") == speaker]

    desk = world.desks[GROUP]
    assert does(MAX, desk, f"!warn {BEN} why") == ["CaseOpened", "SanctionStarted"]
    assert does(OWNER, desk, f"!warn {MAX} why") == ["CaseOpened", "SanctionStarted"]
    assert does(str(OPERATOR), world.direct[str(OPERATOR)], f"!warn {OWNER} G-2222") == [
        "CaseOpened",
        "SanctionStarted",
    ]
    assert does(MAX, desk, f"!warn {OWNER} why") == []
    assert does(BANNED, world.direct[BANNED], f"!warn {ANN} why G-2222") == []


def test_every_fact_with_a_doer_is_looked_at() -> None:
    from moderation.facts import FACTS

    doers = {kind for kind in FACTS if "by" in {field.name for field in fields(kind)}}
    by_no_command = {"RoleChanged", "RoomListed"}  # set by hand: the homeserver says whether they may
    assert {kind.__name__ for kind in doers - ALLOWED.keys()} == by_no_command
    assert CaseAssigned not in doers and CaseGrew not in doers
