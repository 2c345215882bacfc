"""The pages of a server that has users in rooms, without the rest of a homeserver.

Rules this module keeps:
- Others count us as a server that is there: keys, version, devices and profiles of our users, transactions.
- What others send us of rooms is thrown away unread; the rooms are read through a homeserver.
- An invitation is signed only if it is one of our user, comes from its sender's server, and that server has signed it;
  whether it is taken is decided by `Invited`.
- Bodies are bounded in size and time. Transactions are not even kept until their end, as anybody can send them.

Left to others: all other paths, limits of connections.

Specification: server-server API v1.19.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from aiohttp import web

from bot.runtime.clock import Clock, wall_clock
from moderation.values.ids import UserId

from .client import FEDERATION_V1, FEDERATION_V2, KEYS, ServerIdentity
from .errors import MalformedPdu, TooManyAsked, Unauthorized
from .pdu import Pdu
from .published import (
    MOST_INVITE_BYTES,
    accepted_invitation,
    devices_of,
    invitation_in,
    published_keys,
    received,
    server_version,
    well_known_server,
)
from .server_keys import ServerKey, ServerKeys
from .strict_json import parse_strictly
from .well_known import PATH as WELL_KNOWN
from .x_matrix import origin_of

_VERSION, _PROFILE = f"{FEDERATION_V1}/version", f"{FEDERATION_V1}/query/profile"
_DEVICES, _SEND, _INVITE = f"{FEDERATION_V1}/user/devices/", f"{FEDERATION_V1}/send/", f"{FEDERATION_V2}/invite/"
MOST_TRANSACTION_BYTES = 8 * 2**20  # 50 events of 64 KiB, and 100 small ones
_BODY_WITHIN_S = 20.0
Invited = Callable[[Pdu, str], Awaitable[bool]]  # the invitation, the server it came from: is it taken?


class PageRefused(Exception):
    """A request is answered with an error."""

    def __init__(self, status: int, errcode: str, error: str) -> None:
        super().__init__(error)
        self.status, self.errcode, self.error = status, errcode, error


@dataclass(frozen=True, slots=True)
class FederationPages:
    """The pages of one user of one server of ours. `answering` is the name and port at which others reach us."""

    us: ServerIdentity
    user: UserId
    answering: str
    keys: ServerKeys
    invited: Invited
    display_name: str = "Answerable"
    clock: Clock = wall_clock
    retired: Mapping[str, ServerKey] | None = None

    async def answer(self, request: web.BaseRequest) -> web.Response | None:
        """Return the answer to a request, or None if its path is none of these."""
        path, _, query = request.raw_path.partition("?")
        try:
            found = await self._answer(request, path, query)
        except PageRefused as refused:
            return _json({"errcode": refused.errcode, "error": refused.error}, refused.status)
        return None if found is None else _json(found)

    async def _answer(self, request: web.BaseRequest, path: str, query: str) -> dict[str, Any] | None:
        if request.method == "GET":
            return self._shown(path, query)
        if request.method != "PUT":
            return None
        if path.startswith(_SEND):
            await _read(request, MOST_TRANSACTION_BYTES, keep=False)
            return received()
        parts = path.removeprefix(_INVITE).split("/")
        if path.startswith(_INVITE) and len(parts) == 2:
            return await self._invited(request, unquote(parts[0]), unquote(parts[1]))
        return None

    def _shown(self, path: str, query: str) -> dict[str, Any] | None:
        if path == KEYS or path.startswith(f"{KEYS}/"):  # the second form asks for one key, and gets all
            return published_keys(self.us, self.clock(), self.retired)
        if path == WELL_KNOWN:
            return well_known_server(self.answering)
        if path == _VERSION:
            return server_version()
        if path.startswith(_DEVICES):
            return devices_of(self._ours(unquote(path.removeprefix(_DEVICES))))
        if path == _PROFILE:
            self._ours(parse_qs(query).get("user_id", [""])[0])
            return {"displayname": self.display_name}
        return None

    def _ours(self, user: str) -> str:
        if user != self.user:
            raise PageRefused(404, "M_NOT_FOUND", "No such user")
        return user

    async def _invited(self, request: web.BaseRequest, room: str, event_id: str) -> dict[str, Any]:
        try:
            body = parse_strictly(await _read(request, MOST_INVITE_BYTES), MOST_INVITE_BYTES)
            origin = await origin_of(
                request.headers.getall("Authorization", []),
                request.method,
                request.raw_path,
                body,
                ours=self.us.server,
                keys=self.keys,
            )
            pdu = invitation_in(body, room, event_id, origin=origin, user=self.user)
        except TooManyAsked as error:
            raise PageRefused(429, "M_LIMIT_EXCEEDED", str(error)) from None
        except Unauthorized as error:
            raise PageRefused(401, "M_UNAUTHORIZED", str(error)) from None
        except MalformedPdu as error:
            raise PageRefused(400, "M_INVALID_PARAM", str(error)) from None
        if not await self.keys.event_is_signed(pdu, origin):
            raise PageRefused(400, "M_INVALID_PARAM", "the sender's server has not signed the invitation")
        if not await self.invited(pdu, origin):
            raise PageRefused(403, "M_FORBIDDEN", "This server takes no part in the room")
        return accepted_invitation(pdu, self.us)


async def _read(request: web.BaseRequest, most: int, *, keep: bool = True) -> bytes:
    """Return the body of a request, or nothing of it if it is not to be kept. Raises `PageRefused`."""
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(_BODY_WITHIN_S):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > most:
                    raise PageRefused(413, "M_TOO_LARGE", f"More than {most} bytes")
                if keep:
                    body += chunk
    except TimeoutError:
        raise PageRefused(408, "M_UNKNOWN", f"The body did not come within {_BODY_WITHIN_S:g} s") from None
    return bytes(body)


def _json(value: Mapping[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(value).encode(), status=status, content_type="application/json")
