"""Orders to a simulated homeserver in a process of its own, and that process.

    async with Simulated.start() as server: ...       started for a bench or a soak, stopped at its end

Rules kept here:
- An order is one POST, and does what a call in the same process would do.
- The process ends together with the one that started it (its standard input closes).
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from tests.fakes.homeserver import SimulatedHomeserver
from tests.fakes.homeserver_answers import sync
from tests.fakes.homeserver_copies import copy_room
from tests.fakes.homeserver_rooms import Json, seed

ROOT = Path(__file__).parents[2]


class Orders:
    """The orders that a simulated homeserver accepts."""

    def __init__(self, server: SimulatedHomeserver) -> None:
        self._server = server
        self._world = server.world

    async def __call__(self, name: str, body: Json) -> Any:
        """Do one."""
        result = getattr(self, "do_" + name)(**body)
        return await result if asyncio.iscoroutine(result) else result

    def do_account(self, localpart: str) -> Sequence[str]:
        """Create an account. Returns user, token, device."""
        return self._server.account(localpart)

    def do_room(
        self, creator: str, members: Sequence[str] = (), levels: Mapping[str, int] | None = None, **body: Any
    ) -> str:
        """Create a room with people in it. Returns its id."""
        room = self._world.create(creator, body)
        seed(self._world, room, members)
        if levels:
            content = dict(room.content("m.room.power_levels") or {})
            content["users"] = {**content.get("users", {}), **levels}
            self._world.add(room, creator, "m.room.power_levels", content, "")
        self._server.tell()
        return room.id

    def do_copies(
        self, room: str, people: Sequence[Sequence[str]], instead_of: Sequence[str] = (), named: Sequence[str] = ()
    ) -> Sequence[tuple[str, Sequence[str]]]:
        """Copy a room once for each list of people. Returns the ids of the copies, and in each of `named` events."""
        made = [copy_room(self._world, self._world.rooms[room], each, instead_of) for each in people]
        self._server.tell()
        return [(copy.id, [ids[each] for each in named]) for copy, ids in made]

    def do_invite(self, room: str, by: str, user: str) -> None:
        """Invite somebody."""
        self._world.invite(self._world.rooms[room], by, user)
        self._server.tell()

    def do_say(self, events: Sequence[tuple[str, str, str, Json, str | None]], check: bool = False) -> Sequence[str]:
        """Send many events (room, sender, type, content, state key) at one instant. Returns their ids."""
        ids = [self._say(*event, check=check) for event in events]
        self._server.tell()
        return ids

    def _say(self, room: str, sender: str, type: str, content: Json, key: str | None, *, check: bool) -> str:
        there = self._world.rooms[room]
        if type == "m.room.redaction":
            return self._world.redact(there, sender, content["redacts"], content).id
        if check and key is None:
            return self._world.send(there, sender, type, content).id
        return self._world.add(there, sender, type, content, key).id

    def do_hold(self) -> int:
        """Report nothing new from now on. Returns the current place."""
        self._server.hold()
        return len(self._world.order)

    def do_let_go(self) -> float:
        """Report everything that was held back. Returns when."""
        self._server.let_go()
        return time.monotonic()

    def do_place(self) -> int:
        """Return the current place in the order of events."""
        return len(self._world.order)

    async def do_acknowledged(self, user: str, place: int) -> float:
        """Wait until everything up to a place was acknowledged. Returns when."""
        return await self._server.until_acknowledged(user, place)

    def do_ids(self, since: int, upto: int) -> Sequence[str]:
        """Return the ids of the events between two places."""
        return [event.id for _, event in self._world.order[since:upto]]

    def do_answers(self, user: str, since: int, upto: int) -> Sequence[str]:
        """Return the answers of `/sync` to a user about the events between two places, as they will be given."""
        step = self._server.at_most or upto
        ends = [*range(since + step, upto, step), upto]
        told = [
            sync(self._world, user, "", max(e - step, since), e, {"room": {"timeline": {"limit": 100}}}, first=False)
            for e in ends
        ]
        return [orjson.dumps(each).decode() for each in told]

    async def do_sent_after(self, event: str, sender: str, type: str, room: str = "", key: str | None = None) -> float:
        """Wait for an event by `sender` after another one, in `room` or any room. Returns the seconds in between."""
        begun, place = self._world.by_id[event][1], self._world.by_id[event][1].place
        while True:
            for there, found in self._world.order[place:]:
                raw = found.raw
                same = (raw["sender"], raw["type"]) == (sender, type) and key in (None, raw.get("state_key"))
                if same and room in ("", there.id):
                    return found.arrived - begun.arrived
            place = len(self._world.order)
            await self._server.until_news()

    async def do_all_gone(self, ids: Sequence[str]) -> Sequence[float]:
        """Wait until all of these are redacted. Returns after how many seconds each was."""
        found = [self._world.by_id[each][1] for each in ids]
        while not all(event.gone for event in found):
            await self._server.until_news()
        return [event.gone - event.arrived for event in found]

    def do_redactions(self, sender: str) -> Sequence[str]:
        """Return the events that somebody redacted, each as often as they did."""
        raws = (event.raw for _, event in self._world.order)
        return [raw["redacts"] for raw in raws if raw["type"] == "m.room.redaction" and raw["sender"] == sender]

    def do_counts(self) -> Json:
        """Return the number of requests so far, by name."""
        return dict(self._server.counts)

    def do_gone(self, ids: Sequence[str]) -> Sequence[float | None]:
        """Return after how many seconds each event was redacted; None if it was not."""
        found = [self._world.by_id[each][1] for each in ids]
        return [event.gone - event.arrived if event.gone else None for event in found]

    def do_at_most(self, count: int | None) -> None:
        """Set the largest number of events in an answer of `/sync`."""
        self._server.at_most = count

    def do_sent(self, user: str, room: str = "", type: str = "") -> Sequence[Json]:
        """Return the events that somebody sent."""
        rooms = [self._world.rooms[room]] if room else self._world.rooms.values()
        return [e.raw for r in rooms for e in r.events if e.raw["sender"] == user and type in ("", e.raw["type"])]

    def do_content(self, room: str, type: str, key: str = "") -> Json | None:
        """Return the current content of a state event."""
        return self._world.rooms[room].content(type, key)

    def do_processor_s(self) -> float:
        """Return the processor time so far, in seconds."""
        return time.process_time()


class Simulated:
    """A simulated homeserver in a process of its own."""

    def __init__(self, url: str, process: asyncio.subprocess.Process, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._process = process
        self._session = session

    @classmethod
    @asynccontextmanager
    async def start(cls) -> "AsyncIterator[Simulated]":
        """Start the process, and stop it at the end."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.fakes.homeserver_orders"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert process.stdout is not None and process.stdin is not None
        url = (await process.stdout.readline()).decode().strip()
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
                yield cls(url, process, session)
        finally:
            process.stdin.close()
            await process.wait()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def order(self, name: str, /, **body: Any) -> Any:
        """Send an order, and return the answer."""
        async with self._session.post(f"{self.url}/_simulated/{name}", data=orjson.dumps(body)) as response:
            response.raise_for_status()
            return orjson.loads(await response.read())


async def _serve() -> None:
    async with SimulatedHomeserver() as server:
        server.more = Orders(server)
        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)  # until the process that started this one is gone


if __name__ == "__main__":
    asyncio.run(_serve())
