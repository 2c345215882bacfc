"""The work of one process with many rooms: a start, a sanction, a command, a change of power levels, and its memory.

    python -m bench.many_rooms [--json FILE] [--rooms N] [--few N] [--large N] [--rounds N]

Two deployments are made from tables alone, without a homeserver, each in a process of its own: one has `--rooms` rooms
of twenty people and one of `--large` people, the other `--few` rooms. In each, everybody's room has spoken once, so
that all is in memory that stays there. All times are processor time, so other work on the machine counts little.
`bench/scale.py` measures what people wait for, with a homeserver.
"""

import argparse
import asyncio
import itertools
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.everywhere import BOT, CONFIG, OWNER, PEOPLE, room_of, wall_ms
from bench.figures import Figure, at_most, at_most_times, measure
from bench.kept import make_rooms
from bench.simulated import BAD, memory_mb, rules
from bot import startup
from bot.config.config import Config, parse_config
from bot.events.parse_event import receive
from bot.pipeline.event_reader import PlainReader
from bot.pipeline.pipeline import Pipeline
from moderation.values.ids import RoomId
from storage import queries
from storage.database.place import FILE

SLOWER = 1.5
START_S = 10
MEMORY_MB = 400
ANSWER = 500  # events taken at once


@dataclass
class Running:
    """One deployment, started."""

    pipeline: Pipeline
    rooms: list[RoomId]
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def event(self, room: RoomId, sender: str, type_: str, content: dict[str, Any], key: str | None = None) -> Any:
        """Return an event as it comes from a homeserver."""
        now = wall_ms()
        raw: dict[str, Any] = {
            "event_id": f"$event{next(self.numbers):038}",
            "sender": sender,
            "origin_server_ts": now,
            "type": type_,
            "content": content,
        }
        return receive(raw if key is None else {**raw, "state_key": key}, room, now)

    async def timed(self, *event: Any) -> float:
        """Return how long (ms) it takes to take in an event and all that follows from it."""
        taken = self.event(*event)
        began = time.process_time()
        await self.pipeline.take([taken])
        return (time.process_time() - began) * 1000


def somebody(number: int, which: int) -> str:
    """Return somebody in a room."""
    return f"@p{number}-{which}:example.org"


def text(body: str) -> dict[str, str]:
    """Return the content of a message."""
    return {"msgtype": "m.text", "body": body}


async def sanction(bot: Running, number: int) -> float:
    """Measure a message that breaks a rule."""
    at = number % (len(bot.rooms) - 1)
    return await bot.timed(bot.rooms[at], somebody(at, number % PEOPLE), "m.room.message", text(BAD))


async def command(bot: Running, number: int) -> float:
    """Measure `!status`."""
    return await bot.timed(bot.rooms[number % (len(bot.rooms) - 1)], OWNER, "m.room.message", text("!status"))


async def levels(bot: Running, number: int) -> float:
    """Measure a change of power levels that makes a manager."""
    at = number % (len(bot.rooms) - 1)
    users: dict[str, int] = {OWNER: 100, BOT: 100, somebody(at, number % PEOPLE): 50}
    return await bot.timed(bot.rooms[at], OWNER, "m.room.power_levels", {"users": users}, "")


WORKS: tuple[tuple[str, Callable[[Running, int], Awaitable[float]]], ...] = (
    ("one sanction", sanction),
    ("one command", command),
    ("one power-level change", levels),
)


def add_people(path: Path, room: RoomId, people: int) -> None:
    """Let many people be in one room."""
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany(
            "INSERT INTO members (room, user, membership, display_name, role) VALUES (?, ?, 'join', '', 'member')",
            ((room, f"@many{number}:example.org") for number in range(people)),
        )


async def start(config: Config, stack: AsyncExitStack) -> Pipeline:
    """Do what a start does with the stores before it listens."""
    stores = await startup.open_stores(config, stack, wall_ms)
    pipeline = await startup.caught_up(config, BOT, stores, wall_ms, PlainReader())
    await pipeline.commit(await startup.start_facts(config.policy, stores))
    async with stores.database.read() as db:
        groups = await queries.active_groups(db)
        checks = await startup.checks_at_start(db, config.policy, groups)
    await pipeline.commit(actions=checks)
    return pipeline


async def one(rooms: int, large: int, rounds: int) -> dict[str, float]:
    """Measure one deployment, in this process."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-many-rooms-")))
        config = parse_config(folder / "config.toml", CONFIG + rules(), {})
        config.data_dir.mkdir(parents=True)
        make_rooms(config.data_dir / FILE, rooms + 1)
        add_people(config.data_dir / FILE, room_of(rooms), large)
        async with AsyncExitStack() as first:
            await start(config, first)  # a new deployment, whose signing key is made
        began = time.process_time()
        bot = Running(await start(config, stack), [room_of(number) for number in range(rooms + 1)])
        found = {"start": time.process_time() - began}
        for begin in range(0, rooms, ANSWER):
            some = range(begin, min(begin + ANSWER, rooms))
            said = [bot.event(room_of(n), somebody(n, 0), "m.room.message", text("good morning")) for n in some]
            await bot.pipeline.take(said)
        said = [
            bot.event(room_of(rooms), f"@many{n}:example.org", "m.room.message", text("hi")) for n in range(large // 20)
        ]
        for begin in range(0, len(said), ANSWER):
            await bot.pipeline.take(said[begin : begin + ANSWER])
        for name, work in WORKS:
            times = [await work(bot, number * 7) for number in range(rounds + 1)][1:]
            found[name] = statistics.median(times)
        found["memory"] = memory_mb(os.getpid())
    return found


def child(rooms: int, large: int, rounds: int) -> dict[str, float]:
    """Measure one deployment in a process of its own."""
    asked = [sys.executable, "-m", "bench.many_rooms", "--one", f"{rooms},{large},{rounds}"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield the figures of this part."""
    if options.one:
        print(json.dumps(asyncio.run(one(*map(int, options.one.split(","))))))
        return
    few, many = child(options.few, 0, options.rounds), child(options.rooms, options.large, options.rounds)
    beside = f"with {options.few} rooms"
    for name, _ in WORKS:
        yield Figure(name, "ms", many[name], beside, few[name], **at_most_times(SLOWER, many[name], few[name]))
    yield Figure(
        "a start, until it listens", "s", many["start"], beside, few["start"], **at_most(START_S, many["start"], "s")
    )
    yield Figure("memory", "MB", many["memory"], beside, few["memory"], **at_most(MEMORY_MB, many["memory"], "MB"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--rooms", type=int, default=10_000, help="of twenty people each")
    parser.add_argument("--few", type=int, default=10, help="rooms of the deployment beside it")
    parser.add_argument("--large", type=int, default=100_000, help="people in one more room")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)


if __name__ == "__main__":
    measure(__doc__, add_arguments, run)
