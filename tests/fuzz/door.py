"""The product from its input to its disk, without a homeserver: pipeline, journal and database.

Requests wait in the outbox and can be examined; `deliver` says that cards and messages have arrived. Rooms are served
as the bot serves them (entered, opened, recorded), the product itself finds what is due, and none of our code is
replaced.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import bindparam, select
from structlog.testing import capture_logs

from bot.config.config import Config, parse_config
from bot.events.parse_event import receive
from bot.pipeline.event_reader import PlainReader
from bot.pipeline.outcome import Outcome
from bot.pipeline.pipeline import Pipeline
from bot.pipeline.replay import Rooms, catch_up
from bot.pipeline.unit_of_work import Answer
from bot.scheduler.balances import Balances
from bot.scheduler.due_cases import Due
from bot.startup import Stores, make_pipeline, open_stores
from moderation.model.actions.base import Action
from moderation.model.actions.cards import PostCard
from moderation.model.actions.registry import from_json
from moderation.model.actions.telling import Tell
from moderation.model.context import Purpose
from moderation.model.facts import ActionTaken, ConsoleCommand, Fact, NoticeGiven, RoomEntered, RoomStateChanged
from moderation.values.events import Received
from moderation.values.ids import EventId, GroupCode, RoomId, UserId
from storage import queries, schema
from storage.database.rows import rows_of
from storage.journal.record import Record
from storage.journal.verify.verify import verify
from storage.record_mapping import fact_of_record
from tests.theatre.engine import copy_deployment
from tests.theatre.rules import grave, no_elephants, tickets

T = TypeVar("T")

BOT, OPERATOR = UserId("@bot:example.org"), UserId("@op:example.org")
_QUEUED = select(schema.outbox).where(schema.outbox.c.id > bindparam("after")).order_by(schema.outbox.c.id)
NOON = 1_795_521_600_000
HOUR_MS = 3_600_000
CONFIG = """
[homeserver]
url = "https://example.org"
user = "@bot:example.org"
[bot]
data_dir = "data"
operators = ["@op:example.org"]
[[lists.publish]]
name = "ours"
room = "!ours:example.org"
by = "manager"
from = "moderate"
"""
CONFIG += no_elephants() + tickets() + grave('decide = "manager"')
CONFIG += """
[[rules]]
name = "links"
kind = "links"
deny = ["evil.example"]
[[rules]]
name = "crowd"
kind = "mentions"
limit = 8
[[rules]]
name = "files"
kind = "media"
kinds = ["video"]
"""


@dataclass
class _Clock:
    ms: int

    def __call__(self) -> int:
        return self.ms


class _Inside:
    """An event loop of its own, and what is open there."""

    def __init__(self) -> None:
        self.stack = AsyncExitStack()
        self._loop = asyncio.new_event_loop()

    def run(self, work: Awaitable[T]) -> T:
        return self._loop.run_until_complete(_as_coroutine(work))

    def close(self) -> None:
        self.run(self.stack.aclose())
        self.run(self._loop.shutdown_default_executor())
        self._loop.close()


class Door:
    """One deployment in a folder."""

    def __init__(self, config: Config, stores: Stores, pipeline: Pipeline, clock: "_Clock", inside: "_Inside") -> None:
        self.config, self.stores, self.pipeline = config, stores, pipeline
        self._clock = clock
        self._due = Due(pipeline.knowledge, config.policy, lambda: self.now, pipeline.matching)
        self._balances = Balances(stores.database, pipeline, stores.journal, config.policy, lambda: self.now)
        self._inside = inside
        self._made = 0  # events
        self._last_row = 0
        self._gone: list[Action] = []  # queued and done, but not yet returned

    @classmethod
    def open(cls, folder: Path, text: str = CONFIG) -> "Door":
        """Open a deployment with an empty log."""
        config = parse_config(folder / "config.toml", text, {})
        config.data_dir.mkdir(parents=True)
        return cls._of(config)

    def again(self, folder: Path) -> "Door":
        """Open a copy of this closed deployment in another folder, continuing at the same time."""
        copy_deployment(self.config.data_dir, folder / "data")
        door = self._of(self.config.model_copy(update={"file": folder / "config.toml"}), self.now)
        door._last_row, door._made = self._last_row, self._made
        return door

    @classmethod
    def _of(cls, config: Config, now: int = NOON) -> "Door":
        clock, inside = _Clock(now), _Inside()
        stores = inside.run(open_stores(config, inside.stack, clock))
        pipeline = make_pipeline(config, BOT, config.policy, stores, clock, PlainReader())
        door = cls(config, stores, pipeline, clock, inside)
        door.run(pipeline.begin())
        door.run(door._catch_up())
        return door

    async def _catch_up(self) -> None:
        """Apply the records that the tables lack: in a new log its own first record."""
        async with self.stores.database.read() as db:
            applied = int(await queries.get_meta(db, "applied") or 0)
        if records := self.records(applied):
            await self.pipeline.catch_up(lambda unit: catch_up(unit, self.pipeline, records, Rooms({})))

    @property
    def now(self) -> int:
        """The time."""
        return self._clock.ms

    @now.setter
    def now(self, ms: int) -> None:
        self._clock.ms = ms

    def close(self) -> None:
        """Sign and close everything."""
        self._inside.close()

    def run(self, work: Awaitable[T]) -> T:
        """Do something to its end."""
        return self._inside.run(work)

    # Rooms.

    def room(
        self,
        name: str,
        purpose: Purpose,
        people: Mapping[str, int],
        *,
        served: str = "-",
        owner: str = BOT,
        user: str = "",
        code: str,
    ) -> RoomId:
        """Create a room that the bot serves, with people at these levels; `owner` made it."""
        room = RoomId(f"!{name}:example.org")
        entered = RoomEntered(
            code=GroupCode(code),
            purpose=purpose,
            served=served,
            room_id=room,
            subject=UserId(user or owner),
        )
        self.run(self.pipeline.commit((entered,)))
        users = {user: level for user, level in people.items() if level} | {BOT: 100}
        state: list[tuple[str, str, str, dict[str, Any]]] = [
            (owner, "m.room.create", "", {"room_version": "11"}),
            (owner, "m.room.power_levels", "", {"users": users, "users_default": 0}),
            *((who, "m.room.member", who, {"membership": "join"}) for who in (*people, BOT)),
        ]
        snapshot = [self.read(room, *each[:2], each[3], state_key=each[2]) for each in state]
        if purpose == "group":
            self.run(
                self.pipeline.commit((RoomStateChanged(room=room, condition="announced", notice=EventId("$notice")),))
            )
            self.run(self.pipeline.open_room(room, snapshot, _nothing))
        else:
            self.take(*snapshot)
        return room

    # What comes in.

    def raw(self, sender: str, type_: str, content: Any, **more: Any) -> dict[str, Any]:
        """Return a raw event with an id of its own."""
        event = f"$n{self._made}"
        self._made += 1
        return {"event_id": event, "sender": sender, "origin_server_ts": 1, "type": type_, "content": content, **more}

    def read(self, room: RoomId, sender: str, type_: str, content: Any, **more: Any) -> Received:
        """Return a raw event with an id of its own as received in `room`."""
        return receive(self.raw(sender, type_, content, **more), room, self.now)

    def take(self, *events: Received, token: str | None = None) -> tuple[list[Fact], list[Action]]:
        """Take events as from one answer of `/sync`. Returns what was recorded and queued because of them."""
        before = self.stores.journal.size
        self.now += 1_000
        self.run(self.pipeline.take(events, token=token))
        return self.facts(before), self.newly_queued()

    def newly_queued(self) -> list[Action]:
        """Return the actions queued since the last call."""
        rows = self._rows(self._last_row)
        self._last_row = max((number for number, _, _ in rows), default=self._last_row)
        queued, self._gone = [*self._gone, *(action for _, _, action in rows)], []
        return queued

    def say(self, room: RoomId, sender: str, body: str, **content: Any) -> tuple[list[Fact], list[Action]]:
        """Let somebody say something. Returns what was recorded and queued because of it."""
        return self.take(self.read(room, sender, "m.room.message", {"msgtype": "m.text", "body": body, **content}))

    def order(self, room: RoomId, sender: str, words: str) -> tuple[Answer, list[Fact], list[Action]]:
        """Let somebody give a command in the web console. Returns the answer, and what was recorded and queued."""
        before = self.stores.journal.size
        asked = ConsoleCommand(room=room, start=0, subject=UserId(sender), words=words)

        async def check(_db: object) -> ConsoleCommand:
            return asked

        answer = self.run(self.pipeline.carry_out(check))
        self.now += 1_000  # as `take` does after a message was received
        return answer, [fact for fact in self.facts(before) if fact != asked], self.newly_queued()

    # Passing time.

    def wait(self, ms: int) -> tuple[list[Fact], list[Action]]:
        """Let time pass in which people could act. Returns what was recorded and queued because of it."""
        before = self.stores.journal.size
        self.deliver()
        until = self.now + ms
        while self.now < until:
            self.now = min(until, self.now + 12 * HOUR_MS)
            while self.run(self.pipeline.commit_with(lambda db: self._due.groups(db, self.now))):
                self.deliver()
        self.run(self._balances.look())
        return self.facts(before), self.newly_queued()

    def deliver(self) -> None:
        """Record that waiting messages have reached their recipients, and that cards are posted."""
        self._gone = self.newly_queued()
        rows = self._rows()
        done = {number: made for number, txn, action in rows if (made := _done(txn, action)) is not None}
        self._last_row = max((number for number, _, _ in rows if number not in done), default=0)  # ids are used again
        self.run(self.pipeline.commit_all(list(done.values())))

    # What is on disk.

    def records(self, first: int = 0) -> list[Record]:
        """Return the records from `first` on."""
        return list(self.stores.journal.read(first))

    def facts(self, first: int = 0) -> list[Fact]:
        """Return the facts in the journal from record `first` on."""
        rooms = Rooms({code: room for room, code in self.pipeline.served.codes.items()})
        return [fact for record in self.records(first) if (fact := fact_of_record(record, rooms.of)) is not None]

    def _rows(self, after: int = 0) -> list[tuple[int, str, Action]]:
        """Return the rows of the outbox after `after`: number, transaction id and action."""

        async def look() -> list[tuple[int, str, Action]]:
            async with self.stores.database.read() as db:
                [rows] = await rows_of(db, (_QUEUED, {"after": after}))
                return [(row.id, row.txn, from_json(json.loads(row.action))) for row in rows]

        return self.run(look())

    def problems(self) -> tuple[Any, ...]:
        """Sign everything, and return the problems that `answerable logs verify` finds."""
        self.stores.journal.checkpoint(self.now)
        return verify(self.stores.journal.folder).problems


def defects(work: Callable[[], T]) -> tuple[T, list[Any]]:
    """Return the result of `work`, and the errors that the bot logged meanwhile."""
    with capture_logs() as logged:
        done = work()
    return done, [entry for entry in logged if entry["log_level"] in ("error", "critical")]


def _done(txn: str, action: Action) -> Outcome | None:
    """Return the outcome of telling somebody or of posting a card; None for other actions."""
    room = action.room or None
    if isinstance(action, Tell):
        key = action.lines[0].key
        told = NoticeGiven(room=room, what=key, n=action.n, asks=action.asks, channel="direct", subject=action.subject)
        taken = ActionTaken(room=room, action="tell", result="done", txn=txn, subject=action.subject)
        return Outcome((told, taken), of_row=txn)
    if isinstance(action, PostCard):
        made = EventId(f"$card{action.n}")
        return Outcome(
            (ActionTaken(room=room, action="card", result="done", n=action.n, txn=txn, made=made),), of_row=txn
        )
    return None


async def _as_coroutine(work: Awaitable[T]) -> T:
    return await work


async def _nothing(_db: object) -> None:
    """Report that nothing was said since the notice."""
