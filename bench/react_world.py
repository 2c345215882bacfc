"""The setting of `bench/react.py`: a real homeserver, the floor, Answerable, people, and two rooms of theirs.

Rules kept here:
- The bot is set up and started as an operator does it, everything on, nothing set that a user would not set.
- The bot and the floor are processes of their own that run all the time, each for its own room, so that both are warm.
- What is measured is what another member's client sees, at the moment when it sees it.

Left to others: what is sent, and what the times are used for (`bench/react.py`).
"""

import asyncio
import itertools
import json
import os
import secrets
import sqlite3
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from bot.crypto.encrypting_client import SealedHomeserver
from bot.crypto.outbound import RoomEncryption
from bot.demo import child
from bot.demo.bot_process import BotProcess
from bot.demo.synapse import Synapse, SynapseAccount
from bot.encryption.service import open_machine
from bot.matrix.client import Session
from bot.matrix.http import Wire
from moderation.model.actions.base import NICETY
from moderation.model.facts import Fact
from moderation.values.ids import RoomId
from storage.database.place import FILE, DatabasePlace
from storage.journal.reader import Log
from storage.journal.record import Record
from storage.record_mapping import fact_of_record
from tests.people.client import Client

from .floor_bot import READY

ROOT = Path(__file__).parents[1]
PASSWORD = "bench"
TERMS = 10_000
WORDS = 32  # rules with a word of their own: each gives a separate case for each person
ENCRYPTED = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
_WAIT_S = 120.0

# Rules of every kind. Costs are small, so that nobody is muted before the end; flooding is not measured, so its limit
# is above what is sent.
RULES = """
[credit]
costs = { minor = 1, moderate = 2, serious = 3, severe = 4 }

[[rules]]
name = "many-terms"
kind = "terms"
terms = TERMS
[[rules]]
name = "patterns"
kind = "pattern"
patterns = ['TICKET-[0-9]{4}', '(?:buy|sell)\\s+now']
[[rules]]
name = "links"
kind = "links"
deny = ["elephants.example"]
[[rules]]
name = "flood"
kind = "flood"
messages = 1000
within = "10s"
[[rules]]
name = "mentions"
kind = "mentions"
limit = 5
[[rules]]
name = "media"
kind = "media"
max_size = "100MB"
"""
RULE = """
[[rules]]
name = "word-{n}"
kind = "terms"
terms = ["{word}"]
text = {{ en = "Nothing about {word}" }}
"""


def word(number: int) -> str:
    """Return the word of a rule."""
    return f"elephantword{number:02d}"


def rules() -> str:
    """Return what the operator adds to the configuration."""
    terms = json.dumps([f"purple elephant {number} of many" for number in range(TERMS)])
    return RULES.replace("TERMS", terms) + "".join(RULE.format(n=n, word=word(n)) for n in range(WORDS))


@dataclass
class Watcher:
    """A member who watches. `gone`: when each event was seen redacted (`time.perf_counter`), by its id."""

    client: Client
    gone: dict[str, float] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Watch until cancelled."""
        url, since = f"{self.client.url}/_matrix/client/v3/sync", ""
        headers = {"Authorization": f"Bearer {self.client.token}"}
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as http:
            while True:
                query = {"timeout": "30000", "since": since} if since else {"timeout": "0"}
                async with http.get(url, params=query) as response:
                    answer = orjson.loads(await response.read())
                self._look(answer, time.perf_counter())
                since = answer["next_batch"]

    def _look(self, answer: dict[str, Any], now: float) -> None:
        for part in answer.get("rooms", {}).get("join", {}).values():
            for event in part["timeline"]["events"]:
                if event["type"] == "m.room.redaction":
                    target = event.get("redacts") or event["content"].get("redacts", "")
                    self.gone.setdefault(target, now)
                elif "redacted_because" in event.get("unsigned", {}):
                    self.gone.setdefault(event["event_id"], now)
        self._news.set()

    async def until_gone(self, events: Sequence[str], within_s: float = _WAIT_S) -> list[float]:
        """Wait until all are redacted. Returns when each was seen redacted, or infinity if that took too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not all(event in self.gone for event in events):
                    self._news.clear()
                    await self._news.wait()
        return [self.gone.get(event, float("inf")) for event in events]


@dataclass(frozen=True)
class Member:
    """Somebody who writes, by one account: unencrypted by `client`, encrypted by `port`."""

    client: Client
    port: SealedHomeserver | None = None

    async def sealed(self, room: RoomId, body: str) -> tuple[str, dict[str, Any]]:
        """Return type and content of a message, encrypted if this member writes encrypted messages."""
        content = {"msgtype": "m.text", "body": body}
        if self.port is None:
            return "m.room.message", content
        machine = self.port.machine
        assert machine is not None
        members = await self.port.readers(room)
        return await machine.encrypt(room, "m.room.message", content, members, RoomEncryption())


@dataclass(frozen=True)
class Place:
    """The two rooms that are compared, and the people who write in them."""

    ours: RoomId
    floor: RoomId
    members: tuple[Member, ...]


class World:
    """The whole setting, for use with `async with`. With `synapse` it runs on a homeserver that others use, too."""

    def __init__(self, folder: Path, synapse: Synapse | None = None) -> None:
        self.folder = folder
        self._given = synapse
        self.bot = BotProcess(folder / "bot", "en")
        self._stack = AsyncExitStack()
        run = secrets.token_hex(3)
        self._names = (f"bench-{run}-{number}" for number in itertools.count())

    async def __aenter__(self) -> "World":
        async with AsyncExitStack() as stack:
            self._stack = stack
            await self._start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        self.synapse = self._given or await Synapse.start(self.folder / "synapse")
        if self._given is None:
            self._stack.push_async_callback(self.synapse.stop)
        self.owner, self.manager, looks = [await self.person() for _ in range(3)]
        self.watcher = Watcher(looks)
        watching = asyncio.create_task(self.watcher.run())
        self._stack.callback(watching.cancel)
        self._floor = await self._start_floor()
        await self._start_bot()

    async def person(self) -> Client:
        """Register a new user."""
        account = await self.synapse.register(next(self._names), PASSWORD)
        client = Client(self.synapse.url, account.user, account.token)
        client.device = account.device
        self._stack.push_async_callback(client.close)
        return client

    async def _start_floor(self) -> SynapseAccount:
        account = await self.synapse.register(next(self._names), PASSWORD)
        folder = self.folder / "floor"
        folder.mkdir()
        session = [self.synapse.url, account.user, account.device, account.token]
        (folder / "session.json").write_text(json.dumps(session), encoding="utf-8")
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        with (folder / "log").open("wb") as output:
            words = [word(number) for number in range(WORDS)]
            process = child.start("bench.floor_bot", str(folder), *words, folder=folder, output=output, environ=environ)
        self._stack.push_async_callback(child.stop, process)
        await _until(lambda: (folder / READY).exists(), process)
        return account

    async def _start_bot(self) -> None:
        self.bot.folder.mkdir()
        account = await self.synapse.register(next(self._names), PASSWORD)
        self._bot_user = account.user
        where = ("--homeserver", self.synapse.url, "--user", account.user, "--allow-invites", self.owner.user)
        ran = await self.bot.command("init", *where, "--password-stdin", "--yes", stdin=f"{PASSWORD}\n")
        if ran.code != 0:
            raise RuntimeError(f"answerable init: {ran.err}")
        with self.bot.config.open("a", encoding="utf-8") as file:
            file.write(rules())
        self.bot.start()
        self._stack.push_async_callback(self.bot.stop)
        await self.bot.until_ready()

    # Rooms.

    async def place(self, people: int, *, encrypted: bool = False) -> Place:
        """Make two rooms with the same people, one for the bot, one for the floor."""
        clients = [await self.person() for _ in range(people)]
        ours, floor = [await self._room(clients, encrypted) for _ in range(2)]
        await self._give(floor, self._floor.user)
        await _as(self.synapse.url, self._floor, floor)
        await self._give(ours, self._bot_user)
        await self.until(lambda: self._condition(ours) == "protected")
        await self.quiet()
        members = [Member(client, await self._port(client) if encrypted else None) for client in clients]
        return Place(ours, floor, tuple(members))

    async def _room(self, members: Sequence[Client], encrypted: bool) -> RoomId:
        others = [*members, self.manager, self.watcher.client]
        state: dict[str, Any] = {"initial_state": [ENCRYPTED]} if encrypted else {}
        room = await self.owner.create_room("bench", invite=[who.user for who in others], **state)
        await asyncio.gather(*(who.join(room) for who in others))
        await self.owner.set_power(room, {self.manager.user: 50})
        return room

    async def _give(self, room: RoomId, bot: str) -> None:
        await self.owner.set_power(room, {bot: 100})
        await self.owner.invite(room, bot)

    async def _port(self, client: Client) -> SealedHomeserver:
        session = Session(self.synapse.url, client.user, client.device, client.token)
        wire = await self._stack.enter_async_context(Wire(session.url, token=session.token))
        folder = self.folder / "members" / client.user[1:].partition(":")[0]
        folder.mkdir(parents=True)
        machine = await open_machine(DatabasePlace(folder), session, wire, lambda: int(time.time() * 1000))
        self._stack.push_async_callback(machine.close)
        return SealedHomeserver(session, wire, machine)

    # The bot's database and journal.

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return rows of the bot's database."""
        connection = sqlite3.connect(f"file:{self.bot.folder / 'data' / FILE}?mode=ro", uri=True, timeout=5)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def records(self, since: int = 0) -> list[Record]:
        """Return the records of the bot's journal from an index on."""
        return list(Log(self.bot.folder / "data/records").read(since))

    def facts(self, records: Sequence[Record]) -> list[Fact]:
        """Return the facts among records, without their rooms."""
        return [fact for record in records if (fact := fact_of_record(record, lambda _code: None)) is not None]

    def _condition(self, room: RoomId) -> str:
        found = self.rows("SELECT condition FROM rooms WHERE room = ?", room)
        return str(found[0][0]) if found else ""

    def waiting(self) -> int:
        """Return how many requests to the homeserver wait."""
        return int(self.rows("SELECT count(*) FROM outbox")[0][0])

    async def quiet(self, *taken: str) -> None:
        """Wait until these events are in the bot's tables, and then until it has nothing left to send.

        What is to be sent about an event is queued together with it; a redaction goes before that.
        """
        marks = ",".join("?" * len(taken))
        here = f"SELECT count(*) FROM events WHERE event IN ({marks})"
        await self.until(lambda: self.rows(here, *taken)[0][0] == len(taken))
        await self.until(lambda: not self.rows("SELECT 1 FROM outbox WHERE priority <= ? LIMIT 1", NICETY))

    async def until(self, look: Callable[[], object], within_s: float = _WAIT_S) -> None:
        """Wait until `look` finds something. Raises if the bot ends before."""
        watch = asyncio.create_task(self.bot.watch())
        looking = asyncio.create_task(_until(look, within_s=within_s))
        try:
            done, _ = await asyncio.wait({watch, looking}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            watch.cancel()
            looking.cancel()


async def _as(url: str, account: SynapseAccount, room: RoomId) -> None:
    async with Client(url, account.user, account.token) as client:
        await client.join(room)


async def _until(
    look: Callable[[], object], process: "subprocess.Popen[bytes] | None" = None, within_s: float = _WAIT_S
) -> None:
    async with asyncio.timeout(within_s):
        while not look():
            if process is not None and process.poll() is not None:
                raise RuntimeError(f"a process has ended: {process.args!r}")
            await asyncio.sleep(0.01)
