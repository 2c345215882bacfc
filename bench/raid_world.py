"""The setting of `bench/raid.py`: a real homeserver, a community of twelve rooms, its people, the bot, the raiders.

Rules kept here:
- The homeserver is as Synapse ships it, but for its limits; an experiment that hides a banned person's messages is off.
- The bot is set up and started as an operator does it, in a process of its own.
- What is measured is what the homeserver has: when it took an event, and when it took what ended it.

Left to others: what raiders do, and what the times are used for (`bench/raid.py`).
"""

import asyncio
import itertools
import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bot.demo.bot_process import BotProcess
from bot.demo.synapse import Synapse
from moderation.model.actions.base import NICETY, URGENT
from moderation.model.facts import CaseGrew, CaseOpened, Fact, SanctionStarted
from moderation.values.ids import RoomId
from storage.database.place import FILE
from storage.journal.reader import Log
from storage.record_mapping import fact_of_record
from tests.people.client import Client

PASSWORD = "bench"
_WITHIN_S = 400.0
_LOOK_S = 0.05


class DefaultSynapse(Synapse):
    """A homeserver that knows nothing of MSC4293, as Synapse by default."""

    async def _run(self, within_s: float) -> None:
        config = json.loads(self._config.read_text("utf-8"))
        config["experimental_features"].pop("msc4293_enabled")
        self._config.write_text(json.dumps(config), encoding="utf-8")
        await super()._run(within_s)


class Answerable:
    """Answerable with some rules, in a process of its own."""

    def __init__(self, folder: Path, rules: str) -> None:
        self.user = ""
        self._bot = BotProcess(folder, "en")
        self._rules = rules
        self._log = Log(folder / "data/records")

    async def start(self, synapse: Synapse, account: Client, owner: Client) -> None:
        """Run `answerable init`, add the rules, and start."""
        self.user = account.user
        self._bot.folder.mkdir(parents=True)
        where = ("--homeserver", synapse.url, "--user", self.user, "--allow-invites", owner.user)
        ran = await self._bot.command("init", *where, "--password-stdin", "--yes", stdin=f"{PASSWORD}\n")
        if ran.code != 0:
            raise RuntimeError(f"answerable init: {ran.err}")
        with self._bot.config.open("a", encoding="utf-8") as file:
            file.write(self._rules)
        self._bot.start()
        await self._bot.until_ready()

    async def stop(self) -> None:
        """End the bot."""
        await self._bot.stop()

    async def protect(self, community: "Community") -> None:
        """Invite the bot into each room, wait until it protects them, and let people enter the desk."""
        for room in community.rooms:
            await community.owner.set_power(room, {self.user: 100, community.manager.user: 50})
            await community.owner.invite(room, self.user)
        count = "SELECT count(*) FROM rooms WHERE condition = 'protected'"
        await self._until(lambda: self._rows(count)[0][0] == len(community.rooms))
        await self._until(self.desks)
        for desk in self.desks():
            for person in (community.owner, community.manager):
                await person.wait_invite(desk)
                await person.join(desk)
        await self.quiet(up_to=NICETY)

    async def quiet(self, *taken: str, up_to: int = URGENT) -> None:
        """Wait until these events are in the tables, and then until no request as urgent as `up_to` is left to send."""
        marks = ",".join("?" * len(taken))
        await self._until(
            lambda: self._rows(f"SELECT count(*) FROM events WHERE event IN ({marks})", *taken)[0][0] == len(taken)
        )
        applied = "SELECT 1 FROM meta WHERE key = 'applied' AND CAST(value AS INTEGER) >= ?"
        sent = "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE priority <= ?)"
        for _ in range(2):  # what was sent comes back, and may cause more
            await asyncio.sleep(0.5)
            last = sum(1 for _ in self._log.read())
            await self._until(lambda: self._rows(applied, last) and self._rows(sent, up_to))  # noqa: B023

    def desks(self) -> list[RoomId]:
        """Return the desks of all rooms."""
        return [RoomId(room) for (room,) in self._rows("SELECT room FROM rooms WHERE purpose = 'desk'")]

    def causes(self) -> dict[str, str]:
        """Return by which rule each event was found and each person removed, as the bot's records have it."""
        events = {record: event for event, record in self._rows("SELECT event, record FROM events")}
        found: dict[str, str] = {}
        rules: dict[int, str] = {}
        for fact in self._facts():
            if isinstance(fact, CaseOpened):
                rules[fact.n] = fact.rule
            if rule := _rule(fact, rules):
                found.setdefault(events.get(fact.on, ""), rule)
            if isinstance(fact, SanctionStarted) and fact.kind in ("kick", "ban"):
                found.setdefault(fact.subject, rule)
        return found

    def count(self, kind: type[Fact]) -> int:
        """Return how many facts of a class were recorded."""
        return sum(isinstance(fact, kind) for fact in self._facts())

    def _facts(self) -> Iterator[Fact]:
        for record in self._log.read():
            if (fact := fact_of_record(record, lambda _code: None)) is not None:
                yield fact

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(f"file:{self._bot.folder / 'data' / FILE}?mode=ro", uri=True, timeout=5)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    async def _until(self, look: Callable[[], object]) -> None:
        watch = asyncio.create_task(self._bot.watch())
        try:
            async with asyncio.timeout(_WITHIN_S):
                while not look():
                    if watch.done():
                        watch.result()
                    await asyncio.sleep(_LOOK_S)
        finally:
            watch.cancel()


def _rule(fact: Fact, rules: dict[int, str]) -> str:
    if isinstance(fact, SanctionStarted | CaseOpened):
        return fact.rule if fact.rule != "-" else fact.KIND
    return rules.get(fact.n, "") if isinstance(fact, CaseGrew) else ""


class Community:
    """The rooms, their people and the raiders, for use with `async with`."""

    def __init__(self, synapse: Synapse) -> None:
        self.synapse = synapse
        self.rooms: list[RoomId] = []
        self.anchors: dict[RoomId, str] = {}  # a member's message in each raided room
        self._stack = AsyncExitStack()
        self._run = secrets.token_hex(3)
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> "Community":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def person(self, name: str) -> Client:
        """Register a new user."""
        account = await self.synapse.register(f"{name}-{self._run}-{next(self._numbers)}", PASSWORD)
        client = Client(self.synapse.url, account.user, account.token)
        self._stack.push_async_callback(client.close)
        return client

    async def build(self, rooms: int) -> None:
        """Make public rooms with an owner, a manager and a member in each."""
        self.owner, self.manager, self.member = [await self.person(n) for n in ("owner", "manager", "member")]
        for number in range(rooms):
            room = await self.owner.create_room(f"club {number}", private=False)
            self.rooms.append(room)
            await self.manager.join(room)
            await self.member.join(room)
            self.anchors[room] = await self.member.send_text(room, "good evening")

    async def timeline(self, room: RoomId) -> list[dict[str, Any]]:
        """Return all events of a room as the homeserver has them now, oldest first."""
        found: list[dict[str, Any]] = []
        query = {"dir": "b", "limit": "100"}
        while True:
            page = await self.owner.request("GET", "rooms", room, "messages", query=query)
            found += page["chunk"]
            if not page["chunk"] or "end" not in page:
                return list(reversed(found))
            query["from"] = page["end"]

    async def inside(self, room: RoomId) -> set[str]:
        """Return who is in a room now."""
        return {user for user, membership in (await self.owner.members(room)).items() if membership == "join"}
