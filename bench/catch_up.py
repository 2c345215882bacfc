"""The time that the bot takes to read what was said while it was away, and a loop that reads the same pages.

    python -m bench.catch_up [--json FILE] [--events N] [--rooms N]

On a real Synapse: the bot protects the rooms and is stopped, people write in all rooms at once, and it starts again.
Ours: from the bot's first question until everything is recorded, judged and committed, and no room is behind. The
floor: a loop that asks for the same answer of /sync and the same pages, as many rooms at once, and does nothing with
them; once before and once after ours, since the first reader warms up the homeserver.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from bot.matrix.client import Homeserver, Session
from bot.matrix.sync_filter import SYNC_FILTER
from bot.sync.backfill import AT_ONCE, PAGE, SHORT
from moderation.values.ids import RoomId, UserId
from tests.people.client import Client

from .figures import Figure, at_most_times, measure
from .react_world import World

TIMES = 1.2


class Reader:
    """The floor: it reads the pages and does nothing with them."""

    def __init__(self, client: Client) -> None:
        self._homeserver = Homeserver(Session(client.url, UserId(client.user), client.device, client.token))
        self._since = ""

    async def close(self) -> None:
        """Close its connections."""
        await self._homeserver.close()

    async def begin(self) -> None:
        """Note the sync token before anything is said."""
        self._since = (await self._homeserver.sync(None, timeout_ms=0, filter=SYNC_FILTER))["next_batch"]

    async def read(self) -> float:
        """Read everything that was said since `begin`. Returns how many seconds that took."""
        began = time.perf_counter()
        answer = await self._homeserver.sync(self._since, timeout_ms=0, filter=SYNC_FILTER)
        places = asyncio.Semaphore(AT_ONCE)
        joined = answer["rooms"]["join"].items()
        behind = [RoomId(room) for room, part in joined if part["timeline"].get("limited")]
        await asyncio.gather(*(self._pages(room, places) for room in behind))
        return time.perf_counter() - began

    async def _pages(self, room: RoomId, places: asyncio.Semaphore) -> None:
        """Read a room as `bot/sync/backfill.py` does: back to what is known; the pages of a long gap are read twice."""
        async with places:
            tokens: list[str | None] = [None]
            while tokens[-1] is not None or len(tokens) == 1:
                tokens.append(await self._page(room, tokens[-1]))
            if len(tokens) - 1 > SHORT:
                for token in reversed(tokens[:-1]):
                    await self._page(room, token)

    async def _page(self, room: RoomId, token: str | None) -> str | None:
        """Read one page. Returns where the next one begins, or None if this was the last."""
        page = await self._homeserver.messages(room, from_token=token, to_token=self._since, direction="b", limit=PAGE)
        return page.get("end") if len(page["chunk"]) == PAGE else None


async def catch_up(options: argparse.Namespace) -> Iterator[Figure]:
    """Measure ours between two rounds of the floor."""
    with tempfile.TemporaryDirectory(prefix="bench-catch-up-") as folder:
        async with World(Path(folder)) as world:
            reader = Reader(world.watcher.client)
            rooms = [(await world.place(1)).ours for _ in range(options.rooms)]
            await reader.begin()
            await world.bot.stop()
            before = _recorded(world)
            each = options.events // options.rooms
            await asyncio.gather(*(_talk(world.owner, room, each) for room in rooms))
            floor = [await reader.read()]
            world.bot.start()
            await world.bot.until_ready()
            began = time.perf_counter()
            done = lambda: _recorded(world) >= before + each * len(rooms) and not world.rows("SELECT 1 FROM gaps")  # noqa: E731
            await world.until(done, within_s=3_600)
            took = time.perf_counter() - began
            floor.append(await reader.read())
            await reader.close()
    other = mean(floor)
    return iter([Figure("catching up", "s", took, "reads the same pages", other, **at_most_times(TIMES, took, other))])


async def _talk(who: Client, room: str, count: int) -> None:
    for number in range(count):
        await who.send_text(room, f"what was said while nobody was listening, number {number}")


def _recorded(world: World) -> int:
    return int(world.rows("SELECT count(*) FROM events")[0][0])


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield the figure of this part."""
    yield from asyncio.run(catch_up(options))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--events", type=int, default=50_000, help="in all rooms together")
    parser.add_argument("--rooms", type=int, default=20)


if __name__ == "__main__":
    measure(__doc__, add_arguments, run)
