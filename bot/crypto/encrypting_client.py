"""The Matrix port that encrypts what is sent into encrypted rooms.

Rules kept here:
- The homeserver says whether a room is encrypted. It is asked once, and again when the state changes; an encrypted
  room never counts as unencrypted.
- An answer that a change has overtaken is not kept.
- The key goes to everybody who is joined, and to those invited if they may read the room's messages.
- Without our own keys nothing is sent into an encrypted room, rather than in the clear.
- A repeated request with the same transaction id gives the same event, though encrypted again.
Left to others: keys and devices (`bot/crypto/`), received events (`bot/encryption/service.py`).
"""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot.matrix.client import Content, Homeserver, Session
from bot.matrix.errors import HomeserverError, Unreachable
from bot.matrix.http import Wire
from moderation.values.ids import EventId, RoomId, UserId

if TYPE_CHECKING:
    from .machine import CryptoMachine
    from .outbound import RoomEncryption

ENCRYPTION = "m.room.encryption"
VISIBILITY = "m.room.history_visibility"
ALGORITHM = "m.megolm.v1.aes-sha2"
_THERE = ("join", "invite")


class NoKeys(HomeserverError):
    """Raised instead of sending in the clear into an encrypted room."""


class SealedHomeserver(Homeserver):
    """A homeserver port that knows which rooms are encrypted. Without `machine` it sends nothing into those."""

    def __init__(self, session: Session, wire: Wire | None = None, machine: "CryptoMachine | None" = None) -> None:
        super().__init__(session, wire)
        self.machine = machine
        self.lost = False  # the keys of this device are lost: nobody could read what it sends
        self._rooms: dict[RoomId, RoomEncryption | None] = {}
        self._joined_only: set[RoomId] = set()  # rooms where invited users cannot read messages from before they join
        self._readers: dict[RoomId, frozenset[UserId]] = {}
        self._changes: Counter[RoomId] = Counter()  # an answer requested before the last change is not kept

    # Knowledge about rooms.

    async def encryption_of(self, room: RoomId) -> "RoomEncryption | None":
        """Return how the room is encrypted; None if it is not."""
        if room not in self._rooms:
            from .outbound import RoomEncryption

            changes = self._changes[room]
            settings = await self.state_event(room, ENCRYPTION)
            seen = await self.state_event(room, VISIBILITY) if settings is not None else None
            visibility = str((seen or {}).get("history_visibility", "shared"))
            how = RoomEncryption.of(settings, visibility) if settings is not None else None
            if changes != self._changes[room]:
                return await self.encryption_of(room)
            self._rooms[room] = how
            (self._joined_only.add if visibility == "joined" else self._joined_only.discard)(room)
        return self._rooms[room]

    async def is_encrypted(self, room: RoomId) -> bool:
        """Tell whether messages in the room are encrypted."""
        return await self.encryption_of(room) is not None

    async def encrypt_room(self, room: RoomId) -> None:
        """Turn on encryption in the room, if it is not on yet."""
        if not await self.is_encrypted(room):
            await self.set_state(room, ENCRYPTION, {"algorithm": ALGORITHM})
            self.room_changed(room)

    def room_changed(self, room: RoomId) -> None:
        """Forget how the room is encrypted, so that it is asked again."""
        self._changes[room] += 1
        self._rooms.pop(room, None)
        self._readers.pop(room, None)

    def members_changed(self, room: RoomId) -> None:
        """Forget who is in the room, so that it is asked again."""
        self._changes[room] += 1
        self._readers.pop(room, None)

    async def readers(self, room: RoomId) -> frozenset[UserId]:
        """Return who may read the room's messages: everybody joined, and those invited if they may read them."""
        if (known := self._readers.get(room)) is not None:
            return known
        changes = self._changes[room]
        raws = await self.members(room)
        memberships = _THERE[:1] if room in self._joined_only else _THERE
        there = [raw for raw in raws if (raw.get("content") or {}).get("membership") in memberships]
        found = frozenset(UserId(str(raw.get("state_key", ""))) for raw in there)
        if changes == self._changes[room]:
            self._readers[room] = found
        return found

    def keys_are_lost(self) -> None:
        """Send nothing more into encrypted rooms: nobody could read it."""
        self.lost = True

    # Requests that change members.

    async def invite(self, room: RoomId, user: UserId, reason: str | None = None) -> None:
        await super().invite(room, user, reason)
        self.members_changed(room)

    async def kick(self, room: RoomId, user: UserId, reason: str | None = None) -> None:
        await super().kick(room, user, reason)
        self.members_changed(room)  # they may not read anything sent from here on

    async def ban(self, room: RoomId, user: UserId, reason: str | None = None, *, redact_events: bool = False) -> None:
        await super().ban(room, user, reason, redact_events=redact_events)
        self.members_changed(room)

    # Sending.

    async def send(self, room: RoomId, type: str, content: Content, txn: str) -> EventId:
        """Send an event, encrypted if the room is (section "PUT /rooms/{roomId}/send/{eventType}/{txnId}")."""
        how = await self.encryption_of(room)
        if how is None:
            return await super().send(room, type, content, txn)
        machine = self._machine_for(type)
        if machine is None:
            return await super().send(room, type, content, txn)
        from .outbound import Discarded

        while True:
            try:
                sealed_type, sealed = await machine.encrypt(room, type, content, await self.readers(room), how)
            except Discarded:
                continue  # somebody has left meanwhile
            return await super().send(room, sealed_type, sealed, txn)

    def _machine_for(self, type: str) -> "CryptoMachine | None":
        from .outbound import IN_THE_CLEAR

        if type in IN_THE_CLEAR:
            return None
        if self.machine is None:
            raise NoKeys("the room is encrypted, and there are no keys of ours")
        if self.lost:  # the message waits until there is another device
            raise Unreachable("the room is encrypted, and the keys of this device are lost")
        return self.machine

    async def send_file(self, room: RoomId, name: str, mimetype: str, data: bytes, txn: str) -> EventId:
        """Send a file as an `m.file` message (section "m.file"), encrypted if the room is."""
        info = {"mimetype": mimetype, "size": len(data)}
        content: dict[str, Any] = {"msgtype": "m.file", "body": name, "filename": name, "info": info}
        if await self.is_encrypted(room):
            from .attachments import encrypt

            sealed, file = await asyncio.to_thread(encrypt, data)
            address = await self.upload(sealed, "application/octet-stream", name)
            content["file"] = replace(file, url=address).content()
        else:
            content["url"] = await self.upload(data, mimetype, name)
        return await self.send(room, "m.room.message", content, txn)
