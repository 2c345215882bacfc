"""A simulated homeserver, for faults and load that a real one cannot produce. It is not for real use.

    async with SimulatedHomeserver() as server: ...          in this process
    python -m tests.fakes.homeserver_orders                  in a process of its own: prints its address

Rules kept here:
- It answers as Synapse answers the same requests (`test_homeserver.py` asks both).
- Only the faults that a test ordered occur.
- While it is held (`hold`), `/sync` reports nothing new, so that many events can be prepared and released at once.
- No product code imports it.
Left to others: rooms (`homeserver_rooms.py`), rate limits (`homeserver_limits.py`), answers about rooms
(`homeserver_answers.py`), keys, orders over HTTP (`homeserver_orders.py`).
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

import orjson
from aiohttp import web

from bot.runtime.clock import Clock, wall_clock
from tests.fakes import homeserver_answers as answers
from tests.fakes.homeserver_devices import Devices
from tests.fakes.homeserver_keys import Keys
from tests.fakes.homeserver_limits import Limit
from tests.fakes.homeserver_rooms import SERVER, Json, Refused, World, not_found

LONGEST_S = 30.0
REDACT_ALL = "org.matrix.msc4194"
_UNRECOGNIZED = Refused(404, "M_UNRECOGNIZED", "Unrecognized request")


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


@dataclass(frozen=True)
class Asked:
    """One parsed request."""

    user: str
    device: str
    segments: tuple[str, ...]
    query: dict[str, str]
    body: Json
    file: bytes = b""  # what is uploaded
    mimetype: str = ""

    @property
    def txn(self) -> tuple[str, str]:
        """The device and the transaction id of the request, if it has one."""
        return self.device, self.segments[-1]


class SimulatedHomeserver:
    """One homeserver called `name`; `at_most`: events in one answer of `/sync`, over all rooms."""

    def __init__(self, *, at_most: int | None = None, name: str = SERVER, clock: Clock = wall_clock) -> None:
        self.world = World(name, clock)
        self.keys = Keys()
        self.devices = Devices()
        self.at_most = at_most
        self.url = ""
        self.faults: list[Fault] = []
        self.counts: Counter[str] = Counter()  # requests, by name
        self.acknowledged: dict[str, tuple[int, float]] = {}  # the place that each user asked to go on from, and when
        self.held: int | None = None  # events after this place are not reported
        self.allowed: int | None = None  # how many more events of `limited` are accepted, as by `rc_message`; None: all
        self.limited = ""  # the user concerned
        self.refused = 0  # number of this user's refused requests
        self.redacts_all = False  # whether it has the request of MSC4194
        self.limit: Limit | None = None  # the rate limit of all senders
        self.sent: list[tuple[str, Json]] = []  # this user's accepted requests, by name, with their subject
        self.taken: Callable[[str], None] = lambda _name: None  # called after each of those
        self._tokens: dict[str, tuple[str, str]] = {}
        self._done: dict[tuple[str, str, str], str] = {}  # what became of a transaction
        self._data: dict[tuple[str, str], Json] = {}
        self._files: dict[str, tuple[bytes, str]] = {}  # with their types, by address
        self._news = asyncio.Event()
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

    def tell(self) -> None:
        """Wake the requests that wait for news."""
        self._news.set()
        self._news = asyncio.Event()

    async def until_news(self) -> None:
        """Wait until something has happened."""
        await self._news.wait()

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
        response.headers["Date"] = formatdate(self.world.clock() // 1000, usegmt=True)
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
        work = _WORK.get((request.method, name))
        if work is None:
            raise _UNRECOGNIZED
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
        result = work(self, asked)
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

    def messages(self, asked: Asked) -> Json:
        return answers.messages(self.world, asked.user, asked.device, asked.segments[1], asked.query)

    def context(self, asked: Asked) -> Json:
        _, room, _, event = asked.segments
        return answers.context(self.world, asked.user, asked.device, room, event)

    def members(self, asked: Asked) -> Json:
        return answers.members(self.world, asked.user, asked.segments[1], asked.query)

    def state(self, asked: Asked) -> Any:
        _, room, _, *key = asked.segments
        if not key:
            return answers.state(self.world, asked.user, room)
        found = self.world.room_for(asked.user, room).current(key[0], key[1] if len(key) > 1 else "")
        if found is None:
            raise not_found("Event not found.")
        return answers.alone(found, asked.device) if asked.query.get("format") == "event" else found.raw["content"]

    def event(self, asked: Asked) -> Json:
        room = self.world.room_for(asked.user, asked.segments[1])
        found = self.world.by_id.get(asked.segments[3])
        if found is None or found[0] is not room:
            raise not_found("Event not found.")
        return answers.alone(found[1], asked.device)

    def set_state(self, asked: Asked) -> Json:
        _, room, _, type, *key = asked.segments
        there = self.world.room_for(asked.user, room)
        event = self.world.set_state(there, asked.user, type, key[0] if key else "", asked.body)
        return self._told({"event_id": event.id})

    def send(self, asked: Asked) -> Json:
        _, room, _, type, _ = asked.segments
        return self._once(
            asked,
            lambda: self.world.send(self.world.room_for(asked.user, room), asked.user, type, asked.body, asked.txn).id,
        )

    def redact(self, asked: Asked) -> Json:
        _, room, _, target, _ = asked.segments
        return self._once(
            asked,
            lambda: (
                self.world.redact(self.world.room_for(asked.user, room), asked.user, target, asked.body, asked.txn).id
            ),
        )

    def redact_all(self, asked: Asked) -> Json:
        """Redact what somebody wrote, the newest first (MSC4194)."""
        if not self.redacts_all:
            raise _UNRECOGNIZED
        _, room, _, _, whose = asked.segments
        there, most = self.world.room_for(asked.user, room), int(asked.query.get("limit", "25"))
        left = [e for e in there.events if e.raw["sender"] == whose and "state_key" not in e.raw and not e.gone]
        for event in left[::-1][:most]:
            self.world.redact(there, asked.user, event.id, asked.body)
        return self._told({"is_more_events": len(left) > most, "redacted_events": min(len(left), most)})

    def versions(self, _asked: Asked) -> Json:
        features = {REDACT_ALL: True} if self.redacts_all else {}
        return {"versions": ["v1.11", "v1.12"], "unstable_features": features}

    def _once(self, asked: Asked, work: Callable[[], str]) -> Json:
        """Do the work once for each transaction of a device and path (section "Transaction identifiers")."""
        key = self._key(asked)
        if key not in self._done:
            self._done[key] = work()
        return self._told({"event_id": self._done[key]})

    def _key(self, asked: Asked) -> tuple[str, str, str]:
        return asked.device, "/".join(asked.segments), asked.segments[-1]

    def _told(self, answer: Json) -> Json:
        self.tell()
        return answer

    def create(self, asked: Asked) -> Json:
        return self._told({"room_id": self.world.create(asked.user, asked.body).id})

    def join(self, asked: Asked) -> Json:
        room = asked.segments[1]
        return self._told({"room_id": self.world.join(room, asked.user).id})

    def resolve(self, asked: Asked) -> Json:
        room = self.world.aliases.get(asked.segments[2])
        if room is None:
            raise not_found(f"Room alias {asked.segments[2]} not found")
        return {"room_id": room, "servers": [self.world.server]}

    def knock(self, asked: Asked) -> Json:
        return self._told({"room_id": self.world.knock(asked.segments[1], asked.user, _reason(asked.body)).id})

    def leave(self, asked: Asked) -> Json:
        self.world.leave(asked.segments[1], asked.user, _reason(asked.body))
        return self._told({})

    def forget(self, asked: Asked) -> Json:
        self.world.rooms_of.get(asked.user, {}).pop(asked.segments[1], None)
        return {}

    def invite(self, asked: Asked) -> Json:
        room = self.world.room_for(asked.user, asked.segments[1])
        self.world.invite(room, asked.user, asked.body["user_id"])
        return self._told({})

    def remove(self, asked: Asked) -> Json:
        room = self.world.room_for(asked.user, asked.segments[1])
        self.world.remove(room, asked.user, asked.body["user_id"], asked.segments[2], _reason(asked.body))
        return self._told({})

    def joined_rooms(self, asked: Asked) -> Json:
        mine = self.world.rooms_of.get(asked.user, {}).values()
        return {"joined_rooms": [room.id for room in mine if room.membership(asked.user) == "join"]}

    def whoami(self, asked: Asked) -> Json:
        return {"user_id": asked.user, "is_guest": False, "device_id": asked.device}

    def upload_keys(self, asked: Asked) -> Json:
        answer = self.keys.upload(asked.user, asked.device, asked.body)
        if "device_keys" in asked.body:
            self.devices.changed(asked.user)
        return self._told(answer)

    def sign_in(self, asked: Asked) -> Json:
        self.devices.changed(asked.user)
        return self._told(self.keys.sign_in(asked.user, asked.body))

    def add_signatures(self, asked: Asked) -> Json:
        for user in asked.body:
            self.devices.changed(user)
        return self._told(self.keys.add_signatures(asked.body))

    def send_to_device(self, asked: Asked) -> Json:
        _, type, txn = asked.segments
        return self._told(self.devices.send(asked.user, asked.device, type, txn, asked.body))

    def rename(self, asked: Asked) -> Json:
        if asked.segments[1] != asked.user:
            raise Refused(400, "M_FORBIDDEN", "Cannot set another user's displayname")
        self.world.rename(asked.user, asked.body["displayname"])
        return self._told({})

    def upload(self, asked: Asked) -> Json:
        address = f"{self.world.server}/{secrets.token_hex(12)}"
        self._files[address] = (asked.file, asked.mimetype)
        return {"content_uri": f"mxc://{address}"}

    def download(self, asked: Asked) -> web.Response:
        found = self._files.get("/".join(asked.segments[2:4]))
        if found is None:
            raise not_found("Not found")
        return web.Response(body=found[0], content_type=found[1])

    def data(self, asked: Asked) -> Json:
        found = self._data.get((asked.user, asked.segments[3]))
        if found is None:
            raise not_found("Account data not found")
        return found

    def set_data(self, asked: Asked) -> Json:
        self._data[asked.user, asked.segments[3]] = asked.body
        return {}


def _reason(body: Json) -> Json:
    return {"reason": body["reason"]} if "reason" in body else {}


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
_S = SimulatedHomeserver
_WORK: dict[tuple[str, str], Callable[[SimulatedHomeserver, Asked], Any]] = {
    ("GET", "sync"): _S.sync,
    ("GET", "rooms/messages"): _S.messages,
    ("GET", "rooms/context"): _S.context,
    ("GET", "rooms/members"): _S.members,
    ("GET", "rooms/state"): _S.state,
    ("GET", "rooms/hierarchy"): lambda server, asked: answers.hierarchy(server.world, asked.user, asked.segments[1]),
    ("GET", "rooms/event"): _S.event,
    ("PUT", "rooms/state"): _S.set_state,
    ("PUT", "rooms/send"): _S.send,
    ("PUT", "rooms/redact"): _S.redact,
    ("POST", "rooms/redact-all"): _S.redact_all,
    ("POST", "createRoom"): _S.create,
    ("POST", "join"): _S.join,
    ("GET", "directory"): _S.resolve,
    ("POST", "knock"): _S.knock,
    ("POST", "rooms/leave"): _S.leave,
    ("POST", "rooms/forget"): _S.forget,
    ("POST", "rooms/invite"): _S.invite,
    ("POST", "rooms/kick"): _S.remove,
    ("POST", "rooms/ban"): _S.remove,
    ("POST", "rooms/unban"): _S.remove,
    ("GET", "joined_rooms"): _S.joined_rooms,
    ("GET", "account/whoami"): _S.whoami,
    ("GET", "user/account_data"): _S.data,
    ("PUT", "user/account_data"): _S.set_data,
    ("GET", "profile"): lambda server, asked: server.world.profile(asked.segments[1]),
    ("PUT", "profile/displayname"): _S.rename,
    ("GET", "versions"): _S.versions,
    ("GET", "capabilities"): lambda _server, _asked: {"capabilities": {"m.room_versions": {"default": "12"}}},
    ("POST", "keys/upload"): _S.upload_keys,
    ("POST", "keys/query"): lambda server, asked: server.keys.query(asked.body),
    ("POST", "keys/claim"): lambda server, asked: server.keys.claim(asked.body),
    ("POST", "keys/device_signing/upload"): _S.sign_in,
    ("POST", "keys/signatures/upload"): _S.add_signatures,
    ("PUT", "sendToDevice"): _S.send_to_device,
    ("POST", "upload"): _S.upload,
    ("GET", "media"): _S.download,
    ("GET", "room_keys/version"): lambda _server, _asked: _no_backup(),
}


def _no_backup() -> Json:
    raise not_found("No backup found")
