"""The simulated homeserver has Synapse's default limits: it refuses the same requests, after the same number."""

import itertools
import time
from collections.abc import Callable
from typing import Any

from tests.fakes.homeserver import Fault, SimulatedHomeserver
from tests.fakes.homeserver_limits import BURST, PER_SECOND, Limit
from tests.people.client import Client
from tests.synapse.test_simulated_homeserver import Side, say
from tests.theatre.stage import Stage

REFUSED = 429
Request = Callable[[str], tuple[str, tuple[str, ...], Any]]  # method, path and body


class Sender:
    """A user who sends too much."""

    def __init__(self, side: Side, who: str, room: str) -> None:
        self.side = side
        self.who = who
        self.room = room
        self.sent = 0

    async def ask(self, method: str, *segments: str, **more: Any) -> tuple[int, Any]:
        """Make a request. Returns status and answer."""
        answer = await self.side.ask(self.who, segments[-1], method, *segments, **more)
        return self.side.told[-1][1], answer

    async def send(self, txn: str = "") -> tuple[int, Any]:
        """Send another message."""
        self.sent += not txn
        name = txn or f"{self.who}-{self.sent}"
        return await self.ask("PUT", "rooms", self.room, "send", "m.room.message", name, json=say("more"))

    async def until_refused(self) -> tuple[int, float, float]:
        """Send until refused. Returns the number accepted, the wait in s, and until when at least all is refused.

        Synapse keeps a refusal back for half a second, so that time counts from the question.
        """
        taken, asked_at = 0, time.monotonic()
        while (answered := await self.send())[0] != REFUSED:
            taken, asked_at = taken + 1, time.monotonic()
        wait_s = answered[1]["retry_after_ms"] / 1000
        return taken, wait_s, asked_at + wait_s

    async def is_counted(self, request: Request) -> bool:
        """Tell whether a request is refused while the limit is exhausted; each try makes a new one."""
        for number in itertools.count():
            *_, until = await self.until_refused()
            method, segments, body = request(str(number))
            status, answer = await self.ask(method, *segments, **({} if body is None else {"json": body}))
            assert status in (200, REFUSED), answer
            if time.monotonic() < until:  # else the limit may have let it through
                return status == REFUSED
        raise AssertionError


async def counted(side: Side) -> dict[str, bool]:
    """Return which requests count against the limit."""
    ben = side.people["ben"].user
    body = {"preset": "private_chat", "invite": [ben]}
    room = (await side.ask("ann", "create", "POST", "createRoom", json=body))["room_id"]
    await side.ask("ben", "join", "POST", "join", room, json={})
    sender = Sender(side, "ann", room)
    _, first = await sender.send("first")
    here = ("rooms", room)
    asked: dict[str, Request] = {
        "the same again": lambda _n: ("PUT", (*here, "send", "m.room.message", "first"), say("more")),
        "send": lambda n: ("PUT", (*here, "send", "m.room.message", f"t{n}"), say("more")),
        "redact": lambda n: ("PUT", (*here, "redact", first["event_id"], f"r{n}"), {}),
        "state": lambda n: ("PUT", (*here, "state", "m.room.name", ""), {"name": n}),
        "ban": lambda n: ("POST", (*here, "ban"), {"user_id": ben, "reason": n}),
        "members": lambda _n: ("GET", (*here, "members"), None),
    }
    return {name: await sender.is_counted(request) for name, request in asked.items()}


async def _sides(stage: Stage, server: SimulatedHomeserver) -> tuple[Side, Side]:
    real = {name: await stage.person(name) for name in ("ann", "ben")}
    fake = {}
    for name, person in real.items():
        user, token, _ = server.account(person.user[1:].partition(":")[0])
        fake[name] = Client(server.url, user, token)
    return Side(real), Side(fake)


async def test_the_same_requests_are_counted_as_by_synapse(stage_limited: Stage) -> None:
    async with SimulatedHomeserver() as server:
        server.limit = Limit()
        real, fake = await _sides(stage_limited, server)
        assert await counted(fake) == await counted(real)


async def test_as_much_is_taken_as_by_synapse_and_the_refusal_is_the_same(stage_limited: Stage) -> None:
    async with SimulatedHomeserver() as server:
        server.limit = Limit()
        sides = await _sides(stage_limited, server)
        refusals = []
        for side in sides:
            room = (await side.ask("ann", "create", "POST", "createRoom", json={}))["room_id"]
            sender, began = Sender(side, "ann", room), time.monotonic()
            taken, wait_s, _ = await sender.until_refused()
            longest = time.monotonic() - began
            # Synapse counts the room that was made too.
            assert BURST - 1 <= taken <= BURST + longest * PER_SECOND
            assert 0 < wait_s <= 1 / PER_SECOND
            refusals.append(side.told[-1][1:])
        assert refusals[0] == refusals[1]


async def test_an_ordered_refusal_is_that_of_synapse(stage_limited: Stage) -> None:
    async with SimulatedHomeserver() as server:
        real, fake = await _sides(stage_limited, server)
        server.faults = [Fault.limited("rooms/send")]
        for side in (real, fake):
            room = (await side.ask("ann", "create", "POST", "createRoom", json={}))["room_id"]
            await Sender(side, "ann", room).until_refused()
    assert fake.told[-1][1:] == real.told[-1][1:]


def test_an_event_is_taken_whenever_its_time_has_passed() -> None:
    now = 0.0
    limit = Limit(clock=lambda: now, hurry=10)
    assert [limit.take("ann") for _ in range(BURST + 2)] == [None] * BURST + [500, 500]
    assert limit.take("ben") is None
    now = 4.5
    assert limit.take("ann") == 50
    now = 5.0
    assert [limit.take("ann"), limit.take("ann")] == [None, 500]
    now = 500.0
    assert [limit.take("ann") for _ in range(BURST + 1)] == [None] * BURST + [500]
