"""A small world for attackers: people, their rights, and the rooms they are in.

Each room is a community of its own. The other room is run by other people: there the group's owner and one of its
managers are plain members. Everybody has a direct room. The rights are written down here a second time, from the
documents and not from the code; levels, members and cases are tracked as people see them.
"""

from collections import Counter
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any

from moderation.model.actions.base import Action
from moderation.model.facts import Appealed, CaseDecided, CaseOpened, Fact, PersonVerified, SanctionStarted
from moderation.values.events import MembershipChanged, Received
from moderation.values.ids import RoomId, UserId
from tests.fuzz.door import BOT, CONFIG, OPERATOR, Door

OWNER, MAX, MIA, ANN, BEN, MUTED = (f"@{name}:example.org" for name in ("owner", "max", "mia", "ann", "ben", "muted"))
BANNED, GONE, DEMOTED, OUTSIDER = (f"@{name}:example.org" for name in ("banned", "gone", "demoted", "outsider"))
OTHER_OWNER, OTHER_MAX = "@other-owner:example.org", "@other-max:example.org"
SOCK, KEEPER, BARRED = "@sock:example.org", "@keeper:example.org", "@barred:example.org"
INSIDE = (OWNER, MAX, MIA, ANN, BEN, MUTED, DEMOTED, OTHER_OWNER, OTHER_MAX, SOCK, KEEPER)
PEOPLE = (*INSIDE, BANNED, GONE, OUTSIDER, BARRED, str(OPERATOR))
GROUP, OTHER, GATED = RoomId("!group:example.org"), RoomId("!other:example.org"), RoomId("!gated:example.org")
LEVELS = {
    GROUP: {OWNER: 100, MAX: 50, MIA: 50, ANN: 0, BEN: 0, MUTED: -1, BANNED: 50, GONE: 50, DEMOTED: 0},
    OTHER: {OTHER_OWNER: 100, OTHER_MAX: 50, ANN: 0, OWNER: 0, MAX: 0, SOCK: 0},
    GATED: {KEEPER: 100},
}
OWNERS = {GROUP: OWNER, OTHER: OTHER_OWNER, GATED: KEEPER}
OUT = {GROUP: {BANNED: "ban", GONE: "leave"}, OTHER: {}, GATED: {}}
CODES = {GROUP: "G-2222", OTHER: "G-4222", GATED: "G-6222"}
GATE = """
[[verification.rooms]]
rooms = ["G-6222"]
write = 2
below = "gate"
"""


class World:
    """Three groups with their desks, and a direct room for everybody."""

    def __init__(self, folder: Path, *, cases: bool = True) -> None:
        """Create the world. With `cases` some cases are open, with cards; else nothing waits for anybody."""
        self.door = Door.open(folder, CONFIG + GATE)
        self.cases: dict[int, tuple[RoomId, str]] = {}  # number -> room and the person it is about
        self.rules: dict[int, str] = {}
        self.decided: Counter[int] = Counter()  # how often by people
        self.appealed: set[int] = set()
        self.cards: dict[int, str] = {}
        self.codes: dict[RoomId, str] = dict(CODES)
        self.levels = {room: dict(users) for room, users in LEVELS.items()}
        self.there: dict[RoomId, set[str]] = {}  # who is, or is asked to be, in a room
        self.known: dict[RoomId, set[str]] = {room: set(users) for room, users in LEVELS.items()}  # and who ever was
        self.out = {room: set(users) for room, users in OUT.items()}
        self.desks: dict[RoomId, RoomId] = {}
        others = (f"G-{letter}222" for letter in "3579BCDEFGHJKLMNPQRSTUVWXYZ")
        for room, levels in LEVELS.items():
            self._group(room, levels, next(others))
        self.direct = {
            user: self._room(f"direct-{number}", "direct", {user: 0}, user=user, code=next(others))
            for number, user in enumerate(PEOPLE)
        }
        until = self.door.now + 365 * 86_400_000
        known = [
            PersonVerified(method="roster", level=2, until=until, subject=UserId(user))
            for user in (OWNER, MAX, OTHER_OWNER, OTHER_MAX)
        ]
        self.door.run(self.door.pipeline.commit(known))  # who vouches has to be verified
        self._bar(BARRED, until)
        bodies = ("hello", "forbidden 17", "forbidden 18") if cases else ("hello", "good morning", "12", "bye", "tea?")
        self.messages = [event for room in (GROUP, OTHER) for event in self._story(room, bodies)]

    def again(self, folder: Path) -> "World":
        """Return a copy of this closed world in another folder."""
        twin = copy(self)
        twin.door = self.door.again(folder)
        for name in ("cases", "rules", "decided", "appealed", "cards", "messages"):
            setattr(twin, name, copy(getattr(self, name)))
        for name in ("levels", "there", "known", "out"):
            setattr(twin, name, {room: copy(value) for room, value in getattr(self, name).items()})
        return twin

    def _bar(self, user: str, until: int) -> None:
        """Let the operator ban somebody from all rooms."""
        n, who = self.door.pipeline.knowledge.next_case, UserId(user)
        by: Any = {"n": n, "rule": "barred_list", "subject": who, "by": OPERATOR, "reason": "why"}
        opened = CaseOpened(
            room=GROUP, grade="severe", decide="manager", state="decided", due=0, asked="operator", **by
        )
        self.learn(opened)
        start = SanctionStarted(kind="ban", until=until, basis="operator", **by)
        self.door.run(self.door.pipeline.commit((opened, start)))

    def _group(self, room: RoomId, levels: dict[str, int], desk_code: str) -> None:
        name = room[1:].partition(":")[0]
        self._room(name, "group", levels, owner=OWNERS[room], code=self.codes[room])
        running = {user: 0 for user, level in levels.items() if level >= 50}
        self.desks[room] = self._room(f"desk-{name}", "desk", running, served=self.codes[room], code=desk_code)
        for user, membership in OUT[room].items():
            self.take(room, OWNERS[room], "m.room.member", {"membership": membership}, state_key=user)

    def _room(self, name: str, purpose: Any, people: dict[str, int], **more: Any) -> RoomId:
        room = self.door.room(name, purpose, people, **more)
        self.there[room] = {*people, str(BOT)}
        return room

    def _story(self, room: RoomId, bodies: tuple[str, ...]) -> Iterator[tuple[RoomId, str]]:
        """Produce messages of everybody, and cases of members and managers with cards. Yields rooms and events."""
        for user in [user for user in LEVELS[room] if user not in OUT[room]]:
            for body in bodies:
                said = self.take(room, user, "m.room.message", {"msgtype": "m.text", "body": body})
                assert said.event is not None
                yield room, said.event
        for n in [n for n, (where, _) in self.cases.items() if where == room and n not in self.cards]:
            mark = {"case": n, "request": f"card{n}"}
            content = {"msgtype": "m.notice", "body": f"Case {n}", "org.answerable.card": mark}
            card = self.take(self.desks[room], str(BOT), "m.room.message", content)
            assert card.event is not None
            self.cards[n] = card.event

    # What happens, as people see it.

    def take(self, room: RoomId, sender: str, type_: str, content: Any, **more: Any) -> Received:
        """Receive an event in a room."""
        event = self.door.read(room, sender, type_, content, **more)
        self.took(event)
        return event

    def took(self, event: Received) -> tuple[list[Fact], list[Action]]:
        """Take an event. Returns what was recorded and queued because of it."""
        if isinstance(event, MembershipChanged):
            self._moved(event)
        facts, actions = self.door.take(event)
        for fact in facts:
            self.learn(fact)
        return facts, actions

    def _moved(self, event: MembershipChanged) -> None:
        there = event.membership in ("join", "invite")
        people = self.there.setdefault(event.room, set())
        (people.add if there else people.discard)(event.user)
        if event.room in self.out and event.membership != "knock":
            (self.out[event.room].discard if there else self.out[event.room].add)(event.user)
        if event.membership == "join":
            self.known.setdefault(event.room, set()).add(event.user)

    def learn(self, fact: Fact) -> None:
        """Note a case that was opened, or decided."""
        if isinstance(fact, CaseOpened) and fact.room is not None:
            self.cases[fact.n] = (fact.room, fact.subject)
            self.rules[fact.n] = fact.rule
        if isinstance(fact, CaseDecided):
            self.decided[fact.n] += 1
        if isinstance(fact, Appealed):
            self.appealed.add(fact.n)

    # Who may do what, from docs/model.md and docs/responsibility.md.

    def manages(self, user: str, room: RoomId | None) -> bool:
        """Tell whether somebody manages a room and is in it, or is the operator."""
        there = room in self.levels and self.levels[room].get(user, 0) >= 50 and user not in self.out[room]
        return user == OPERATOR or there

    def owns(self, user: str, room: RoomId | None) -> bool:
        """Tell whether somebody owns a room and is in it, or is the operator."""
        return self.manages(user, room) and (user == OPERATOR or (room is not None and self.levels[room][user] >= 100))

    def inside(self, user: str, room: RoomId | None) -> bool:
        """Tell whether somebody is in a room, or is the operator."""
        return user == OPERATOR or (room is not None and user in self.there[room] and user not in self.out[room])

    def stands_above(self, user: str, target: str, room: RoomId) -> bool:
        """Tell whether somebody may act on another person by their level, as they could without the bot."""
        return user == OPERATOR or self.levels[room].get(user, 0) > self.levels[room].get(target, 0)

    def community(self, room: RoomId | None) -> str:
        """Return how far decisions of a room's people count: each room is a community of its own."""
        return self.codes.get(room or RoomId(""), "")
