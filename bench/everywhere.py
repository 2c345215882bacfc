"""The cost of people banned everywhere, and of many rooms: aligning a room, looking rooms up in turn, a start.

    python -m bench.everywhere [--json FILE] [--rooms N] [--few N] [--bans N] [--here N] [--rounds N]

Two deployments are made from tables alone, without a homeserver, and measured in turn: the large one has `--rooms`
rooms and `--bans` people banned everywhere, whom a hundred of its rooms know, and `--here` people banned in one room;
the floor has `--few` rooms and no ban.
All times are processor time of the one process, so other work on the machine counts little.
"""

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bot import startup
from bot.config.config import Config, parse_config
from bot.effects.align_room import Reconciler
from bot.effects.public_reasons import PublicReasons
from bot.effects.redact_everything import WholeRedactions
from bot.outbox.handler import Services
from bot.pipeline.event_reader import PlainReader
from bot.pipeline.view_cache import ViewCache
from bot.texts.catalog import Catalog
from bot.texts.matrix_message import Speech
from moderation.model.actions.rooms import Align
from moderation.values.ids import RoomId, UserId
from storage import queries
from storage.database.database import Database
from storage.database.place import FILE, DatabasePlace
from storage.database.sqlite import migrate

from .figures import Figure, at_most, at_most_times, measure

BOT, OWNER = UserId("@bot:example.org"), UserId("@owner:example.org")
PEOPLE = 20  # in each room
KNOWING = 100  # rooms that know who is banned
ALIGN_MS = 2.0
FLAT = 1.5
CREATED = json.dumps({"sender": OWNER, "content": {"room_version": "11"}})
LEVELS = {"users": {OWNER: 100, BOT: 100}}
CONFIG = f"""
[homeserver]
url = "http://127.0.0.1:1"
user = "{BOT}"
[bot]
data_dir = "data"
allow_invites = ["*:example.org"]
"""


class Silent:
    """A homeserver that knows one thing: the power levels of every room."""

    user = BOT

    async def state_event(self, _room: RoomId, _type: str) -> object:
        """Return the levels."""
        return LEVELS


@dataclass
class Made:
    """A deployment made of tables."""

    config: Config
    rooms: list[RoomId]
    database: Database
    views: ViewCache
    reconciler: Reconciler


def room_of(number: int) -> RoomId:
    """Return the id of a room."""
    return RoomId(f"!room{number}:example.org")


def fill(path: Path, rooms: int, bans: int, here: int) -> None:
    """Write the tables of a deployment; in the first room, the bans of `here` people are carried out."""
    migrate(path)
    with sqlite3.connect(path) as db:
        db.executemany(
            "INSERT INTO rooms (room, code, purpose, served, direct_with, invited_by, condition, language, via, name,"
            " notice, created, levels, entered)"
            " VALUES (?, ?, 'group', '-', '', '', 'protected', '', '', '', '', ?, ?, ?)",
            ((room_of(each), f"G-{each}", CREATED, json.dumps(LEVELS), each) for each in range(rooms)),
        )
        there = [(room_of(each), f"@p{each}-{n}:example.org", "join") for each in range(rooms) for n in range(PEOPLE)]
        there += [(room_of(n % min(KNOWING, rooms)), f"@bad{n}:bad.example", "ban") for n in range(bans)]
        there += [(room_of(0), f"@out{n}:bad.example", "ban") for n in range(here)]
        db.executemany(
            "INSERT INTO members (room, user, membership, display_name, role) VALUES (?, ?, ?, '', 'member')", there
        )
        db.executemany(
            "INSERT INTO sanctions (record, kind, room, subject, person, at, until, n, basis, rule, by, reason, event,"
            " ended, why_ended) VALUES (?, 'ban', ?, ?, ?, 1, 0, 0, 'operator', '', '', '', '', 0, '')",
            [
                *((1_000_000 + n, "", f"@bad{n}:bad.example", f"@bad{n}:bad.example") for n in range(bans)),
                *((2_000_000 + n, room_of(0), f"@out{n}:bad.example", f"@out{n}:bad.example") for n in range(here)),
            ],
        )
        db.executemany(
            "INSERT INTO holds (room, user, what, step, prior, held, corrections)"
            " VALUES (?, ?, 'ban', 'held', '-', 'ban', 0)",
            ((room_of(0), f"@out{n}:bad.example") for n in range(here)),
        )
    db.close()


@asynccontextmanager
async def deployment(folder: Path, rooms: int, bans: int, here: int) -> AsyncIterator[Made]:
    """Make a deployment and open what is measured of it."""
    config = parse_config(folder / "config.toml", CONFIG, {})
    config.data_dir.mkdir(parents=True)
    fill(config.data_dir / FILE, rooms, bans, here)
    async with AsyncExitStack() as stack:
        database = await Database.open(DatabasePlace(config.data_dir))
        stack.push_async_callback(database.close)
        views = ViewCache(BOT, incident_ms=0, window_ms=0)
        async with database.read() as db:
            await views.begin(db)
        speech = Speech(Catalog.load(), config.policy, "en")
        silent = cast(Any, Silent())
        services = Services(silent, database, cast(Any, None), speech, wall_ms, config.policy, "!")
        reasons = PublicReasons(speech, config.policy, config.bot.removal_reason)
        reconciler = Reconciler(services, reasons, WholeRedactions(silent, database))
        yield Made(config, [room_of(each) for each in range(rooms)], database, views, reconciler)


def wall_ms() -> int:
    """Return the time (ms)."""
    return time.time_ns() // 1_000_000


async def align(made: Made, number: int) -> float:
    """Measure the alignment of one room that knows none of those who are banned. Returns milliseconds."""
    return await _aligned(made, made.rooms[-1 - number % (len(made.rooms) - KNOWING)])


async def align_first(made: Made, _number: int) -> float:
    """Measure the alignment of the first room. Returns milliseconds."""
    return await _aligned(made, made.rooms[0])


async def _aligned(made: Made, room: RoomId) -> float:
    began = time.process_time()
    for _ in range(20):
        await made.reconciler.handle(Align(room=room), "txn")
    return (time.process_time() - began) * 1000 / 20


async def look_up(made: Made, _number: int) -> float:
    """Measure a look-up of a room, for all rooms in turn. Returns microseconds; rooms are read in the first round."""
    async with made.database.read() as db:
        began = time.process_time()
        for room in made.rooms:
            await made.views.room(db, room)
        return (time.process_time() - began) * 1e6 / len(made.rooms)


async def first_look(made: Made, number: int) -> float:
    """Measure reading a room from the tables. Returns milliseconds."""
    async with made.database.read() as db:
        began = time.process_time()
        for room in made.rooms[number * 100 : number * 100 + 100]:
            await queries.room_view(db, room, BOT)
        return (time.process_time() - began) * 1000 / 100


async def start(made: Made, _number: int) -> float:
    """Measure what a start does with the stores before it listens. Returns microseconds a room."""
    await made.database.close()
    began = time.process_time()
    async with AsyncExitStack() as stack:
        stores = await startup.open_stores(made.config, stack, wall_ms)
        pipeline = await startup.caught_up(made.config, BOT, stores, wall_ms, PlainReader())
        await pipeline.commit(await startup.start_facts(made.config.policy, stores))
        async with stores.database.read() as db:
            groups = await queries.active_groups(db)
            checks = await startup.checks_at_start(db, made.config.policy, groups)
        await pipeline.commit(actions=checks)
        return (time.process_time() - began) * 1e6 / len(made.rooms)


Measure = Callable[[Made, int], Awaitable[float]]


async def _compared(each: Measure, large: Made, small: Made, rounds: int) -> tuple[float, float]:
    ours: list[float] = []
    floor: list[float] = []
    for number in range(rounds):
        ours.append(await each(large, number))
        floor.append(await each(small, number))
    return statistics.median(ours), statistics.median(floor)


async def everywhere(options: argparse.Namespace) -> list[Figure]:
    """Return all figures of this part."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-everywhere-")))
        large = await stack.enter_async_context(deployment(folder / "large", options.rooms, options.bans, options.here))
        small = await stack.enter_async_context(deployment(folder / "small", options.few, 0, 0))
        beside = f"{options.few:,} rooms, no ban"
        one, other = await _compared(align, large, small, options.rounds)
        figures = [Figure("aligning one room", "ms", one, beside, other, **at_most(ALIGN_MS, one, "ms"))]
        one, other = await _compared(align_first, large, small, options.rounds)
        figures.append(Figure(f"aligning one with {options.here:,} bans", "ms", one, beside, other))
        one, other = await _compared(first_look, large, small, options.rounds)
        figures.append(Figure("reading one room", "ms", one, beside, other, **at_most_times(FLAT, one, other)))
        one, other = await _compared(look_up, large, small, options.rounds)
        figures.append(Figure("looking rooms up in turn", "us", one, beside, other, **at_most_times(FLAT, one, other)))
        one, other = await _compared(start, large, small, options.rounds)
        return [*figures, Figure("start, a room", "us", one, beside, other, **at_most_times(FLAT, one, other))]


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield the figures of this part."""
    yield from asyncio.run(everywhere(options))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--rooms", type=int, default=10_000)
    parser.add_argument("--few", type=int, default=1_000, help="rooms of the deployment beside it")
    parser.add_argument("--bans", type=int, default=20_000, help="people banned everywhere")
    parser.add_argument("--here", type=int, default=5_000, help="people banned in one room")
    parser.add_argument("--rounds", type=int, default=5)


if __name__ == "__main__":
    measure(__doc__, add_arguments, run)
