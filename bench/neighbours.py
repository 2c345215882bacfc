"""The delay that one room causes in another: many costly messages in one, single violations in the other.

    python -m bench.neighbours [--json FILE] [--rounds N] [--singles N]

In one room the owner has written the largest patterns that are allowed, and ten accounts send ten messages each that
are costly for these patterns, in the forms of text that cost most. In another room one message at a time breaks a rule.
The floor, in a room of its own, only looks for words and redacts; the time that it loses while the costly messages are
sent is the homeserver's.
"""

import argparse
import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from moderation.values.ids import RoomId
from tests.people.client import Client

from .figures import Figure, at_most, measure, percentile
from .react import seen
from .react_world import Place, World, word

MOST_MS = 250.0
PATTERN = "(?:[ab]{1,50}c){0,12}q"  # the largest that a room may have
DEAR = "ab" * 2_048 + "\ufdfa" * 18_000
ACCOUNTS, EACH = 10, 10  # as many as the default limits of Synapse let through at once


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--singles", type=int, default=20, help="single messages a round while nothing else is said")


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield all figures of this part."""
    folder = Path(tempfile.mkdtemp(prefix="bench-neighbours-"))
    try:
        yield from asyncio.run(_all(options, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _all(options: argparse.Namespace, folder: Path) -> list[Figure]:
    async with World(folder) as world:
        place = await world.place(options.singles)
        dear = await world.place(ACCOUNTS)
        await _write_rule(world, dear.ours)
        quiet, loud = Times(), Times()
        await _singles(world, place, 0, options.singles, Times())  # warm up
        for number in range(options.rounds):
            await _singles(world, place, number + 1, options.singles, quiet)
            await _while_heaped(world, place, dear, number + 1, loud)
        return list(_figures(quiet, loud))


class Times:
    """The milliseconds for which messages could be seen, in our room and in the floor's, in turn."""

    def __init__(self) -> None:
        self.ours: list[float] = []
        self.floor: list[float] = []


async def _write_rule(world: World, room: RoomId) -> None:
    """Have the owner write a rule for the room in its desk."""
    desk_of = (
        "SELECT desks.room, rooms.code FROM rooms JOIN rooms AS desks ON desks.code = rooms.desk WHERE rooms.room = ?"
    )
    [(desk, code)] = world.rows(desk_of, room)
    await world.owner.join(desk)
    await world.owner.send_text(desk, f'!rule add dear pattern "{PATTERN}" minor redact auto {code}')
    await world.until(lambda: world.rows("SELECT 1 FROM room_rules WHERE room = ?", room))
    await world.quiet()


async def _singles(world: World, place: Place, number: int, count: int, into: Times) -> None:
    for member in place.members[:count]:
        for room, times in ((place.floor, into.floor), (place.ours, into.ours)):
            event, took_ms = await seen(world, member, room, word(number))
            times.append(took_ms)
            await world.quiet(*([event] if room == place.ours else []))


async def _while_heaped(world: World, place: Place, dear: Place, number: int, into: Times) -> None:
    """Send single messages from the moment costly ones are sent in the other room until the bot has judged these."""
    heap = asyncio.gather(*(_heap(member.client, dear.ours) for member in dear.members))
    before = len(world.records())
    turn = 0
    while not heap.done() or not _judged(world, before, heap.result()):
        member = place.members[turn % len(place.members)]
        for room, times in ((place.floor, into.floor), (place.ours, into.ours)):
            _, took_ms = await seen(world, member, room, word(number))
            times.append(took_ms)
        turn += 1
    await world.quiet()


async def _heap(who: Client, room: RoomId) -> list[str]:
    return [await who.send_text(room, f"{n} {DEAR}") for n in range(EACH)]


def _judged(world: World, since: int, heap: list[list[str]]) -> bool:
    recorded = {str(part.get("ev")) for record in world.records(since) for part in record.parts}
    return recorded.issuperset(event for mine in heap for event in mine)


def _figures(quiet: Times, loud: Times) -> Iterator[Figure]:
    for when, times in (("quiet", quiet), ("beside heaps", loud)):
        for what, of in (("median", median), ("p95", _p95), ("most", max)):
            yield Figure(f"neighbours, {when}, {what}", "ms", of(times.ours), "look and redact", of(times.floor))
    for what, of in (("median", median), ("p95", _p95)):
        held_up = (of(loud.ours) - of(loud.floor)) - (of(quiet.ours) - of(quiet.floor))
        yield Figure(f"neighbours, held up, {what}", "ms", held_up, **at_most(MOST_MS, held_up, "ms"))
    yield Figure("neighbours, single messages beside heaps", "", len(loud.ours))


def _p95(values: list[float]) -> float:
    return percentile(values, 95)


if __name__ == "__main__":
    measure(__doc__, add_arguments, run)
