"""A server of ours in the test's own process: the library's pages, user and keys behind TLS."""

import asyncio
import secrets
import ssl
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

import orjson
from aiohttp import web

from bot.crypto.encoding import canonical
from bot.crypto.signing import SigningKey
from bot.demo.authority import TlsAuthority
from bot.federation.client import FederationClient, ServerIdentity
from bot.federation.connections import Connections, tls_context
from bot.federation.join import FederatedMember, RoomJoinedThrough
from bot.federation.pages import FederationPages
from bot.federation.pdu import Pdu
from bot.federation.resolve import ServerResolver
from bot.federation.server_keys import ServerKeys
from bot.federation.x_matrix import RequestAuthorization, authorization, header_of, parse_authorization
from moderation.values.ids import EventId, RoomId, UserId


class OurServer:
    """Use as ``async with OurServer(authority) as ours``."""

    def __init__(self, authority: TlsAuthority) -> None:
        self._authority = authority
        self._open = AsyncExitStack()
        self.takes_invitations = True
        self.invitations: asyncio.Queue[tuple[Pdu, str]] = asyncio.Queue()
        self.transactions: asyncio.Queue[str] = asyncio.Queue()  # who sent one
        self.name = ""

    async def __aenter__(self) -> Self:
        runner = web.ServerRunner(web.Server(self._respond, access_log=None))
        await runner.setup()
        self._open.push_async_callback(runner.cleanup)
        tls: ssl.SSLContext = self._authority.server_context(f"ours-{id(self)}", "localhost")
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        self.name = f"localhost:{runner.addresses[0][1]}"
        self.user = UserId(f"@policy:{self.name}")
        # Another server may have had this port, and its keys are known to Synapse by this name.
        self.us = us = ServerIdentity(self.name, f"ed25519:{secrets.token_hex(4)}", SigningKey.new())
        connections = Connections(tls_context(self._authority.file), may_ask=lambda _: True)
        self._open.push_async_callback(connections.close)
        resolver = ServerResolver(connections)
        self._connections, self._resolver = connections, resolver
        self.client = FederationClient(us, connections, resolver)
        self.keys = ServerKeys(self.client.key_answer)
        self._pages = FederationPages(us, self.user, self.name, self.keys, self._invited)
        self._member = FederatedMember(self.user, us, self.client, display_name="Rules")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def join(self, room: RoomId, *via: str) -> RoomJoinedThrough:
        """Join a room."""
        return await self._member.join(room, via, _now())

    async def leave(self, room: RoomId, *via: str) -> EventId:
        """Leave a room, or turn an invitation down."""
        return await self._member.leave(room, via, _now())

    async def post(self, server: str, target: str, content: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Send a signed POST request, which is asked of policy servers only. Returns the status and the answer."""
        unsigned = RequestAuthorization(self.name, server, self.us.key_id, "")
        signed = authorization(unsigned, "POST", target, content, self.us.key)
        headers = {"Authorization": header_of(signed), "Content-Type": "application/json"}
        where = await self._resolver.resolve(server)
        reply = await self._connections.ask(where, "POST", target, data=canonical(content), headers=headers)
        answer: dict[str, Any] = orjson.loads(reply.body)
        return reply.status, answer

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """Answer a request that is none of the library's pages. None: it is unknown."""
        del request
        return None

    async def _invited(self, pdu: Pdu, origin: str) -> bool:
        self.invitations.put_nowait((pdu, origin))
        return self.takes_invitations

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith("/_matrix/federation/v1/send/"):
            self.transactions.put_nowait(parse_authorization(request.headers["Authorization"]).origin)
        unknown = web.json_response({"errcode": "M_UNRECOGNIZED", "error": request.path}, status=404)
        return await self._pages.answer(request) or await self.respond(request) or unknown


def _now() -> int:
    return time.time_ns() // 1_000_000
