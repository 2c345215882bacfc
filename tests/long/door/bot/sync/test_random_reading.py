"""Whatever people, the line and the bot's own stops do, what is read is whole, in order, and true at the end.

Rules kept here:
- What people and the line do is drawn from a seed. How it falls together is up to the machine, and what is demanded at
  the end holds however it does.
- The homeserver's own rooms say what was to be recorded, and what holds.
- More seeds: `READING_SEEDS="1 2 3" pytest FILE`.
"""

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from aiohttp import web

from bot.matrix.sync_filter import SYNC_FILTER
from bot.sync import backfill, sync_loop
from moderation.model.facts import NotSeen, RoomStateChanged
from moderation.values.ids import RoomId
from tests.door.bot.pipeline.test_replay import TABLES, rebuilt
from tests.fakes.bad_line import BadLine
from tests.fakes.homeserver import SimulatedHomeserver
from tests.fakes.homeserver_rooms import MEMBER, Event, Room, World
from tests.people.client import Client, MatrixError
from tests.theatre.scene import Scene, Theatre
from tests.theatre.served import ServedBot, until
from tests.theatre.simulated import SimulatedAccounts
from tests.theatre.stage import Stage

SEEDS = [int(each) for each in os.environ.get("READING_SEEDS", "1 2").split()]
STEPS = 40  # of each person
KINDS = [
    *["say"] * 8,
    "redact",
    *["level"] * 2,
    "name",
    "topic",
    "rule",
    "out",
    *["back"] * 2,
    "leave",
    "rename",
    "bot",
]
WORDS = ("hello", "and then", "a purple elephant", "!help", "what", "forbidden 7")


class RandomLine(BadLine):
    """A line that delays requests, loses answers, and repeats answers of `/sync` as Synapse does, at random."""

    def __init__(self, to: str, random: Random) -> None:
        super().__init__(to)
        self.is_bad = False
        self._random = random
        self._told: dict[str, web.Response] = {}  # the last question of `/sync`, with the answer

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self.is_bad:
            return await super()._handle(request)
        await self._pause()
        if self._random.random() < 0.06:
            return web.Response(status=502)
        truth = await self._truth(request)
        await self._pause()
        if self._random.random() < 0.03:
            return web.Response(status=502)
        if self._random.random() < 0.03 and request.transport is not None:
            request.transport.close()
        return web.Response(status=truth.status, body=truth.body, headers=truth.headers)

    async def _truth(self, request: web.BaseRequest) -> web.Response:
        asked = request.raw_path
        if asked in self._told and self._random.random() < 0.7:
            return self._told[asked]
        truth = await self._handed_on(request)
        if "/sync" in asked:
            self._told = {asked: truth}
        return truth

    async def _pause(self) -> None:
        if self._random.random() < 0.5:
            await asyncio.sleep(self._random.random() ** 2 * 0.3)


class Story:
    """People who act at random in groups, a desk and a direct room, and a bot that stops, crashes and is removed."""

    def __init__(self, scene: Scene, world: World, direct: RoomId, random: Random) -> None:
        self.scene = scene
        self.bot = scene.bot
        self.world = world
        self.owners = {scene.room: scene.owner, direct: scene.members[0]}  # of the rooms but the desk
        self.groups = [scene.room]
        self.people = [scene.owner, *scene.managers, *scene.members]
        self.random = random

    async def tell(self, theatre: Theatre) -> None:
        """Let all happen, and end with a bot that runs."""
        acts = asyncio.gather(self._open_another(theatre), *map(self._person, self.people))
        while not acts.done():
            await asyncio.wait({acts}, timeout=self.random.uniform(0.1, 2.5))
            await (self.bot.crash() if self.random.random() < 0.5 else self.bot.stop())
            await asyncio.sleep(self.random.choice([0, 0, 0.2, 0.6]))
            self.bot.start()
        await acts

    async def _open_another(self, theatre: Theatre) -> None:
        await asyncio.sleep(self.random.random())
        scene = self.scene
        room = await theatre.room(self.bot, scene.owner, scene.managers[:1], scene.members[:2], opened=False)
        self.owners[room] = scene.owner
        self.groups.append(room)

    async def _person(self, who: Client) -> None:
        for _ in range(STEPS):
            with suppress(MatrixError):
                await self._act(who, self.random.choice(self.groups), self.random.choice(self.people))
            await asyncio.sleep(self.random.choice([0, 0.01, 0.05, 0.15]))

    async def _act(self, who: Client, room: RoomId, other: Client) -> None:
        owner, random, some = self.owners[room], self.random, str(self.random.random())
        match random.choice(KINDS):
            case "say":
                place = random.choice([room, room, self.scene.desk, *self.owners])
                for _ in range(random.choice([1, 1, 1, 2, 9])):
                    await who.send_text(place, f"{random.choice(WORDS)} {some}")
            case "redact":
                mine = [e.id for e in self.world.rooms[room].events if e.raw["sender"] == who.user and e.key is None]
                await who.redact(room, random.choice(mine or ["$none"]))
            case "level" if other is not owner:
                await owner.set_power(room, {other.user: random.choice([None, 0, 25, 50, 60])})
            case "name":
                await owner.set_state(room, "m.room.name", {"name": some})
            case "topic":
                await owner.set_state(room, "m.room.topic", {"topic": some})
            case "rule":
                await owner.set_state(room, "m.room.join_rules", {"join_rule": random.choice(["invite", "public"])})
            case "out" if other is not owner:
                await self._remove(room, other.user)
            case "back":
                await self._back(room, other)
            case "leave" if who is not owner:
                await who.leave(random.choice([room, self.scene.desk]))
            case "rename":
                await who.request("PUT", "profile", who.user, "displayname", json={"displayname": some})
            case "bot" if random.random() < 0.6:
                await self._remove_bot(random.choice([*self.owners]))

    async def _remove(self, room: RoomId, user: str) -> None:
        how = self.random.choice(["kick", "kick", "ban"])
        await self.owners[room].request("POST", "rooms", room, how, json={"user_id": user})

    async def _back(self, room: RoomId, who: Client) -> None:
        await self._let_in(room, who.user)
        with suppress(MatrixError):
            await self.owners[room].invite(room, who.user)
        for each in (room, self.scene.desk):
            if self.world.rooms[each].membership(who.user) == "invite":
                await who.join(each)

    async def _let_in(self, room: RoomId, user: str) -> None:
        if self.world.rooms[room].membership(user) == "ban":
            await self.owners[room].request("POST", "rooms", room, "unban", json={"user_id": user})

    async def _remove_bot(self, room: RoomId) -> None:
        if self.world.rooms[room].membership(self.bot.user) == "join":
            await self._remove(room, self.bot.user)
            await asyncio.sleep(self.random.choice([0, 0, 0.1, 0.5]))
            if self.random.random() < 0.7:
                await self.invite_bot(room)

    async def invite_bot(self, room: RoomId) -> None:
        """Invite the bot, unless it is in the room or invited."""
        await self._let_in(room, self.bot.user)
        if self.world.rooms[room].membership(self.bot.user) == "leave":
            again = {"membership": "invite", **({} if room in self.groups else {"is_direct": True})}
            await self.owners[room].set_state(room, MEMBER, again, key=self.bot.user)

    async def ends(self) -> None:
        """Wait until the bot is in all rooms and has read all of them, and stop it."""
        bot = self.bot
        for room in self.owners:
            await until(lambda room=room: self._is_in(room), f"the bot in {room}")  # type: ignore[misc]
        for room, owner in [*self.owners.items(), (self.scene.desk, self.scene.owner)]:
            with suppress(MatrixError):  # who left the desk
                await bot.has(await owner.send_text(room, "the last word"))
        await bot.until(self._is_at_rest, "everything to be read and answered")
        await bot.stop()

    async def _is_in(self, room: RoomId) -> bool:
        self.bot.must_live()
        with suppress(MatrixError):
            await self.invite_bot(room)
        is_in = self.world.rooms[room].membership(self.bot.user) == "join"
        return is_in and self.bot.condition(room) in ("protected", "observing")

    def _is_at_rest(self) -> bool:
        waits = (
            "SELECT 1 FROM outbox WHERE priority <= 3 AND action NOT LIKE '%show-power%'"  # which may wait for a desk
        )
        newest = [room.events[-1].id for room in self.rooms()]
        marks = ",".join("?" * len(newest))
        ((count,),) = self.bot.rows(f"SELECT count(*) FROM events WHERE event IN ({marks})", *newest)
        return count == len(newest) and not self.bot.rows("SELECT 1 FROM gaps") and not self.bot.rows(waits)

    def rooms(self) -> list[Room]:
        """Return the rooms that the bot is in."""
        return [room for room in self.world.rooms.values() if room.membership(self.bot.user) == "join"]


@pytest.fixture
def small_answers(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Make answers and pages as small as the seed says, and waits short."""
    random = Random(f"sizes {seed}")
    for name, value in (
        ("PAGE", random.randint(3, 10)),
        ("SHORT", random.randint(1, 3)),
        ("OVERLAP", random.randint(1, 5)),
        ("LAST_RETRY_S", 0.1),
    ):
        monkeypatch.setattr(backfill, name, value)
    for module in (backfill, sync_loop):
        monkeypatch.setattr(module, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(sync_loop, "LAST_RETRY_S", 0.1)
    room = {**SYNC_FILTER["room"], "timeline": {"limit": random.randint(1, 5), "lazy_load_members": True}}
    monkeypatch.setattr(sync_loop, "SYNC_FILTER", {**SYNC_FILTER, "room": room})


@pytest.mark.usefixtures("small_answers")
@pytest.mark.parametrize("seed", SEEDS)
async def test_what_is_read_is_whole_in_order_and_true(seed: int, tmp_path: Path) -> None:
    random = Random(f"story {seed}")
    async with (
        SimulatedHomeserver(name="localhost") as homeserver,
        Stage(SimulatedAccounts(homeserver)) as stage,
        RandomLine(homeserver.url, random) as line,
    ):
        theatre = Theatre(stage, tmp_path)
        theatre.url = line.url
        try:
            line.is_bad = random.random() < 0.5
            scene = await theatre.scene(managers=2, members=3)
            direct = await scene.members[0].create_room(is_direct=True, invite=[scene.bot.user])
            story = Story(scene, homeserver.world, direct, random)
            line.is_bad = True
            await story.tell(theatre)
            line.is_bad = False
            await story.ends()
        finally:
            line.is_bad = False
            await theatre.close()
    bot = scene.bot
    assert {room.id: wrong for room in story.rooms() if (wrong := list(_wrong(bot, room)))} == {}
    live = {name: bot.table(name) for name in TABLES}
    assert {name: rows for name, rows in (await rebuilt(bot, tmp_path)).items() if rows != live[name]} == {}


def _wrong(bot: ServedBot, room: Room) -> Iterator[object]:
    """Yield what the bot recorded or holds otherwise than the homeserver."""
    ((purpose, levels, name),) = bot.rows("SELECT purpose, levels, name FROM rooms WHERE room = ?", room.id)
    here = {user: str(event.raw["content"]["membership"]) for user, event in room.members.items()}
    told = dict(bot.rows('SELECT "user", membership FROM members WHERE room = ?', room.id))
    if purpose == "direct":  # who was there before the bot is not known
        here = {user: here[user] for user in here.keys() & told.keys()}
    else:
        if levels != json.dumps(room.content("m.room.power_levels"), sort_keys=True):
            yield "levels", levels, room.content("m.room.power_levels")
        if name != (room.content("m.room.name") or {}).get("name", ""):
            yield "name", name, room.content("m.room.name")
    told = {user: there for user, there in told.items() if user in here or there != "leave"}  # of whom levels speak
    if told != here:
        yield "members", {user: (told.get(user), here.get(user)) for user, _ in told.items() ^ here.items()}
    yield from _wrongly_recorded(bot, room, _begins(bot, room))


def _wrongly_recorded(bot: ServedBot, room: Room, begins: Sequence[int]) -> Iterator[object]:
    """Yield what is recorded of messages, which have one place, where it is not as the homeserver has it."""
    said = {event.id: place for place, event in enumerate(room.events) if event.key is None}
    recorded = [said[event] for event in bot.recorded(room.id) if event in said]
    if recorded != sorted(set(recorded)):
        yield "order", recorded
    gone = [place for place, event in enumerate(room.events) if _ends_stay(bot, event)]
    stays = [(begin, next((end for end in gone if end > begin), len(room.events))) for begin in begins]
    there = [place for place in said.values() if any(begin < place < end for begin, end in stays)]
    if outside := sorted({*recorded} - {*there}):
        yield "of an absence", outside, stays
    owed = [place for place in there if place > begins[-1]] if _is_lacking(bot, room) else there
    if missing := sorted({*owed} - {*recorded}):
        yield "missing", missing, stays


def _ends_stay(bot: ServedBot, event: Event) -> bool:
    """Tell whether an event is a removal of the bot."""
    return event.key == (MEMBER, bot.user) and event.raw["content"]["membership"] in ("leave", "ban")


def _begins(bot: ServedBot, room: Room) -> list[int]:
    """Return after which events the stays in a room begin; a room of the bot's own is recorded from its first."""
    places = {event.id: place for place, event in enumerate(room.events)}
    found, notice = list[int](), ""
    for fact in bot.facts(RoomStateChanged):
        if fact.room == room.id:
            notice = fact.notice or notice
            if notice and fact.condition in ("observing", "protected"):
                found.append(places[notice])
    return sorted({*found}) or [-1]


def _is_lacking(bot: ServedBot, room: Room) -> bool:
    """Tell whether the bot has recorded that it could not read all of a former stay."""
    return any(fact.what == "gap" and fact.room == room.id for fact in bot.facts(NotSeen))
