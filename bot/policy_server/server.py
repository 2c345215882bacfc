"""The policy server's HTTP: who asks, what they sent, and the answer in the form of the specification.

Rules kept here:
- A request is answered only to a server that proves its name, and only about rooms that ask.
- A server that the bot keeps out of a room is told nothing about that room.
- No event of an unknown room version is signed.
- A body is bounded in size and time; so are the requests of one server, by how many are under way and by their pace.
- What other people's servers send is never logged.

Left to others: the answer (`answering.py`), the keys and pages of a homeserver (`bot/federation/`), TLS (a proxy).

Specification: server-server API v1.19, "Policy Servers", "Request Authentication". The unstable path: MSC4284, by which
a refusal is an empty object.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import orjson
import structlog
from aiohttp import web

from bot.config.oidc import is_loopback
from bot.config.policy_server import HEALTH_PATH, METRICS_PATH
from bot.federation.errors import MalformedPdu, TooManyAsked, Unauthorized, UnknownRoomVersion
from bot.federation.pdu import MOST_BYTES, Pdu
from bot.federation.policy_server_seen import POLICY_WELL_KNOWN
from bot.federation.room_versions import room_version
from bot.federation.strict_json import parse_strictly
from bot.federation.x_matrix import RequestKeys, origin_of
from moderation.rooms.server_acl import is_denied

from .answering import BAD_JSON, UNKNOWN, Answering, PolicyAnswer, Say
from .bot_tables import RoomThatAsks
from .figures import CONTENT_TYPE, PolicyFigures
from .own_keys import EVENT_KEY_ID
from .pace import OriginPace

log = structlog.get_logger()

SIGN = "/_matrix/policy/v1/sign"
UNSTABLE_SIGN = "/_matrix/policy/unstable/org.matrix.msc4284/sign"
MOST_BODY = 2 * MOST_BYTES  # an event with spaces and escapes that its canonical form has not
MOST_UNDER_WAY = 1_000  # of one server
_BODY_WITHIN_S = 10.0
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_OF_ANYBODY = {**_HEADERS, "Access-Control-Allow-Origin": "*"}

OtherPages = Callable[[web.BaseRequest], Awaitable[web.StreamResponse | None]]


class RoomsThatAsk(Protocol):
    """The rooms that ask."""

    def asking(self, room: object) -> RoomThatAsks | None:
        """Return a room that asks, or has asked and may still do so; None for any other."""

    def figures(self) -> tuple[int, int, float]:
        """Return how many rooms ask, how many of them were joined, and the age of what is known of them (s)."""


class PolicyPages:
    """The answers to all requests to one policy server."""

    def __init__(
        self,
        server_name: str,
        event_key: str,
        answering: Answering,
        rooms: RoomsThatAsk,
        keys: RequestKeys,
        figures: PolicyFigures,
        others: OtherPages,
        say: Say,
        pace: OriginPace | None = None,
    ) -> None:
        self._server_name = server_name
        self._well_known = {"public_keys": {"ed25519": event_key}}
        self._answering = answering
        self._rooms = rooms
        self._keys = keys
        self._figures = figures
        self._others = others
        self._say = say
        self._pace = pace or OriginPace()
        self._under_way: Counter[str] = Counter()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request; a defect of ours is a 500 that says nothing."""
        try:
            return await self._page(request)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception:
            log.exception("policy_failed")
            return error(500, UNKNOWN, "Something is wrong here.")

    async def _page(self, request: web.BaseRequest) -> web.StreamResponse:
        method, path = request.method, request.path
        if path in (SIGN, UNSTABLE_SIGN):
            if method != "POST":
                return error(405, "M_UNRECOGNIZED", "POST is expected here.")
            return await self._sign(request, stable=path == SIGN)
        if method == "GET" and path == POLICY_WELL_KNOWN:
            return answer(200, self._well_known, _OF_ANYBODY)
        if method == "GET" and path == HEALTH_PATH:
            if not self._figures.healthy:
                await self._answering.try_disk()
            return answer(200 if self._figures.healthy else 503, {"healthy": self._figures.healthy})
        if method == "GET" and path == METRICS_PATH and is_loopback(_host(request)):
            rooms, joined, age_s = self._rooms.figures()
            body = self._figures.text(rooms=rooms, joined=joined, tables_age_s=age_s)
            return web.Response(text=body, headers={**_HEADERS, "Content-Type": CONTENT_TYPE})
        found = await self._others(request)
        return found if found is not None else error(404, "M_UNRECOGNIZED", "There is nothing here.")

    async def _sign(self, request: web.BaseRequest, *, stable: bool) -> web.StreamResponse:
        body = await _body_of(request)
        if body is None:
            self._figures.count("malformed")
            return error(413, "M_TOO_LARGE", f"An event has at most {MOST_BYTES} bytes.")
        try:
            event = parse_strictly(body, MOST_BODY)
        except MalformedPdu as problem:
            self._figures.count("malformed")
            return error(400, "M_NOT_JSON", str(problem))
        try:
            headers = request.headers.getall("Authorization", [])
            ours, keys = self._server_name, self._keys
            origin = await origin_of(headers, request.method, request.raw_path, event, ours=ours, keys=keys)
        except TooManyAsked:
            return self._too_many()
        except Unauthorized as problem:
            self._figures.count("unauthorized")
            return error(401, "M_UNAUTHORIZED", str(problem))
        if not self._pace.takes(origin) or self._under_way[origin] >= MOST_UNDER_WAY:
            return self._too_many()
        self._under_way[origin] += 1
        try:
            return self._in_form(await self._verdict(event, origin), stable=stable)
        finally:
            self._under_way[origin] -= 1
            if not self._under_way[origin]:
                del self._under_way[origin]

    def _too_many(self) -> web.Response:
        self._figures.count("too_many")
        return answer(429, {"errcode": "M_LIMIT_EXCEEDED", "error": "Too many at once.", "retry_after_ms": 1_000})

    async def _verdict(self, event: Mapping[str, Any], origin: str) -> PolicyAnswer:
        room = self._rooms.asking(event.get("room_id"))
        if room is None:
            self._figures.count("unknown_room")
            return PolicyAnswer(status=404, errcode="M_NOT_FOUND", text=self._say("no-room"))
        if is_denied(origin, room.denied):
            self._figures.count("denied")
            return PolicyAnswer(status=403, errcode="M_FORBIDDEN", text=self._say("denied"))
        try:
            pdu = Pdu.of(event, room_version(room.version))
        except UnknownRoomVersion:
            self._figures.count("unknown_room")
            return PolicyAnswer(
                status=404, errcode="M_NOT_FOUND", text="This policy server does not know the room's version."
            )
        except MalformedPdu as problem:
            self._figures.count("malformed")
            return PolicyAnswer(status=400, errcode=BAD_JSON, text=str(problem))
        return await self._answering.answer(pdu, room, origin)

    def _in_form(self, verdict: PolicyAnswer, *, stable: bool) -> web.StreamResponse:
        if verdict.signature:
            return answer(200, {self._server_name: {EVENT_KEY_ID: verdict.signature}})
        if not stable and verdict.errcode == "M_FORBIDDEN":
            return answer(200, {})
        return error(verdict.status, verdict.errcode, verdict.text)


def answer(status: int, body: Mapping[str, Any], headers: Mapping[str, str] = _HEADERS) -> web.Response:
    """Return an answer of JSON."""
    return web.Response(status=status, body=orjson.dumps(body), headers=headers, content_type="application/json")


def error(status: int, errcode: str, text: str) -> web.Response:
    """Return a Matrix error."""
    return answer(status, {"errcode": errcode, "error": text})


async def _body_of(request: web.BaseRequest) -> bytes | None:
    """Return the body of a request; None if it is too large or does not come in time."""
    if (request.content_length or 0) > MOST_BODY:
        return None
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_WITHIN_S):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > MOST_BODY:
                    return None
    except TimeoutError:
        return None
    return bytes(body)


def _host(request: web.BaseRequest) -> str:
    """Return the name under which we were asked, without the port."""
    host = request.headers.get("Host", "")
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
