"""Our requests to other servers, signed.

Rules this module keeps:
- Each request is signed for the one server it goes to (`x_matrix.py`).
- Ids become path segments in one place, and cannot break out of theirs.
- A Matrix error raises `ServerRefused`; anything else that is no answer raises `ServerUnreachable`.

Left to others: trying again, and which server to try.

Specification: server-server API v1.19, "Request Authentication".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

from bot.crypto.encoding import MalformedKey, canonical
from bot.crypto.signing import SigningKey
from bot.matrix.errors import one_line
from bot.matrix.http import decode, segment

from .connections import Connections, ServerReply
from .errors import ServerRefused, ServerUnreachable
from .resolve import ServerResolver
from .x_matrix import RequestAuthorization, authorization, header_of

KEYS = "/_matrix/key/v2/server"
FEDERATION_V1 = "/_matrix/federation/v1"
FEDERATION_V2 = "/_matrix/federation/v2"
_WITHIN_S = 30.0
_MOST_BYTES = 2**20
_KEYS_WITHIN_S = 10.0
_MOST_KEY_BYTES = 65_536

Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """A server name of ours, and the key with which it signs requests and its own events."""

    server: str
    key_id: str  # `ed25519:NAME`
    key: SigningKey = field(repr=False)


class AsksServers(Protocol):
    """Requests to other servers, as joining needs them."""

    async def get(
        self, server: str, base: str, segments: Sequence[str], query: Query = (), *, most_bytes: int = _MOST_BYTES
    ) -> dict[str, Any]:
        """Send a GET request; return the answer. Raises `ServerRefused`, `ServerUnreachable`."""

    async def put(
        self,
        server: str,
        base: str,
        segments: Sequence[str],
        content: Mapping[str, Any],
        query: Query = (),
        *,
        most_bytes: int = _MOST_BYTES,
    ) -> dict[str, Any]:
        """Send a PUT request; return the answer. Raises `ServerRefused`, `ServerUnreachable`."""


class FederationClient:
    """Sends requests as one server of ours."""

    def __init__(self, us: ServerIdentity, connections: Connections, resolver: ServerResolver) -> None:
        self._us, self._connections, self._resolver = us, connections, resolver

    async def get(
        self, server: str, base: str, segments: Sequence[str], query: Query = (), *, most_bytes: int = _MOST_BYTES
    ) -> dict[str, Any]:
        """Send a GET request; return the answer. Raises `ServerRefused`, `ServerUnreachable`."""
        return await self._ask(server, "GET", target_of(base, segments, query), None, most_bytes)

    async def put(
        self,
        server: str,
        base: str,
        segments: Sequence[str],
        content: Mapping[str, Any],
        query: Query = (),
        *,
        most_bytes: int = _MOST_BYTES,
    ) -> dict[str, Any]:
        """Send a PUT request; return the answer. Raises `ServerRefused`, `ServerUnreachable`."""
        return await self._ask(server, "PUT", target_of(base, segments, query), content, most_bytes)

    async def key_answer(self, server: str) -> bytes:
        """Return what a server publishes of its keys, unchecked. Raises `ServerRefused`, `ServerUnreachable`."""
        where = await self._resolver.resolve(server)
        reply = await self._connections.ask(where, "GET", KEYS, most_bytes=_MOST_KEY_BYTES, within_s=_KEYS_WITHIN_S)
        if reply.status != 200:
            raise _refused(reply)
        return reply.body

    async def _ask(
        self, server: str, method: str, target: str, content: Mapping[str, Any] | None, most_bytes: int
    ) -> dict[str, Any]:
        data = None if content is None else _body(content)
        where = await self._resolver.resolve(server)
        unsigned = RequestAuthorization(self._us.server, server, self._us.key_id, "")
        signed = authorization(unsigned, method, target, content, self._us.key)
        headers = {"Authorization": header_of(signed)} | ({} if data is None else {"Content-Type": "application/json"})
        reply = await self._connections.ask(
            where, method, target, data=data, headers=headers, most_bytes=most_bytes, within_s=_WITHIN_S
        )
        if reply.status != 200:
            raise _refused(reply)
        answer = _object(reply.body)
        if answer is None:
            raise ServerUnreachable("200 with an answer that is no JSON object")
        return answer


def target_of(base: str, segments: Sequence[str], query: Query) -> str:
    """Return path and query, quoted."""
    path = base + "".join(f"/{segment(each)}" for each in segments)
    return f"{path}?{urlencode(query)}" if query else path


def _body(content: Mapping[str, Any]) -> bytes:
    try:
        return canonical(content)
    except MalformedKey as error:
        raise ServerUnreachable(str(error)) from None


def _refused(reply: ServerReply) -> ServerRefused | ServerUnreachable:
    answer = _object(reply.body) or {}
    errcode, error = answer.get("errcode"), answer.get("error", "")
    if not isinstance(errcode, str):
        return ServerUnreachable(f"{reply.status} with an answer that is not a Matrix error")
    return ServerRefused(reply.status, one_line(errcode), one_line(error) if isinstance(error, str) else "")


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        answer = decode(body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
