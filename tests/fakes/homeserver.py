"""A simulated homeserver, for faults and load that a real one cannot produce. It is not for real use.

    async with SimulatedHomeserver() as server: ...          in this process
    python -m tests.fakes.homeserver_orders                  in a process of its own: prints its address

Rules kept here:
- It answers as Synapse answers the same requests (`test_homeserver.py` asks both).
- Only the faults that a test ordered occur.
- While it is held (`hold`), `/sync` reports nothing new, so that many events can be prepared and released at once.
- No product code imports it.
Left to others: the requests but `/sync` (`homeserver_requests.py`), rooms (`homeserver_rooms.py`), rate limits
(`homeserver_limits.py`), answers about rooms (`homeserver_answers.py`), keys, orders by HTTP (`homeserver_orders.py`).
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache, partial
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

import orjson
from aiohttp import web

from bot.runtime.clock import Clock, wall_clock
from tests.fakes import homeserver_answers as answers
from tests.fakes.homeserver_limits import Limit
from tests.fakes.homeserver_requests import REDACT_ALL, REQUESTS, UNRECOGNIZED, Asked, Requests
from tests.fakes.homeserver_rooms import SERVER, Json, Refused

LONGEST_S = 30.0


@dataclass
class Fault:
    """An error that occurs `times` times, in requests named `name` (`sync`, `rooms/send` ...), or in all."""

    name: str = ""
    times: int = 1
    status: int = 502
    body: bytes = b"<html><body>Bad Gateway</body></html>"
    type: str = "text/html"
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False  # no answer
    cut: bool = False  # half of an answer
    after: bool = False  # the request takes effect; only its answer is lost

    @classmethod
    def limited(cls, name: str = "", times: int = 1, retry_after_ms: int = 100) -> "Fault":
        """Return Synapse's error for too many requests."""
        body = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": retry_after_ms}
        headers = {"Retry-After": str(max(1, -(-retry_after_ms // 1000)))}
        return cls(name, times, 429, orjson.dumps(body), "application/json", headers)


class SimulatedHomeserver(Requests):
    """One homeserver called `name`; `at_most`: events in one answer of `/sync`, over all rooms."""

    def __init__(self, *, at_most: int | None = None, name: str = SERVER, clock: Clock = wall_clock) -> None:
        super().__init__(name, clock)
        self.at_most = at_most
        self.url = ""
        self.faults: list[Fault] = []
        self.counts: Counter[str] = Counter()  # requests, by name
        self.acknowledged: dict[str, tuple[int, float]] = {}  # the place that each user asked to go on from, and when
        self.held: int | None = None  # events after this place are not reported
        self.allowed: int | None = None  # how many more events of `limited` are accepted, as by `rc_message`; None: all
        self.limited = ""  # the user concerned
        self.refused = 0  # number of this user's refused requests
        self.limit: Limit | None = None  # the rate limit of all senders
        self.sent: list[tuple[str, Json]] = []  # this user's accepted requests, by name, with their subject
        self.taken: Callable[[str], None] = lambda _name: None  # called after each of those
        self._tokens: dict[str, tuple[str, str]] = {}
        self._closing = asyncio.Event()
        self._runner: web.ServerRunner | None = None
        self.more: Callable[[str, Json], Awaitable[Any]] | None = None  # orders over HTTP

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = "http://{}:{}".format(*self._runner.addresses[0][:2])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self.tell()
        assert self._runner is not None
        await self._runner.cleanup()

    # For the test that directs it.

    def account(self, localpart: str) -> tuple[str, str, str]:
        """Create an account with a device. Returns user, token, device."""
        user, token, device = f"@{localpart}:{self.world.server}", "sim_" + secrets.token_hex(8), secrets.token_hex(5)
        self._tokens[token] = (user, device.upper())
        self.devices.add(user, device.upper())
        return user, token, device.upper()

    def hold(self) -> None:
        """Report nothing new from now on."""
        self.held = len(self.world.order)

    def let_go(self) -> None:
        """Report everything that was held back."""
        self.held = None
        self.tell()

    async def until_acknowledged(self, user: str, place: int) -> float:
        """Wait until `user` syncs from `place` or later, and so has everything before. Returns when (monotonic)."""
        while (found := self.acknowledged.get(user, (0, 0.0)))[0] < place:
            await self._news.wait()
        return found[1]

    # Requests.

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        segments = tuple(unquote(part) for part in request.raw_path.partition("?")[0].split("/")[1:])
        if segments[0] == "_simulated" and self.more is not None:
            told = await request.content.read()  # a room of 50,000 is more than `request.read` takes
            return _answer(200, await self.more(segments[1], orjson.loads(told or b"{}")))
        at = 4 if segments[3:4] == (REDACT_ALL,) else 2 if segments[2:] == ("versions",) else 3
        name = "rooms/redact-all" if at == 4 else _name(segments[at:])
        self.counts[name] += 1
        fault = self._fault(name)
        if fault is not None and not fault.after:
            return await self._fail(request, fault)
        try:
            found = await self._do(request, name, segments[at:])
            response = found if isinstance(found, web.Response) else _answer(200, found)
        except Refused as refused:
            response = _answer(refused.status, refused.body)
        response.headers["Date"] = _date(self.world.clock() // 1000)
        return response if fault is None else await self._fail(request, fault)

    def _fault(self, name: str) -> Fault | None:
        found = next((fault for fault in self.faults if fault.name in ("", name) and fault.times > 0), None)
        if found is not None:
            found.times -= 1
        return found

    async def _fail(self, request: web.BaseRequest, fault: Fault) -> web.StreamResponse:
        if fault.hang:
            await self._closing.wait()
        if not fault.cut:
            return web.Response(status=fault.status, body=fault.body, content_type=fault.type, headers=fault.headers)
        response = web.StreamResponse(status=200, headers={"Content-Type": "application/json"})
        response.content_length = 1000
        await response.prepare(request)
        await response.write(b'{"half": "an ans')
        assert request.transport is not None
        request.transport.close()
        return response

    async def _do(self, request: web.BaseRequest, name: str, segments: tuple[str, ...]) -> Any:
        work = self.sync if (request.method, name) == ("GET", "sync") else partial(_found(request.method, name), self)
        user, device = ("", "") if name in _OPEN else self._who(request)
        body, file = ({}, await request.read()) if name == "upload" else (await _body(request), b"")
        asked = Asked(user, device, segments, dict(request.query), body, file, request.content_type)
        counted = bool(user) and request.method != "GET" and name in _COUNTED
        if counted:
            self._count(asked)
        limited = counted and user == self.limited
        if limited and self.allowed is not None:
            if self.allowed <= 0:
                self.refused += 1
                raise Refused(429, "M_LIMIT_EXCEEDED", "Too Many Requests", retry_after_ms=_RETRY_AFTER_MS)
            self.allowed -= 1
        result = work(asked)
        found = await result if asyncio.iscoroutine(result) else result
        if limited:
            self.sent.append((name, asked.body))
            self.taken(name)
        return found

    def _count(self, asked: Asked) -> None:
        """Count a request against the limit, unless it repeats one that was done. Raises `Refused`."""
        wait = None if self.limit is None or self._key(asked) in self._done else self.limit.take(asked.user)
        if wait is not None:
            self.refused += 1
            raise Refused(429, "M_LIMIT_EXCEEDED", "Too Many Requests", retry_after_ms=wait)

    def _who(self, request: web.BaseRequest) -> tuple[str, str]:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not token:
            raise Refused(401, "M_MISSING_TOKEN", "Missing access token")
        if token not in self._tokens:
            raise Refused(401, "M_UNKNOWN_TOKEN", "Invalid access token passed.", soft_logout=False)
        return self._tokens[token]

    # What is asked.

    async def sync(self, asked: Asked) -> Json:
        """Answer `/sync` (section "Syncing"); the filter must be in the request."""
        first = "since" not in asked.query
        token = asked.query.get("since", answers.token(0))
        since, told = answers.place_of(token), answers.device_place_of(token)
        if not first:
            self.acknowledged[asked.user] = (since, time.monotonic())
            self.devices.acknowledged(asked.user, asked.device, told)
            self.tell()
            since = await self._wait(asked, since, told)
        upto = self._upto(since, first=first)
        filter = orjson.loads(asked.query.get("filter", "{}"))
        answer = answers.sync(self.world, asked.user, asked.device, since, upto, filter, first=first)
        events = self.world.order[since:upto]
        mine, told = self.devices.of_sync(self.world, asked.user, asked.device, told, events, first=first)
        keys = self.keys.of_sync(asked.user, asked.device)
        return {**answer, **mine, **keys, "next_batch": answers.token(upto, told)}

    def _upto(self, since: int, *, first: bool) -> int:
        end = len(self.world.order) if self.held is None else self.held
        return min(end, since + self.at_most) if self.at_most is not None and not first else max(end, since)

    async def _wait(self, asked: Asked, since: int, told: int) -> int:
        """Wait for news or the end of the time. Returns the place from which to report; nothing is before it."""
        ends = asyncio.get_running_loop().time() + min(int(asked.query.get("timeout", "0")) / 1000, LONGEST_S)
        place = since
        while not self._closing.is_set():
            upto = self._upto(place, first=False)
            mine = self.world.rooms_of.get(asked.user, {})
            if any(room.id in mine for room, _ in self.world.order[place:upto]):
                return place
            if self.devices.has_news(self.world, asked.user, asked.device, told):
                return place
            if upto > place:
                place = upto
                continue
            try:
                async with asyncio.timeout_at(ends):
                    await self._news.wait()
            except TimeoutError:
                break
        return place


def _found(method: str, name: str) -> Callable[[Requests, Asked], Any]:
    work = REQUESTS.get((method, name))
    if work is None:
        raise UNRECOGNIZED
    return work


async def _body(request: web.BaseRequest) -> Json:
    if request.method not in ("POST", "PUT"):
        return {}
    text = await request.read()
    try:
        body = orjson.loads(text or b"{}")
    except orjson.JSONDecodeError:
        raise Refused(400, "M_NOT_JSON", "Content not JSON.") from None
    if not isinstance(body, dict):
        raise Refused(400, "M_BAD_JSON", "Content must be a JSON object.")
    return body


@lru_cache(maxsize=100)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def _answer(status: int, body: Any) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


def _name(segments: tuple[str, ...]) -> str:
    """Return the name of a request, without room or user: "sync", "rooms/send", "user/account_data" ..."""
    if segments and segments[0] in ("rooms", "user", "profile") and len(segments) > 2:
        return f"{segments[0]}/{segments[2]}"
    if segments and segments[0] in ("keys", "account", "room_keys"):
        return "/".join(segments[:3])
    return segments[0] if segments else ""


_OPEN = frozenset({"versions"})
# What Synapse counts against one limit, `rc_message`.
_COUNTED = frozenset(
    {f"rooms/{what}" for what in ("send", "redact", "redact-all", "state", "kick", "ban", "unban", "leave")}
)
_RETRY_AFTER_MS = 20
