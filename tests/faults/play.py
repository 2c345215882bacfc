"""One story on a simulated homeserver, in which the bot may be killed anywhere, and what there is to see of it then.

The bot was away. Meanwhile one person broke a rule that acts at once, one a rule that mutes, one a rule that managers
decide on, and much was said, more than one answer holds. The bot comes; the manager upholds one case; who was warned
appeals and is heard. Everybody acts as soon as they see what they wait for, however often the bot dies.

Rules kept here: people act once; a bot that died is started again, without the fault; what is compared is what people
see on the homeserver, the records and the tables, each under names that are the same in every run.
Left to others: how something is said and read, in the clear or encrypted (`people.py`).
"""

import asyncio
import copy
import inspect
import json
import os
import re
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from bot.catch_up import Rooms
from moderation.facts import ActionTaken, Fact, NoticeGiven, NotSeen, StatementGiven
from storage.database import FILE
from storage.entries import fact_of_record
from storage.records.reader import Log
from storage.records.verify import verify
from tests.fakes.homeserver import SimulatedHomeserver
from tests.fakes.homeserver_rooms import Room, World, seed
from tests.faults.people import NAMES, People, SealedPeople, again

ROOT = Path(__file__).parents[2]
ALL = os.environ.get("FAULTS") == "all"  # `make faults`
WITHIN_S = 60.0
CONFIG = """
[homeserver]
url = "{url}"
user = "{user}"
[bot]
data_dir = "{data}"
allow_invites = ["*:simulated.example.org"]
digest = ""
[[rules]]
name = "no-elephants"
kind = "terms"
class = "moderate"
terms = ["purple elephant"]
[[rules]]
name = "loud"
kind = "terms"
class = "serious"
measure = "mute"
mute_for = "1h"
terms = ["geyser"]
[[rules]]
name = "tickets"
kind = "pattern"
class = "serious"
decide = "manager"
patterns = ["forbidden \\\\d+"]
"""
KINDS = frozenset({"case", "decision", "appeal", "sanction", "credit", "statement", "task"})
OTHERWISE = frozenset({"on", "start", "undoes", "due", "until", "event", "room", "txn", "made", "statement"})
_IDS = re.compile(r"[!$][A-Za-z0-9_-]{20,}")
# What people say while the bot is away: who, and what.
MEANWHILE = (
    ("ann", "a purple elephant"),
    *(("cat", f"tea {n}") for n in range(70)),
    ("ben", "a geyser"),
    ("owner", "forbidden 7"),
    *(("cat", f"cake {n}") for n in range(70)),
)


class Zygote:
    """The process that forks bots."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> "Zygote":
        """Start it."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.victim"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        return cls(process)

    async def fork(self, **order: Any) -> int:
        """A bot; its pid."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return int((await self._line())["pid"])

    async def ended(self) -> int:
        """How it ended."""
        return int((await self._line())["ended"])

    async def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "the process that forks bots has ended"
        return dict(json.loads(line))

    async def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


@dataclass
class Fault:
    """What befalls the bot: killed before step `kill_at`, in the middle of it where that is a write and `torn`; or the
    system refuses every step `fail` ("write", "flush" ...) from step `fail_from` on."""

    kill_at: int = 0
    torn: bool = False
    after_s: float = 0.0  # killed so long after its start, wherever it stands
    fail: str = ""
    fail_from: int = 0

    def order(self) -> dict[str, Any]:
        """For the victim."""
        return {"kill_at": self.kill_at, "torn": self.torn, "fail": self.fail, "fail_from": self.fail_from}


@dataclass
class Start:
    """The scene before the story: the bot's folder and the homeserver as they stand."""

    folder: Path
    server: SimulatedHomeserver
    session: tuple[str, str, str]
    room: str
    desk: str
    accounts: dict[str, tuple[str, str, str]]
    tokens: dict[str, str]  # up to where each person's device has heard; none where nothing is encrypted
    meanwhile: list[tuple[str, str, dict[str, Any]]]  # `MEANWHILE`: who, type and content

    @property
    def people(self) -> Path:
        """Where people's devices keep their keys."""
        return self.folder / "people"


@dataclass
class Seen:
    """What there is to see of a story that is over."""

    deaths: int
    step: str  # at which it died
    steps: int
    journal_in_order: bool
    recorded_twice: int
    facts: Counter[str] = field(default_factory=Counter)
    tables: dict[str, list[Any]] = field(default_factory=dict)
    homeserver: Counter[str] = field(default_factory=Counter)
    problems: tuple[str, ...] = ()
    unseen: list[str] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)
    said: str = ""  # on stderr


async def scene(folder: Path, zygote: Zygote, *, encrypted: bool = False) -> Start:
    """A room that the bot protects, and its desk with everybody in it."""
    async with SimulatedHomeserver() as server:
        session = server.account("bot")
        bot, world = session[0], server.world
        accounts = {name: server.account(name) for name in NAMES}
        people = await SealedPeople.open(server, folder / "people", accounts, {}) if encrypted else People(server)
        await people.listen()
        users = people.users
        room = world.create(users["owner"], {"name": "Teahouse", "room_version": "10"})
        if encrypted:
            world.add(room, users["owner"], "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"}, "")
        seed(world, room, [users[name] for name in NAMES[1:]])
        levels = dict(room.content("m.room.power_levels") or {})
        levels["users"] = {**levels["users"], users["manager"]: 50, bot: 100}
        world.add(room, users["owner"], "m.room.power_levels", levels, "")
        world.invite(room, users["owner"], bot)
        running = Running(folder, server, session, zygote)
        await running.start()
        desk = await running.until(
            lambda: _first(running.rows("SELECT room FROM rooms WHERE purpose = 'desk'")), "a desk"
        )
        for user in (users["owner"], users["manager"]):
            await running.until(partial(_is_invited, world.rooms[desk], user), "an invitation")
            world.join(desk, user)
        server.tell()
        await running.until(running.is_idle, "the bot to have said everything")
        await running.stop()
        await people.listen()
        meanwhile = [(name, *await people.sealed(name, room, body)) for name, body in MEANWHILE]
        tokens = people.tokens if isinstance(people, SealedPeople) else {}
        await people.close()
    return Start(folder, server, session, room.id, desk, accounts, tokens, meanwhile)


class Running:
    """A bot with its folder and its homeserver."""

    def __init__(
        self,
        folder: Path,
        server: SimulatedHomeserver,
        session: tuple[str, str, str],
        zygote: Zygote,
        place: "Place | None" = None,
    ) -> None:
        self.folder = folder
        self.place = place or Place(folder / "data")
        self.server = server
        self.session = session
        self.deaths = 0
        self.step = ""  # at which it died
        self.starts = 0
        self.exits: list[int] = []
        self._zygote = zygote
        self._pid = 0
        self._ended: asyncio.Task[int] | None = None

    async def start(self, **order: Any) -> None:
        """Start the bot."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = CONFIG.format(url=self.server.url, user=self.session[0], data=self.place.data)
        (self.folder / "config.toml").write_text(config)
        env = {"ANSWERABLE_ACCESS_TOKEN": self.session[1], "ANSWERABLE_DEVICE_ID": self.session[2]}
        self.starts = 1 + self._ready()
        self._pid = await self._zygote.fork(folder=str(self.folder), env=env, **order)
        self._ended = asyncio.create_task(self._zygote.ended())

    def _ready(self) -> int:
        """How often it has said that it is ready."""
        return _text(self.folder / "stderr").count('"event": "ready"')

    def is_dead(self) -> bool:
        """Whether it has ended."""
        return self._ended is not None and self._ended.done()

    async def wait(self) -> int:
        """How it ended."""
        assert self._ended is not None
        self.exits.append(await self._ended)
        self._ended = None
        return self.exits[-1]

    def died_at(self) -> None:
        """Note where it died."""
        self.deaths += 1
        self.step = _text(self.folder / "steps").rpartition("\n")[0].rpartition("\n")[2]

    async def kill(self) -> None:
        """Wherever it stands."""
        await self._signal("-KILL")

    async def stop(self) -> int:
        """Ask it to stop, once it listens; how it ended."""
        await self.until(
            lambda: self.starts == _text(self.folder / "stderr").count('"event": "ready"'), "the bot to run"
        )
        await self._signal("-TERM")
        return await self.wait()

    async def _signal(self, name: str) -> None:
        process = await asyncio.create_subprocess_exec("kill", name, str(self._pid), stderr=asyncio.subprocess.DEVNULL)
        await process.wait()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of its database; none while there is none."""
        try:
            connection = sqlite3.connect(f"file:{self.place.data / FILE}?mode=ro", uri=True, timeout=5)
        except sqlite3.OperationalError:
            return []
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []
        finally:
            connection.close()

    def is_idle(self) -> bool:
        """Whether it has recorded all there is to record, and said all there is to say."""
        if self.rows("SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM gaps)") != [(0,)]:
            return False
        known = {event for (event,) in self.rows("SELECT event FROM events")}
        rooms = [self.server.world.rooms[room] for (room,) in self.rows("SELECT room FROM rooms")]
        return bool(rooms) and all(room.events[-1].id in known for room in rooms)

    async def until(self, look: Callable[[], Any], what: str, within_s: float = WITHIN_S) -> Any:
        """What `look` finds, once it finds something. A bot that died meanwhile is started again."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + within_s
        while not (found := await _what(look)):
            if self.is_dead():
                await self.wait()
                self.died_at()
                self.place.mends()
                await self.start()
            assert loop.time() < ends, f"waited {within_s:g} s for {what}: {_text(self.folder / 'stderr')}"
            await asyncio.sleep(0.01)
        return found


@dataclass
class Place:
    """Where the bot's data is; what happens there when it starts, and once it has died of it."""

    data: Path
    begins: Callable[[], Any] = lambda: None
    mends: Callable[[], Any] = lambda: None


async def story(start: Start, folder: Path, zygote: Zygote, fault: Fault, place: Place | None = None) -> Seen:
    """The story, with what befalls the bot in it."""
    place = place or Place(folder / "data")
    shutil.copytree(start.folder / "data", place.data, dirs_exist_ok=True)
    async with again_at(start.server) as server:
        people = await again(server, start.people, folder / "people", start.accounts, start.tokens)
        play = Play(start, Running(folder, server, start.session, zygote, place), people)
        place.begins()
        play.before()
        await play.running.start(**fault.order())
        killing = asyncio.create_task(_later(play.running, fault.after_s)) if fault.after_s else None
        await play.until_over()
        if killing is not None:
            await killing
            await play.until_over()
        await play.running.stop()
        if play.running.exits[-1] == -9:  # the step was in its stopping
            play.running.died_at()
            await play.running.start()
            await play.until_over()
            await play.running.stop()
        assert play.running.exits[-1] == 0, _text(folder / "stderr")
        await people.listen()
        await people.close()
        return play.seen()


async def _later(running: Running, after_s: float) -> None:
    await asyncio.sleep(after_s)
    if not running.is_dead():
        await running.kill()


def again_at(server: SimulatedHomeserver) -> SimulatedHomeserver:
    """Another homeserver at which everything stands as at this one."""
    other = SimulatedHomeserver()
    for name in ("world", "keys", "devices", "_tokens", "_done", "_data"):
        setattr(other, name, copy.deepcopy(getattr(server, name)))
    return other


class Play:
    """What people do."""

    def __init__(self, start: Start, running: Running, people: People) -> None:
        self.running = running
        self.people = people
        self._meanwhile = start.meanwhile
        self.world: World = running.server.world
        self.room, self.desk = self.world.rooms[start.room], self.world.rooms[start.desk]
        self.users = people.users
        self.bot = start.session[0]
        self._done: set[str] = set()
        self._said: dict[str, str] = {}  # what the events of people are called
        self._place = len(self.world.order)

    def before(self) -> None:
        """What happened while the bot was away."""
        for (name, type, content), (_, body) in zip(self._meanwhile, MEANWHILE, strict=True):
            self._send(self.room, name, type, content, f"{name}: {body}")
        self.people.skip()

    async def _say(self, name: str, body: str, room: Room) -> None:
        self._send(room, name, *await self.people.sealed(name, room, body), f"{name}: {body}")

    def _send(self, room: Room, name: str, type: str, content: dict[str, Any], called: str) -> None:
        event = self.world.send(room, self.users[name], type, content)
        self._said[event.id] = called
        self.running.server.tell()

    async def until_over(self) -> None:
        """Everybody acts until there is nothing left to do."""
        await self.running.until(self._is_over, "the end of the story")

    async def _is_over(self) -> bool:
        await self.people.listen()
        for room in list(self.world.rooms.values()):
            if room.creator == self.bot:
                self._accept(room)
        await self._appeal()
        await self._decide()
        states = self.running.rows("SELECT n, state FROM cases ORDER BY n")
        return states == [(1, "reversed"), (2, "decided"), (3, "decided")] and self.running.is_idle()

    def _accept(self, room: Room) -> None:
        for user in self.users.values():
            if room.membership(user) == "invite":
                self.world.join(room.id, user)
                self.running.server.tell()

    async def _appeal(self) -> None:
        for room in list(self.world.rooms.values()):
            mine = room.creator == self.bot and room.membership(self.users["ann"]) == "join"
            if mine and self._hears(room, "!appeal") and self._once("appeal"):
                await self._say("ann", "!appeal 1 I meant the plush one", room)

    async def _decide(self) -> None:
        card = next((e for e in self.desk.events if self._body(e.raw).startswith("Case 3 ")), None)
        if card is not None and self._once("uphold"):
            relation = {"rel_type": "m.annotation", "event_id": card.id, "key": "✅"}
            self._send(self.desk, "manager", "m.reaction", {"m.relates_to": relation}, "manager: upholds")
        # Once the bot has said all: of two edits of a card that wait, only the later is sent.
        appealed = self._hears(self.desk, "the plush one") and self.running.is_idle()
        if appealed and self._once("heard"):
            await self._say("manager", "!dismiss 1 so it was", self.desk)

    def _hears(self, room: Room, words: str) -> bool:
        return any(e.raw["sender"] == self.bot and words in self._body(e.raw) for e in room.events)

    def _body(self, raw: Mapping[str, Any]) -> str:
        return str(self.people.clear(dict(raw))["content"].get("body", ""))

    def _once(self, what: str) -> bool:
        if what in self._done:
            return False
        self._done.add(what)
        return True

    # What there is to see.

    def seen(self) -> Seen:
        """All of it."""
        running, data = self.running, self.running.place.data
        facts, recorded = self._records(data)
        steps = (running.folder / "steps").read_text().splitlines()
        inside = {room.id for room in self.world.rooms.values() if room.id in recorded}
        orders = []
        for room in inside:
            there = [e.id for e in self.world.rooms[room].events if e.place > self._place]
            known = set(there)
            orders.append([e for e in recorded[room] if e in known] == there)
        every = [event for events in recorded.values() for event in events]
        return Seen(
            deaths=running.deaths,
            step=running.step,
            steps=len(steps),
            journal_in_order=all(orders),
            recorded_twice=len(every) - len(set(every)),
            facts=Counter(self._plain(f) for f in facts if f.KIND in KINDS or isinstance(f, NoticeGiven | ActionTaken)),
            tables={
                name: sorted(json.loads(self._named(json.dumps(row))) for row in running.rows(sql))
                for name, sql in _TABLES.items()
            },
            homeserver=self._acts(),
            problems=tuple(str(problem) for problem in verify(data / "records").problems),
            exits=running.exits,
            said=_text(running.folder / "stderr"),
            unseen=[f"{f.what} {f.detail}" for f in facts if isinstance(f, NotSeen) and f.what not in ("torn", "down")],
        )

    def _records(self, data: Path) -> tuple[list[Fact], dict[str, list[str]]]:
        rooms = Rooms({})
        facts: list[Fact] = []
        recorded: dict[str, list[str]] = {}
        codes: dict[str, str] = {code: room for room, code in self.running.rows("SELECT room, code FROM rooms")}
        for record in Log(data / "records").read():
            if (fact := fact_of_record(record, rooms.of)) is not None:
                rooms.learn(fact)
                facts.append(fact)
            elif record.parts and "ev" in record.parts[0] and record.group in codes:
                recorded.setdefault(codes[record.group], []).append(str(record.parts[0]["ev"]))
        return facts, recorded

    def _plain(self, fact: Fact) -> str:
        if isinstance(fact, ActionTaken) and fact.action in ("align", "keep-desk", "enter"):
            return "in step with the room"  # looked after at each start
        values = {f.name: getattr(fact, f.name) for f in fields(fact) if f.name not in OTHERWISE}
        if isinstance(fact, StatementGiven):
            values["says"] = sorted(json.loads(fact.statement))
        return self._named(f"{type(fact).__name__} {json.dumps(values, sort_keys=True, default=str)}")

    def _acts(self) -> Counter[str]:
        """What the bot did on the homeserver since the story began."""
        labels = {room.id: self._label(room) for room in self.world.rooms.values()}
        found = []
        for room, event in self.world.order[self._place :]:
            raw = event.raw
            if raw["sender"] != self.bot:
                continue
            target = raw.get("redacts") or (raw["content"].get("m.relates_to") or {}).get("event_id", "")
            body = re.sub(r"\d+", "#", self._body(raw)) or str(raw["content"].get("m.relates_to", {}).get("key", ""))
            what = [
                labels[room.id],
                self.people.clear(raw)["type"],
                raw.get("state_key", "-"),
                self._said.get(target, ""),
                body,
            ]
            found.append(self._named(" | ".join(what)))
        return Counter(found)

    def _label(self, room: Room) -> str:
        if room.id in (self.room.id, self.desk.id):
            return "group" if room.id == self.room.id else "desk"
        people = [name for name, user in self.users.items() if room.membership(user) != "leave"]
        return "direct with " + " ".join(people)

    def _named(self, text: str) -> str:
        return _IDS.sub("ID", text)


_TABLES: Mapping[str, str] = {
    "cases": "SELECT n, subject, rule, state, outcome, by, asked FROM cases",
    "credit": "SELECT user, entry, cost, rule, n, ledger FROM credit",
    "sanctions": "SELECT kind, subject, rule, n, ended > 0, why_ended FROM sanctions",
    "holds": "SELECT user, what, step, prior, held FROM holds",
}


def _is_invited(room: Room, user: str) -> bool:
    return room.membership(user) == "invite"


def _first(rows: list[tuple[Any, ...]]) -> Any:
    return rows[0][0] if rows else None


async def _what(look: Callable[[], Any]) -> Any:
    """What it finds, whether or not that takes a while."""
    found = look()
    return await found if inspect.isawaitable(found) else found


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def different(peace: Seen, other: Seen) -> dict[str, Any]:
    """What is otherwise than in the run that was not disturbed; nothing if all is well."""
    found: dict[str, Any] = {}
    if not other.journal_in_order:
        found["order"] = "the journal is not in the order of the homeserver, or lacks something"
    if other.recorded_twice:
        found["twice"] = other.recorded_twice
    step = "in step with the room"
    for name in ("facts", "homeserver"):
        ours, theirs = Counter(getattr(peace, name)), Counter(getattr(other, name))
        for counted in (ours, theirs):
            counted.pop(step, None)
        if ours != theirs:
            found[name] = {"missing": dict(ours - theirs), "more": dict(theirs - ours)}
    if peace.tables != other.tables:
        found["tables"] = {
            name: (rows, other.tables[name]) for name, rows in peace.tables.items() if rows != other.tables[name]
        }
    if other.problems or other.unseen:
        found["records"] = [*other.problems, *other.unseen]
    return found
