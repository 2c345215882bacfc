"""The policy server as one of the servers of Matrix: its name, its user, the keys of others, and its pages.

Rules kept here:
- It joins, and takes an invitation, only where the owner of a room that the bot serves wants it to be asked.
- It joins through the bot's homeserver, which is in the room, and through servers that invited it.
- It leaves no room that still names it, as the bot's homeserver says.
- What is known of other servers' keys outlives the process, so that a start without a way out silences nobody.

Left to others: the protocol between servers (`bot/federation/`).
"""

import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import asdict

import structlog

from bot.config.config import Config
from bot.federation.client import FederationClient, ServerIdentity
from bot.federation.connections import Connections, tls_context
from bot.federation.errors import ServerRefused
from bot.federation.join import FederatedMember
from bot.federation.pages import FederationPages
from bot.federation.pdu import Pdu
from bot.federation.resolve import ServerResolver
from bot.federation.room_state import state_now
from bot.federation.server_keys import KnownKeys, ServerKey, ServerKeys
from bot.runtime.clock import Clock
from moderation.rooms.policy_server import POLICY_STATE, asked_name
from moderation.values.errors import Invalid
from moderation.values.ids import RoomId
from storage.policy_server.store import PolicyStore

from .own_keys import OwnKeys
from .rooms import PolicyRooms

log = structlog.get_logger()

DISPLAY_NAME = "Answerable"
_MOST_INVITERS = 5  # of one room
_HTTPS = ":443"
_NOT_THERE = 403  # the answer about somebody who is not in the room


class OtherServers:
    """Everything between this server and others. Make it with `open`."""

    def __init__(self, config: Config, us: ServerIdentity, client: FederationClient, keys: ServerKeys, clock: Clock):
        self.keys = keys
        self._user = config.policy_server.user
        self._us = us
        self._homeserver = config.server
        self._client = client
        self._member = FederatedMember(self._user, us, client, DISPLAY_NAME)
        self._inviters: dict[RoomId, tuple[str, ...]] = {}
        self._clock = clock

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, config: Config, own: OwnKeys, store: PolicyStore, clock: Clock
    ) -> AsyncIterator["OtherServers"]:
        """Yield it while its connections are open. Raises `Invalid` if `ca_file` cannot be read."""
        settings = config.policy_server
        assert settings.server_name is not None
        us = ServerIdentity(settings.server_name, own.server_key_id, own.server)
        connections = _connections(config)
        resolver = ServerResolver(connections, clock=clock)
        client = FederationClient(us, connections, resolver)
        keys = ServerKeys(client.key_answer, clock=clock, store=KeyShelf(store, clock))
        async with contextlib.AsyncExitStack() as stack:
            for part in (connections, resolver, keys):  # closed in the opposite order
                stack.push_async_callback(part.close)
            yield cls(config, us, client, keys, clock)

    async def join(self, room: RoomId) -> str:
        """Join a room; return its version. Raises `ServerRefused`, `ServerUnreachable` or `UnknownRoomVersion`."""
        via = (self._homeserver, *self._inviters.get(room, ()))
        return (await self._member.join(room, via, self._clock())).version.name

    async def leave(self, room: RoomId) -> bool:
        """Leave a room that no longer names us; return whether we are out of it. False: it still names us.

        Raises `ServerRefused`, `ServerUnreachable`.
        """
        try:
            named = await state_now(self._client, self._homeserver, self._user, room, POLICY_STATE)
            if any(asked_name(each).lower() == self._us.server.lower() for each in named):
                return False
            await self._member.leave(room, (self._homeserver,), self._clock())
        except ServerRefused as error:
            if error.status != _NOT_THERE:
                raise
        return True

    def pages(self, rooms: PolicyRooms) -> FederationPages:
        """Return the pages of this server, which take an invitation to one of `rooms`."""

        async def invited(pdu: Pdu, origin: str) -> bool:
            if not await rooms.wanted(pdu.room):
                return False
            known = self._inviters.get(pdu.room, ())
            self._inviters[pdu.room] = (origin, *(each for each in known if each != origin))[:_MOST_INVITERS]
            rooms.came(pdu.room)
            return True

        name = self._us.server
        answering = name if name.rpartition(":")[2].isdigit() and not name.endswith("]") else name + _HTTPS
        return FederationPages(self._us, self._user, answering, self.keys, invited, DISPLAY_NAME, self._clock)


def _connections(config: Config) -> Connections:
    settings = config.policy_server
    authority = config.file.parent / settings.ca_file if settings.ca_file else None
    try:
        tls = tls_context(authority)
    except OSError as error:
        raise Invalid(f"{authority} holds no certificate that can be read: {error.strerror or error}") from error
    return Connections(tls, may_ask=lambda _host: True) if settings.private_networks else Connections(tls)


class KeyShelf:
    """The place in the store where keys of other servers are kept. A disk that fails costs only another request."""

    def __init__(self, store: PolicyStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def read(self, server: str) -> KnownKeys | None:
        """Return the keys of a server as they were written."""
        try:
            written = await self._store.keys_of(server)
            found = json.loads(written) if written else None
            return KnownKeys({key_id: ServerKey(**each) for key_id, each in found.items()}) if found else None
        except (sqlite3.Error, ValueError, TypeError) as error:
            log.warning("policy_keys_not_read", server=server, why=str(error))
            return None

    async def write(self, server: str, known: KnownKeys) -> None:
        """Keep the keys of a server."""
        written = json.dumps({key_id: asdict(key) for key_id, key in known.keys.items()})
        try:
            await self._store.keep_keys(server, written, self._clock())
        except sqlite3.Error as error:
            log.warning("policy_keys_not_kept", server=server, why=str(error))
