"""A policy server without a network: its judge, its answers and its store, on the tables of a bot without a homeserver.

Events are made and signed as homeservers do. `Homeservers` has their keys.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.crypto.encoding import b64
from bot.crypto.signing import SigningKey
from bot.events.parse_event import receive
from bot.federation.pdu import Pdu, content_hash, essence_of
from bot.federation.room_versions import room_version
from bot.federation.x_matrix import RequestAuthorization, authorization, header_of
from bot.policy_server.answering import Answering, PolicyAnswer
from bot.policy_server.bot_tables import BotTables, RoomThatAsks
from bot.policy_server.figures import PolicyFigures
from bot.policy_server.judging import BeforehandJudge, Judgement, new_knowledge
from moderation.judge.beforehand import Refusal
from moderation.values.ids import RoomId, UserId, server_of
from storage.policy_server.spool import PolicySpool, RefusalNote
from storage.policy_server.store import PolicyStore
from tests.door.offline import ROOM, Offline, offline

NAME = "policy.example.org"
USER = UserId(f"@answerable:{NAME}")
RULES = """
[[rules]]
name = "elephants"
kind = "terms"
terms = ["purple elephant"]
[[rules]]
name = "flood"
kind = "flood"
messages = 3
within = "1m"
"""
GOOD, BAD = {"msgtype": "m.text", "body": "hello"}, {"msgtype": "m.text", "body": "a purple elephant"}


@dataclass
class Homeservers:
    """The keys of homeservers, and their signatures."""

    keys: dict[str, SigningKey] = field(default_factory=dict)
    silent: bool = False  # whether no key can be fetched

    def key(self, server: str) -> SigningKey:
        if server not in self.keys:
            self.keys[server] = SigningKey.new()
        return self.keys[server]

    async def for_request(self, server: str, key_id: str) -> str | None:
        known = not self.silent and key_id == "ed25519:1" and server in self.keys
        return self.keys[server].public if known else None

    def header(self, event: object, path: str, *, by: str = "example.org", to: str = NAME) -> dict[str, str]:
        """Return the header by which a server proves that it asks."""
        unsigned = RequestAuthorization(by, to, "ed25519:1", "")
        return {"Authorization": header_of(authorization(unsigned, "POST", path, event, self.key(by)))}

    async def event_is_signed(self, pdu: Pdu, server: str) -> bool:
        return not self.silent and pdu.is_signed(server, "ed25519:1", self.key(server).public)

    def event(
        self, sender: str, content: dict[str, Any], *, at_ms: int, version: str = "11", room: str = ROOM, **more: Any
    ) -> dict[str, Any]:
        """Return an event as its sender's homeserver sends it."""
        made: dict[str, Any] = {
            "type": "m.room.message",
            "room_id": room,
            "sender": sender,
            "content": content,
            "origin_server_ts": at_ms,
            "depth": 7,
            "prev_events": [],
            "auth_events": [],
            **more,
        }
        made["hashes"] = {"sha256": b64(content_hash(made))}
        return made | {"signatures": self.signatures(made, server_of(sender), version)}

    def signatures(self, event: dict[str, Any], server: str, version: str = "11") -> dict[str, dict[str, str]]:
        essence = essence_of({**event, "signatures": {}}, room_version(version))
        return {server: {"ed25519:1": self.key(server).sign(essence)}}


@dataclass
class Asked:
    """One policy server."""

    bot: Offline
    homeservers: Homeservers
    store: PolicyStore
    tables: BotTables
    answering: Answering
    figures: PolicyFigures
    own: SigningKey
    spool: PolicySpool

    @property
    def now_ms(self) -> int:
        return self.bot.time.ms

    def pdu(self, sender: str, content: dict[str, Any], *, version: str = "11", **more: Any) -> Pdu:
        made = self.homeservers.event(sender, content, **{"at_ms": self.now_ms, "version": version, **more})
        return Pdu.of(made, room_version(version))

    async def ask(self, pdu: Pdu, by: str = "") -> PolicyAnswer:
        room = self.tables.rooms.get(pdu.room) or RoomThatAsks(pdu.room, 0, pdu.version.name)
        return await self.answering.answer(pdu, room, by)

    async def come(self, *people: UserId) -> None:
        """Let people come into the room."""
        raws = (self.bot.raw(user, "m.room.member", {"membership": "join"}, user) for user in people)
        await self.bot.pipeline.take([receive(raw, ROOM, self.now_ms) for raw in raws])

    def notes(self) -> tuple[RefusalNote, ...]:
        return self.spool.refusals_after(0)

    def counted(self) -> dict[str, int]:
        return {name: number for name, number in self.figures.counted().items() if number}


class StaysOut:
    """A user for whom nothing is to be joined or left."""

    async def join(self, room: RoomId) -> str:
        raise AssertionError(f"{room} is not to be joined")

    async def leave(self, room: RoomId) -> bool:
        raise AssertionError(f"{room} is not to be left")


def words(refusal: Refusal, found: Judgement, recorded: bool) -> str:
    return f"{refusal.rule}, {found.language}" + ("" if recorded else ", unrecorded")


@asynccontextmanager
async def on_tables_of(
    bot: Offline, homeservers: Homeservers | None = None, *, within_ms: int = 3_600_000, since_ms: int = 0
) -> AsyncIterator[Asked]:
    """Open a policy server on the tables of a bot, in a room that asks it."""
    data_dir, clock = bot.config.data_dir, bot.time
    knowledge, figures, own = new_knowledge(bot.config), PolicyFigures(clock), SigningKey(bytes(32))
    servers = homeservers or Homeservers()
    store = PolicyStore.open(data_dir, clock())
    tables = BotTables(bot.config.place, USER, knowledge, clock)
    tables.rooms = {ROOM: RoomThatAsks(ROOM, since_ms, "11", joined=True)}
    judge = BeforehandJudge(bot.config, tables, knowledge, clock)
    answering = Answering(store, judge, servers, own, words, str, figures, clock, within_ms, when_down_ms=90_000)
    spool = PolicySpool(data_dir)
    try:
        yield Asked(bot, servers, store, tables, answering, figures, own, spool)
    finally:
        await answering.settle()
        await tables.close()
        store.close()
        spool.close()


@asynccontextmanager
async def asked(folder: Path, rules: str = RULES, **more: Any) -> AsyncIterator[Asked]:
    """Open a bot and its policy server."""
    async with offline(folder, rules) as bot, on_tables_of(bot, **more) as server:
        yield server
