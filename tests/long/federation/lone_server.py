"""A server whose admin does as they like: it is in rooms, asks no policy server, and writes the events itself."""

import itertools
import time
from collections.abc import Mapping
from typing import Any

from bot.federation.client import FEDERATION_V1
from bot.federation.join import RoomJoinedThrough
from bot.federation.pdu import Pdu, hashed_and_signed
from bot.federation.room_versions import RoomVersion
from moderation.values.ids import EventId, RoomId
from tests.long.federation.our_server import OurServer

_CITED = ("m.room.create", "m.room.power_levels", "m.room.join_rules")
_numbers = itertools.count(1)


class LoneServer:
    """One user of such a server in one room, which it joined through another server."""

    def __init__(self, ours: OurServer, joined: RoomJoinedThrough) -> None:
        self._ours, self._joined = ours, joined
        self._depth = 1_000
        self._last = joined.event_id

    @property
    def room(self) -> RoomId:
        """The room."""
        return self._joined.room

    @property
    def version(self) -> RoomVersion:
        """Its version."""
        return self._joined.version

    def made(self, content: Mapping[str, Any], **changed: Any) -> Pdu:
        """Return a message of its user, after the last event of theirs, with their server's signature."""
        self._depth += 1
        event = {
            "type": "m.room.message",
            "room_id": self.room,
            "sender": self._ours.user,
            "content": dict(content),
            "origin_server_ts": time.time_ns() // 1_000_000,
            "depth": self._depth,
            "prev_events": [self._last],
            "auth_events": self._cited(),
            **changed,
        }
        us = self._ours.us
        return Pdu.of(hashed_and_signed(event, self.version, us.server, us.key_id, us.key), self.version)

    async def ask(self, policy: str, event: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Ask a policy server for its signature. Returns the status and the answer."""
        return await self._ours.post(policy, "/_matrix/policy/v1/sign", event)

    async def send(self, pdu: Pdu, event: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send an event to the server through which it joined; `event` in place of the one that was signed."""
        transaction = {
            "origin": self._ours.name,
            "origin_server_ts": time.time_ns() // 1_000_000,
            "pdus": [dict(event or pdu.event)],
        }
        segments = ("send", f"{time.time_ns()}.{next(_numbers)}")
        answer = await self._ours.client.put(self._joined.through, FEDERATION_V1, segments, transaction)
        result: dict[str, Any] = answer["pdus"][pdu.event_id]
        return result

    def _cited(self) -> list[EventId]:
        """Return the events that allow it to speak. In version 12 the first event is not named."""
        state = [Pdu.of(each, self.version) for each in self._joined.state if each["type"] in _CITED]
        kinds = _CITED[1:2] if self.version.room_is_create else _CITED[:2]
        return [*(each.event_id for each in state if each.type in kinds), self._joined.event_id]
