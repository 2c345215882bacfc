"""One shard without a homeserver, on a clock of the test: log, tables, pipeline, publisher and receiver."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.config.config import Config, parse_config
from bot.events.parse_event import receive
from bot.exchange.port import Exchange
from bot.exchange.publisher import Publisher
from bot.exchange.receiver import OtherShard, Receiver
from bot.pipeline.event_reader import PlainReader
from bot.pipeline.pipeline import Pipeline
from bot.pipeline.replay import Rooms
from bot.startup import Stores, caught_up, open_stores
from moderation.credit.credit import balance
from moderation.model.actions.base import Action
from moderation.model.actions.registry import from_json
from moderation.model.facts import DataAsked, Fact, RoomEntered, RoomStateChanged
from moderation.values.events import Received
from moderation.values.ids import EventId, GroupCode, RoomId, UserId
from storage import queries, schema
from storage.journal.verify.verify import verify
from storage.record_mapping import fact_of_record
from tests.fakes.exchange import MemoryExchange
from tests.theatre.engine import copy_deployment
from tests.theatre.opened import made_again
from tests.theatre.state_tables import StateTables

NOON = 1_795_521_600_000  # 2026-11-24T12:00:00Z
CONFIG = """
[homeserver]
url = "http://127.0.0.1:1"
user = "@{name}:example.org"
[bot]
data_dir = "data"
operators = ["@op:example.org"]
[records]
origin = "example.org/{name}"
[[rules]]
name = "grave"
kind = "terms"
class = "severe"
terms = ["plutonium"]
[[rules]]
name = "small"
kind = "terms"
class = "moderate"
terms = ["elephant"]
"""
_LETTERS = "23456789ABCDEFGH"  # of group codes
PROJECTED = [table for table in schema.metadata.sorted_tables if table.name not in ("meta", "outbox", "daily")]


def origin_of(name: str) -> str:
    """Return the name of a shard's log."""
    return f"example.org/{name}"


@dataclass
class Shard:
    """Use `open` and `close`; a closed shard can be opened again, copied and replaced by a copy."""

    name: str
    folder: Path
    exchange: Exchange
    others: Mapping[str, OtherShard]
    now: int = NOON
    settings: str = ""  # added to the configuration
    made: int = 0
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    stores: Stores = field(init=False)
    pipeline: Pipeline = field(init=False)
    publisher: Publisher = field(init=False)
    receiver: Receiver = field(init=False)

    @property
    def config(self) -> Config:
        """Return its configuration."""
        return _config(self.folder, self.name, self.settings)

    @property
    def first_room(self) -> RoomId:
        """Return the id of the first room made without a name."""
        return RoomId(f"!{self.name}1:example.org")

    @property
    def bot(self) -> UserId:
        """Return its account."""
        return self.config.user

    async def open(self) -> "Shard":
        """Open it, as at a start."""
        config, self.stack = self.config, AsyncExitStack()
        config.data_dir.mkdir(parents=True, exist_ok=True)
        self.stores = await open_stores(config, self.stack, lambda: self.now)
        self.pipeline = await caught_up(config, self.bot, self.stores, lambda: self.now, PlainReader())
        crossing = self.pipeline.processor.crossing
        journal, database = self.stores.journal, self.stores.database
        names = [other.name for other in self.others.values()]
        self.publisher = Publisher(self.exchange, self.pipeline, journal, database, self.name, names, crossing)
        self.receiver = Receiver(
            self.exchange,
            self.pipeline,
            database,
            self.name,
            origin_of(self.name),
            self.others,
            lambda: self.now / 1000,
        )
        return self

    async def close(self) -> None:
        """Close it, as at a stop."""
        await self.stack.aclose()

    async def again(self) -> None:
        """Stop and start it."""
        await self.close()
        await self.open()

    def copy_to(self, folder: Path) -> None:
        """Copy what a closed shard has on disk."""
        copy_deployment(self.config.data_dir, folder)

    def replace_by(self, folder: Path) -> None:
        """Put a copy in the place of what a closed shard has on disk."""
        copy_deployment(folder, self.config.data_dir)

    async def exchanged(self) -> int:
        """Publish, and read what others published. Returns how much was learnt."""
        await self.publisher.flush()
        return await self.receiver.look()

    async def room(self, levels: Mapping[str, int], members: Sequence[str] = (), name: str = "") -> RoomId:
        """Create a room with people at these levels, and members; `name` is the local part of its id."""
        self.made += 1
        room = RoomId(f"!{name or f'{self.name}{self.made}'}:example.org")
        code = GroupCode(f"G-7{_LETTERS[len(self.name)]}{_LETTERS[len(self.pipeline.served.codes)]}K")
        await self.pipeline.commit((RoomEntered(code=code, purpose="group", room_id=room, subject=self.bot),))
        announced = RoomStateChanged(room=room, condition="announced", notice=EventId("$notice"))
        await self.pipeline.commit((announced,))
        users = {**levels, self.bot: 100}
        state: list[tuple[str, str, str, dict[str, Any]]] = [
            (self.bot, "m.room.create", "", {"room_version": "11"}),
            (self.bot, "m.room.power_levels", "", {"users": users, "users_default": 0}),
            *((who, "m.room.member", who, {"membership": "join"}) for who in (*levels, *members, self.bot)),
        ]
        await self.pipeline.open_room(room, [self.read(room, *each) for each in state], _nothing)
        return room

    def read(self, room: RoomId, sender: str, type_: str, key: str | None, content: Any) -> Received:
        """Return an event with an id of its own, as received."""
        self.made += 1
        raw = {
            "event_id": f"${self.name}{self.made}",
            "sender": sender,
            "origin_server_ts": self.now,
            "type": type_,
            "content": content,
        }
        return receive(raw if key is None else {**raw, "state_key": key}, room, self.now)

    async def say(self, room: RoomId, sender: str, body: str) -> None:
        """Let somebody say something."""
        self.now += 1_000
        said = self.read(room, sender, "m.room.message", None, {"msgtype": "m.text", "body": body})
        await self.pipeline.take([said])

    async def order(self, room: RoomId, sender: str, body: str) -> None:
        """Let somebody give an order for several rooms, and repeat it with the number if the bot asks."""
        before = self.stores.journal.size
        await self.say(room, sender, body)
        asked = [fact for fact in self.facts() if isinstance(fact, DataAsked) and fact.what == "everywhere"]
        if asked and asked[-1].on >= before:
            await self.say(room, sender, body.replace("everywhere", f"everywhere {asked[-1].on}"))

    def facts(self) -> list[Fact]:
        """Return the facts in its log."""
        rooms = Rooms({code: room for room, code in self.pipeline.served.codes.items()})
        read = (fact_of_record(record, rooms.of) for record in self.stores.journal.read())
        return [fact for fact in read if fact is not None]

    async def balance(self, user: str) -> int:
        """Return the credit of somebody in every room."""
        async with self.stores.database.read() as db:
            person = await queries.person_view(db, UserId(user), now_ms=self.now, recent_since=0)
        everywhere = [entry for entry in person.entries if not entry.reach]
        return balance(everywhere, NOON + 600_000, self.config.policy.credit)

    async def actions(self) -> list[Action]:
        """Return what waits in the outbox."""
        async with self.stores.database.read() as db:
            rows = await db.execute(select(schema.outbox.c.action).order_by(schema.outbox.c.id))
            return [from_json(orjson.loads(row.action)) for row in rows]

    def problems(self) -> Any:
        """Sign everything, and return the problems that `answerable logs verify` finds."""
        self.stores.journal.checkpoint(self.now)
        return verify(self.stores.journal.folder).problems

    async def differences(self, folder: Path) -> dict[str, Any]:
        """Make the tables again from the log, and return those that differ."""
        wanted = (await made_again(self.stores.journal, folder)).copy()
        there = StateTables(self.config.place).copy()
        tables = [
            (table.name, sorted(there[table.name], key=repr), sorted(wanted[table.name], key=repr))
            for table in PROJECTED
        ]
        return {name: (now, again) for name, now, again in tables if now != again}


@lru_cache(16)  # a test asks for it at each step
def _config(folder: Path, name: str, settings: str) -> Config:
    config = parse_config(folder / "config.toml", CONFIG.format(name=name) + settings, {})
    return config.model_copy(update={"shard": name})


@asynccontextmanager
async def three_shards(folder: Path, settings: str = "") -> AsyncIterator[list[Shard]]:
    """Open three shards of one exchange. In the end each log verifies, and gives the same tables when made again."""
    exchange, names = MemoryExchange(), ("one", "two", "three")
    made = [await Shard(name, folder / name, exchange, apart(*names)[name], settings=settings).open() for name in names]
    yield made
    for shard in made:
        assert shard.problems() == ()
        assert await shard.differences(folder / f"{shard.name}-again") == {}
        await shard.close()


async def _nothing(_db: AsyncConnection) -> None:
    pass


def apart(*names: str) -> dict[str, dict[str, OtherShard]]:
    """Return for each shard the others, by the names of their logs."""
    return {own: {origin_of(name): OtherShard(name) for name in names if name != own} for own in names}
