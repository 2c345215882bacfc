"""A bot without a homeserver: the real journal, tables and judgement, on a clock that a test moves.

Events that a homeserver would have delivered are handed to the pipeline as raw events; requests that would have been
sent stay in the outbox. `scheduler` is the real one; the test says whether the homeserver is reachable (`up`).

What a new bot has on disk once it has entered its group is kept for later tests of this process with the same settings:
to open a copy of it takes less than half as long.
"""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from bot import app, startup
from bot.config.config import Config, parse_config
from bot.crypto.encrypting_client import SealedHomeserver
from bot.effects.anchor_day import Closer
from bot.events.parse_event import receive
from bot.matrix.errors import Unreachable
from bot.outbox.handler import Services
from bot.pipeline import heartbeat
from bot.pipeline.event_reader import EventReader, PlainReader
from bot.pipeline.pipeline import Pipeline
from bot.pipeline.replay import Rooms
from bot.scheduler.digest import Digester
from bot.scheduler.scheduler import Scheduler
from bot.sync.presence import Presence
from bot.texts.catalog import Catalog
from bot.texts.matrix_message import Speech
from moderation.model.facts import ActionTaken, Fact, NoticeGiven, RoomEntered
from moderation.values.ids import EventId, GroupCode, RoomId, UserId
from storage import outbox, queries
from storage.journal.transparency.daily_checkpoints import Closings
from storage.record_mapping import fact_of_record
from tests.theatre.state_tables import StateTables

F = TypeVar("F", bound=Fact)

CONFIG = """
[homeserver]
url = "http://127.0.0.1:1"
user = "@bot:example.org"
[bot]
data_dir = "data"
allow_invites = ["*:example.org"]
"""
RULES = """
[[rules]]
name = "tickets"
kind = "terms"
class = "serious"
decide = "manager"
terms = ["forbidden"]
"""
ROOM, DESK = RoomId("!garden:example.org"), RoomId("!desk:example.org")
BOT, OLGA, MARK, MINA, ANNA = (UserId(f"@{name}:example.org") for name in ("bot", "olga", "mark", "mina", "anna"))
LEVELS = {"users": {str(OLGA): 100, str(BOT): 100, str(MARK): 50, str(MINA): 50}}
NOON = 1_795_521_600_000


@dataclass
class Offline:
    """One bot and its surroundings."""

    config: Config
    stores: startup.Stores
    pipeline: Pipeline
    time: "Ticking"
    up: bool = True  # whether the homeserver is there
    presence: Presence = field(default_factory=Presence)
    _events: int = field(default=0)

    def __post_init__(self) -> None:
        stores, pipeline, clock, config = self.stores, self.pipeline, self.time, self.config
        self.presence.found(clock.ms)
        self.presence.answered(clock.ms, clock.ms)
        operations = app.make_operations(config, stores, pipeline, clock)
        closer = Closer(stores.database, pipeline, Closings(stores.journal.folder), config.anchors, clock)
        digester = Digester(stores.database, pipeline, config.policy, clock, at="", zone="UTC")
        self.scheduler = Scheduler(
            stores.database,
            pipeline,
            clock,
            config.data_dir,
            closer,
            operations,
            digester,
            self.presence,
            self._ask,
            behind=lambda: False,
        )

    async def _ask(self) -> None:
        if not self.up:
            raise Unreachable("nobody there")

    async def say(self, user: UserId, words: str, room: RoomId = ROOM) -> None:
        await self.event(user, "m.room.message", {"msgtype": "m.text", "body": words}, room=room)

    async def event(
        self, user: UserId, kind: str, content: dict[str, Any], *, key: str | None = None, room: RoomId = ROOM
    ) -> str:
        raw = self.raw(user, kind, content, key)
        await self.pipeline.take([receive(raw, room, self.time())])
        return str(raw["event_id"])

    def raw(self, user: UserId, kind: str, content: dict[str, Any], key: str | None = None) -> dict[str, Any]:
        self._events += 1
        raw: dict[str, Any] = {
            "event_id": f"$event{self._events}",
            "sender": user,
            "origin_server_ts": self.time.ms,
            "type": kind,
            "content": content,
        }
        return raw if key is None else raw | {"state_key": key}

    async def membership(self, user: UserId, what: str, room: RoomId = ROOM) -> None:
        await self.event(user, "m.room.member", {"membership": what}, key=user, room=room)

    async def levels(self, by: UserId, users: dict[UserId, int]) -> None:
        """Let somebody set power levels by hand."""
        await self.event(by, "m.room.power_levels", {"users": users}, key="")

    async def group(self, levels: dict[str, Any], version: str, desk: tuple[UserId, ...]) -> None:
        """Enter a room with everybody in it, and its desk with the people of `desk`."""
        await self.enter_room(ROOM, GroupCode("G-7F3K"), "group", levels, version, (OLGA, MARK, MINA, ANNA))
        await self.enter_room(DESK, GroupCode("G-DE5K"), "desk", levels, version, desk)

    async def enter_room(
        self,
        room: RoomId,
        code: GroupCode,
        purpose: Any,
        levels: Any,
        version: str,
        people: tuple[UserId, ...],
        *,
        owner: UserId = OLGA,
        served: str = "G-7F3K",
        gone: tuple[UserId, ...] = (),
    ) -> None:
        """Enter a room in which `people` are, and in which those of `gone` were before."""
        served = served if purpose == "desk" else "-"
        entered = RoomEntered(code=code, purpose=purpose, served=served, room_id=room, subject=owner)
        await self.pipeline.commit((entered,))
        made = self.raw(owner, "m.room.create", {"room_version": version}, "")
        power = self.raw(owner, "m.room.power_levels", levels, "")
        there = [self.raw(user, "m.room.member", {"membership": "join"}, user) for user in (*people, BOT)]
        there += [self.raw(user, "m.room.member", {"membership": "leave"}, user) for user in gone]
        snapshot = [receive(raw, room, self.time()) for raw in (made, power, *there)]

        async def nothing_more(_db: object) -> None:
            return

        if purpose == "group":
            await self.pipeline.open_room(room, snapshot, nothing_more)
        else:
            await self.pipeline.take(snapshot)

    async def direct(self, user: UserId) -> RoomId:
        """Return the direct room of somebody, who opens it when it is first asked for."""
        room = RoomId(f"!with-{user[1:].partition(':')[0]}:example.org")
        if room not in self.pipeline.served.codes:
            code = GroupCode(f"G-D{len(self.pipeline.served.codes):03}".replace("0", "Z").replace("1", "Y"))
            await self.enter_room(room, code, "direct", {"users": {}}, "11", (user,), owner=user)
        return room

    def facts(self, kind: type[F]) -> list[F]:
        """Return the facts of a kind in the journal, in the order of their records."""
        return [fact for _, fact in self.recorded(kind)]

    def recorded(self, kind: type[F]) -> list[tuple[int, F]]:
        rooms = Rooms({code: room for room, code in self.pipeline.served.codes.items()})
        found = ((record.index, fact_of_record(record, rooms.of)) for record in self.stores.journal.read())
        return [(index, fact) for index, fact in found if isinstance(fact, kind)]

    async def pass_time(self, ms: int) -> None:
        """Let time pass in which the bot runs and the homeserver is reachable."""
        self.time.ms += ms
        self.presence.heard_ms = self.time.ms
        await self.pipeline.commit(also=partial(heartbeat.note, heard_ms=self.time.ms))

    def be_asked(self, ms: int) -> None:
        """Let time go by in which the listener asks, and is answered if the homeserver is there."""
        asked_ms, self.time.ms = self.time.ms, self.time.ms + ms
        if self.up:
            self.presence.found(asked_ms)
            self.presence.answered(asked_ms, self.time.ms)
        else:
            self.presence.lose()

    @property
    def state(self) -> StateTables:
        """The tables, for a test that changes them itself."""
        return StateTables(self.config.place)

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return rows of the tables."""
        return self.state.rows(query)

    async def post_cards(self) -> None:
        """Post the waiting cards, as the desk would."""
        waiting = "SELECT json_extract(action, '$.n'), txn FROM outbox WHERE action LIKE '%\"card\"%'"
        for n, txn in await self.rows(waiting):
            made = EventId(f"$card{n}")
            taken = ActionTaken(room=ROOM, action="card", result="done", n=n, txn=txn, made=made)
            await self.pipeline.commit((taken,))

    async def tell(self, channel: Literal["direct", "none"] = "direct") -> list[tuple[UserId, int]]:
        """Send the waiting messages, as the notifier would. Returns to whom, and which case each asks about."""
        told = []
        for action, txn in await self.rows("SELECT action, txn FROM outbox WHERE action LIKE '%\"tell\"%'"):
            word = json.loads(action)
            user, asks = UserId(word["subject"]), word.get("asks", 0)
            what = word["lines"][0]["key"]
            notice = NoticeGiven(room=ROOM, what=what, asks=asks, channel=channel, subject=user)
            taken = ActionTaken(room=ROOM, action="tell", result="done", txn=txn, subject=user)
            await self.pipeline.commit((notice, taken), of_row=txn)
            told.append((user, asks))
        return told

    def services(self, homeserver: object) -> Services:
        """Return what a handler of actions works with, on a stand-in for a homeserver."""
        policy, sealed = self.config.policy, cast(SealedHomeserver, homeserver)
        speech = Speech(Catalog.load(), policy, "en")
        return Services(sealed, self.stores.database, self.pipeline, speech, self.time, policy, "!")

    async def waiting(self) -> list[outbox.OutboxRow]:
        """Return the rows of the outbox."""
        async with self.stores.database.read() as db:
            return await outbox.due_rows(db, self.time.ms + 1_000, 100)

    async def duty(self) -> Any:
        """Return who is on duty in the room."""
        async with self.stores.database.read() as db:
            view = await queries.room_view(db, ROOM, BOT)
            assert view is not None
            return await queries.duty_of(db, view, (), self.time.ms)


@dataclass
class Ticking:
    """A clock that advances by `step` milliseconds whenever it is read."""

    ms: int = NOON
    step: int = 0

    def __call__(self) -> int:
        self.ms += self.step
        return self.ms


@dataclass(frozen=True, slots=True)
class _Entered:
    """A copy of what a bot that has entered its group has on disk, and how many events that took."""

    folder: Path
    events: int


_FEW = 8  # tests with the same settings mostly follow one another
_entered: dict[str, _Entered] = {}  # by all that makes a difference, the oldest first


@asynccontextmanager
async def offline(
    folder: Path,
    more: str = RULES,
    levels: Any = LEVELS,
    version: str = "11",
    desk: tuple[UserId, ...] = (OLGA, MARK, MINA),
    reader: EventReader | None = None,
) -> AsyncIterator[Offline]:
    """Open a bot that serves one group: Olga founded it, Mark and Mina help, Anna is a member."""
    config = parse_config(folder / "config.toml", CONFIG + more, {})
    is_new, alike = not config.data_dir.exists(), repr((more, levels, version, desk))
    found = _entered.get(alike) if is_new and config.place.url is None else None
    if found is not None:
        shutil.copytree(found.folder, config.data_dir)
    config.data_dir.mkdir(parents=True, exist_ok=True)
    clock = Ticking()
    async with AsyncExitStack() as stack:
        stores = await startup.open_stores(config, stack, clock)
        pipeline = await startup.caught_up(config, BOT, stores, clock, reader or PlainReader())
        bot = Offline(config, stores, pipeline, clock, _events=found.events if found is not None else 0)
        if found is None:
            await pipeline.commit(await startup.start_facts(config.policy, stores))
            if pipeline.served.codes.get(ROOM) is None:
                await bot.group(levels, version, desk)
            if is_new and config.place.url is None:
                await asyncio.to_thread(stores.journal.checkpoint, clock.ms)  # or a copy notes that it was unsigned
                _entered[alike] = _Entered(_copy(config.data_dir), bot._events)
        yield bot


def _copy(data_dir: Path) -> Path:
    """Return a copy that lasts; nobody may write meanwhile."""
    while len(_entered) >= _FEW:
        shutil.rmtree(_entered.pop(next(iter(_entered))).folder.parent)
    return shutil.copytree(data_dir, Path(tempfile.mkdtemp()) / "data")
