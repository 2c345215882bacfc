"""The people of the story: how they send messages, and what they can read.

Rules kept here:
- In an encrypted room each of them has one device with a `CryptoMachine` of its own, which decrypts the bot's messages
  with the keys that the bot gave it.
- A device whose store is copied continues from the same place in every story.
Left to others: what they say, and when (`stories/`).
"""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot.crypto.outbound import RoomEncryption
from bot.crypto.room_keys import Decrypted
from bot.matrix.client import Homeserver, Session
from moderation.values.ids import UserId
from tests.fakes import homeserver_answers as answers
from tests.fakes.homeserver import SimulatedHomeserver
from tests.fakes.homeserver_rooms import Room
from tests.people.crypto_people import EncryptedBot

MESSAGE = "m.room.message"
Json = dict[str, Any]


class People:
    """Everybody, in rooms that are not encrypted."""

    def __init__(self, server: SimulatedHomeserver, users: Mapping[str, str]) -> None:
        self.server = server
        self.users = dict(users)

    async def sealed(self, _name: str, _room: Room, body: str) -> tuple[str, Json]:
        """Return the type and content of an event with which somebody says something."""
        return MESSAGE, {"msgtype": "m.text", "body": body}

    async def listen(self) -> None:
        """Receive the new events."""

    def skip(self) -> None:
        """Skip all events so far."""

    def clear(self, raw: Json) -> Json:
        """Return an event as its readers see it."""
        return raw

    async def close(self) -> None:
        """Close everybody's devices."""


class SealedPeople(People):
    """Everybody, each with a device. Make them with `open`."""

    def __init__(self, server: SimulatedHomeserver, members: Mapping[str, EncryptedBot]) -> None:
        super().__init__(server, {name: str(member.homeserver.user) for name, member in members.items()})
        self._members = dict(members)
        self._heard = (-1, -1)

    @classmethod
    async def open(
        cls,
        server: SimulatedHomeserver,
        folder: Path,
        accounts: Mapping[str, tuple[str, str, str]],
        tokens: Mapping[str, str],
    ) -> "SealedPeople":
        """Open everybody's device, with the store in `folder` or a new one, from their sync token on."""
        members = {}
        for name, (user, token, device) in accounts.items():
            homeserver = Homeserver(Session(server.url, UserId(user), device, token))
            members[name] = await EncryptedBot.open(homeserver, folder / name)
            members[name].token = tokens.get(name)
        return cls(server, members)

    @property
    def tokens(self) -> dict[str, str]:
        """The sync token of each device."""
        return {name: member.token for name, member in self._members.items() if member.token is not None}

    async def sealed(self, name: str, room: Room, body: str) -> tuple[str, Json]:
        type, content = await super().sealed(name, room, body)
        return await self._members[name].machine.encrypt(room.id, type, content, room.joined(), RoomEncryption())

    async def listen(self) -> None:
        there = (len(self.server.world.order), self.server.devices.count)
        if there != self._heard:
            self._heard = there
            await asyncio.gather(*(member.hear() for member in self._members.values()))

    def skip(self) -> None:
        for member in self._members.values():
            told = answers.device_place_of(member.token or answers.token(0))
            member.token = answers.token(len(self.server.world.order), told)

    def clear(self, raw: Json) -> Json:
        found = (member.heard.get(raw["event_id"]) for member in self._members.values())
        opened = next((each for each in found if isinstance(each, Decrypted)), None)
        return raw if opened is None else opened.event

    async def close(self) -> None:
        for member in self._members.values():
            await member.close()
            await member.homeserver.close()


async def again(
    server: SimulatedHomeserver,
    scene: Path,
    folder: Path,
    accounts: Mapping[str, tuple[str, str, str]],
    tokens: Mapping[str, str],
) -> People:
    """Return the people of a scene again, with copies of their devices in `folder`."""
    if not tokens:
        return People(server, {name: account[0] for name, account in accounts.items()})
    await asyncio.to_thread(shutil.copytree, scene, folder)
    return await SealedPeople.open(server, folder, accounts, tokens)
