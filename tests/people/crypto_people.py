"""A bot's `CryptoMachine` over the real homeserver, and a person with nio's client, an independent implementation.

Rules this module keeps:
- The machine gets its input as from the bot's listener: the encryption part first, the token only after it.
- nio has a store of its own and trusts every device, like a person who never verified anybody.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nio import AsyncClient, AsyncClientConfig
from nio.responses import RoomSendResponse

from bot.crypto.machine import CryptoMachine, Late, News, SyncPart
from bot.crypto.outbound import Recipients, RoomEncryption
from bot.crypto.room_keys import Decrypted, Sealed
from bot.crypto.store import place_of
from bot.crypto.store_key import StoreKey
from bot.events.sync_response import read_sync
from bot.matrix.client import Homeserver, Session, log_in_with_password
from bot.matrix.sync_filter import SYNC_FILTER
from bot.runtime.clock import Clock, wall_clock
from moderation.values.ids import EventId, RoomId
from storage.database.fence import Epoch
from storage.database.place import DatabasePlace
from storage.database.small_store import SmallPlace
from tests.theatre.stage import PASSWORD, Stage

KEY = StoreKey(bytes(range(32)))
ENCRYPTION = {"algorithm": "m.megolm.v1.aes-sha2"}
WITHIN_S = 120.0


@dataclass
class EncryptedBot:
    """A device of a bot. `heard` has the result for each event of a timeline, by its id."""

    homeserver: Homeserver
    machine: CryptoMachine
    folder: Path
    token: str | None = None
    heard: dict[str, Decrypted | Sealed] = field(default_factory=dict)
    news: list[News] = field(default_factory=list)
    clear: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # what came unencrypted, and the room
    _number: int = 0

    @classmethod
    async def open(
        cls,
        homeserver: Homeserver,
        folder: Path,
        *,
        recipients: Recipients = Recipients.ALL,
        clock: Clock = wall_clock,
        where: SmallPlace | None = None,
        epoch: Epoch | None = None,
    ) -> Self:
        """Open the store in `folder`, or `where` it is led, and bring the keys to the homeserver."""
        session = homeserver.session
        machine = await CryptoMachine.open(
            where or place_of(DatabasePlace(folder), session.device),
            KEY,
            homeserver.wire,
            session.user,
            session.device,
            recipients=recipients,
            clock=clock,
            epoch=epoch,
        )
        return cls(homeserver, machine, folder)

    @property
    def user(self) -> str:
        """The bot's user id."""
        return self.machine.user

    async def hear(self, *, timeout_ms: int = 0, take: bool = True) -> News:
        """Sync once; without `take`, ignore the answer as if killed before it was processed."""
        raw = await self.homeserver.sync(self.token, timeout_ms=timeout_ms, filter=SYNC_FILTER)
        if not take:
            return News()
        response = read_sync(raw, wall_clock())
        part = SyncPart.of(response.to_device, response.encryption, initial=self.token is None)
        news = await self.machine.receive(part)
        self.news.append(news)
        for late in news.ready:
            self._note(late)
        for room, joined in raw.get("rooms", {}).get("join", {}).items():
            for event in joined["timeline"]["events"]:
                if event["type"] == "m.room.encrypted":
                    self.heard[event["event_id"]] = await self.machine.decrypt(event, room)
                else:
                    self.clear.append((room, event))
        self.token = response.next_batch
        await self.machine.tend()
        return news

    def _note(self, late: Late) -> None:
        self.heard[late.event] = late.result

    async def until(self, event: str, *, sealed: bool = False) -> Decrypted | Sealed:
        """Listen until the event was decrypted, or with `sealed` until it came at all. Returns the result."""
        async with asyncio.timeout(WITHIN_S):
            while not isinstance(found := self.heard.get(event), Decrypted | Sealed if sealed else Decrypted):
                await self.hear(timeout_ms=1000)
        return found

    async def text(self, event: str) -> str:
        """Wait until an event was read, and return its text."""
        found = await self.until(event)
        assert isinstance(found, Decrypted)
        return str(found.event["content"]["body"])

    async def members(self, room: RoomId) -> list[str]:
        """Return the joined users of a room."""
        return [event["state_key"] for event in await self.homeserver.members(room, membership="join")]

    async def say(
        self, room: RoomId, body: str, how: RoomEncryption | None = None, relates_to: Mapping[str, Any] | None = None
    ) -> EventId:
        """Send a text message."""
        relation = {"m.relates_to": relates_to} if relates_to else {}
        return await self.send(room, "m.room.message", {"msgtype": "m.text", "body": body, **relation}, how)

    async def send(
        self, room: RoomId, type: str, content: Mapping[str, Any], how: RoomEncryption | None = None
    ) -> EventId:
        """Send an event, encrypted as its type asks."""
        self._number += 1
        txn = f"{self.machine.device}-{self._number}"
        kind, sealed = await self.machine.encrypt(room, type, content, await self.members(room), how)
        return await self.homeserver.send(room, kind, sealed, txn)

    async def close(self) -> None:
        """Close the store."""
        await self.machine.close()


class NioPerson:
    """A person with nio's client."""

    def __init__(self, session: Session, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        config = AsyncClientConfig(encryption_enabled=True, store_sync_tokens=False)
        self.user = session.user
        self.client = AsyncClient(session.url, session.user, session.device, str(folder), config=config)
        self.client.restore_login(session.user, session.device, session.token)

    async def start(self) -> Self:
        """Upload the keys."""
        await self.hear()
        return self

    async def hear(self, timeout_ms: int = 0) -> Any:
        """Sync once, and make the requests that the answer calls for."""
        answer = await self.client.sync(timeout=timeout_ms, full_state=self.client.next_batch is None)
        if self.client.should_upload_keys:
            await self.client.keys_upload()
        if self.client.should_query_keys:
            await self.client.keys_query()
        if self.client.should_claim_keys:
            await self.client.keys_claim(self.client.get_users_for_key_claiming())
        await self.client.send_to_device_messages()
        for room, joined in answer.rooms.join.items():
            for event in joined.timeline.events:
                self.seen[(room, event.event_id)] = event
        return answer

    seen: dict[tuple[str, str], Any]

    async def until(self, room: str, event: str) -> Any:
        """Listen until an event was decrypted, and return it."""
        async with asyncio.timeout(WITHIN_S):
            while not getattr(self.seen.get((room, event)), "decrypted", False):
                await self.hear(1000)
        return self.seen[(room, event)]

    async def invitation(self) -> str:
        """Listen until there is an invitation, and return its room."""
        async with asyncio.timeout(WITHIN_S):
            while not self.client.invited_rooms:
                await self.hear(1000)
        return str(next(iter(self.client.invited_rooms)))

    async def until_body(self, room: str, pattern: re.Pattern[str], sender: str) -> Any:
        """Listen until a message of `sender` matches `pattern`, and return it."""

        def found() -> Any:
            here = [event for (where, _), event in self.seen.items() if where == room and event.sender == sender]
            return next((each for each in here if pattern.search(getattr(each, "body", ""))), None)

        async with asyncio.timeout(WITHIN_S):
            while (event := found()) is None:
                await self.hear(1000)
        return event

    async def say(self, room: str, body: str) -> str:
        """Send a text message, to every device there is."""
        sent = await self.client.room_send(
            room, "m.room.message", {"msgtype": "m.text", "body": body}, ignore_unverified_devices=True
        )
        assert isinstance(sent, RoomSendResponse), sent
        return str(sent.event_id)

    async def close(self) -> None:
        """Release the connections."""
        await self.client.close()


class CryptoStage:
    """Makes bots and persons for one test, and closes them."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self.folder = folder
        self._open: list[EncryptedBot | NioPerson] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in reversed(self._open):
            await each.close()

    async def bot(self, name: str = "bot", **how: Any) -> EncryptedBot:
        """Create an account with one device."""
        homeserver = await self.stage.bot(name)
        return await self.device(homeserver, **how)

    async def device(self, homeserver: Homeserver, store: str = "", **how: Any) -> EncryptedBot:
        """Open a device over this port, with the named store (by default its own)."""
        folder = self.folder / (store or f"{homeserver.user[1:]}-{homeserver.session.device}")
        bot = await EncryptedBot.open(homeserver, folder, **how)
        self._open.append(bot)
        await bot.hear()
        return bot

    async def second(self, bot: EncryptedBot, **how: Any) -> EncryptedBot:
        """Log in another device of the same account."""
        return await self.device_of(bot.user, **how)

    async def device_of(self, user: str, **how: Any) -> EncryptedBot:
        """Log in to an existing account as a new device."""
        session = await log_in_with_password(self.stage.server.url, user, PASSWORD, "another")
        return await self.device(self.stage.port(session), **how)

    async def restarted(self, bot: EncryptedBot, **how: Any) -> EncryptedBot:
        """Close a device and open it again from its store."""
        await bot.close()
        if bot in self._open:
            self._open.remove(bot)
        again = await EncryptedBot.open(bot.homeserver, bot.folder, **how)
        again.token, again._number = bot.token, bot._number
        self._open.append(again)
        return again

    async def person(self, name: str) -> NioPerson:
        """Create a user with nio's client."""
        account = await self.stage.bot(name)
        person = NioPerson(account.session, self.folder / f"nio-{account.user[1:]}")
        person.seen = {}
        self._open.append(person)
        return await person.start()

    async def room(self, bot: EncryptedBot, *others: Any, **content: Any) -> RoomId:
        """Create an encrypted room by the bot, which all have joined and know of."""
        state = [{"type": "m.room.encryption", "state_key": "", "content": {**ENCRYPTION, **content}}]
        users = list(dict.fromkeys(other.user for other in others if other.user != bot.user))
        room = await bot.homeserver.create_room({"preset": "private_chat", "invite": users, "initial_state": state})
        for other in others:
            if other.user == bot.user:
                continue
            if isinstance(other, NioPerson):
                await other.client.join(room)
            elif isinstance(other, EncryptedBot):
                await other.homeserver.join(room)
            else:
                await other.join(room)
        for each in (bot, *others):
            if isinstance(each, NioPerson | EncryptedBot):
                await each.hear()
        return room
