"""Measure the tables: their size by row, the cost of letting old events leave, and the size afterwards.

    python -m bench.kept [--json FILE] [--events N] [--rooms N] [--days N]

The real pipeline takes mixed events of many rooms, in one process and without a homeserver, on a clock that goes
through `--days`. Then events leave as they do in a running bot. All times are processor time of the one process. The
sizes are those of SQLite, also for as many events as retention keeps of 12 a second.
"""

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from itertools import islice, product
from pathlib import Path

from bench.everywhere import BOT, CONFIG, fill, room_of
from bench.figures import Figure, at_most, measure
from bench.ingest import ANSWER, Heap, Say
from bench.simulated import rules
from bot import startup
from bot.config.config import Config, parse_config
from bot.events.parse_event import receive
from bot.pipeline.event_reader import PlainReader
from bot.pipeline.pipeline import Pipeline
from bot.scheduler.old_events import AT_ONCE, first_since
from moderation.rooms.table_horizon import events_stay_ms
from moderation.values.durations import DAY_MS
from moderation.values.ids import RoomId
from storage import queries
from storage.database.place import FILE
from storage.journal.reader import Log
from storage.projections import let_events_leave

NOON = 1_795_521_600_000
A_SECOND = 12  # events of 10,000 rooms, a day long
PORTION_MS = 50.0
OF_EVENTS = ("events", "old_events", "spoke")


class Moved:
    """A clock that goes on with the events."""

    ms = NOON

    def __call__(self) -> int:
        """Return the time (ms)."""
        return self.ms


def sizes(path: Path) -> dict[str, tuple[int, int]]:
    """Return the rows and the bytes of each table, its indexes included."""
    with closing(sqlite3.connect(path)) as db:
        owner = dict(db.execute("SELECT name, tbl_name FROM sqlite_master"))
        found: dict[str, tuple[int, int]] = {}
        for name, size in db.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").fetchall():
            table = owner.get(name, name)
            found[table] = (0, found.get(table, (0, 0))[1] + size)
        for table, (_, size) in found.items():
            found[table] = (db.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0], size)
    return found


def make_rooms(path: Path, rooms: int) -> None:
    """Write the tables of a deployment, with codes that records can have."""
    fill(path, rooms, 0, 0)
    with closing(sqlite3.connect(path)) as db, db:
        codes = ["G-" + "".join(each) for each in islice(product("BCDFGHJKMNPQ", repeat=4), rooms)]
        db.executemany("UPDATE rooms SET code = ? WHERE room = ?", [(c, room_of(n)) for n, c in enumerate(codes)])


async def take(pipeline: Pipeline, clock: Moved, options: argparse.Namespace) -> None:
    """Let mixed events come, evenly through the days."""
    rooms = [room_of(number) for number in range(options.rooms)]
    heap, number = Heap(rooms), 0
    step = options.days * DAY_MS * ANSWER // options.events
    while number < options.events:
        said = heap.events(ANSWER)
        ids = [f"$event{number + each:038}" for each in range(len(said))]
        heap.learn(said, ids)
        clock.ms += step
        await pipeline.take(
            [receive(_raw(*one, clock.ms), RoomId(one[1][0]), clock.ms) for one in zip(ids, said, strict=True)]
        )
        number += len(said)
    clock.ms += DAY_MS


def _raw(event: str, said: Say, at: int) -> dict[str, object]:
    _, sender, type_, content, key = said
    raw = {"event_id": event, "sender": sender, "origin_server_ts": at, "type": type_, "content": content}
    return raw if key is None else {**raw, "state_key": key}


async def leave(stores: startup.Stores, below: int) -> tuple[list[float], int]:
    """Let the events leave. Returns the processor time of each portion (ms), and how many left."""
    start, times, count = 0, list[float](), 0
    while start < below:
        began = time.process_time()
        async with stores.database.write() as db:
            portion = await queries.events_leaving(db, start, below, BOT, AT_ONCE)
            await let_events_leave(db, portion)
        times.append((time.process_time() - began) * 1000)
        start, count = portion.stop, count + len(portion.events)
        await stores.database.give_back()
    return times, count


async def kept(options: argparse.Namespace) -> list[Figure]:
    """Return all figures of this part."""
    clock = Moved()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-kept-")))
        config: Config = parse_config(folder / "config.toml", CONFIG + rules(), {})
        config.data_dir.mkdir(parents=True)
        make_rooms(config.data_dir / FILE, options.rooms)
        stores = await startup.open_stores(config, stack, clock)
        pipeline = await startup.caught_up(config, BOT, stores, clock, PlainReader())
        await take(pipeline, clock, options)
        await stores.database.clean()
        before, file = sizes(config.data_dir / FILE), (config.data_dir / FILE).stat().st_size
        below = first_since(Log(config.data_dir / "records"), clock.ms - events_stay_ms(config.policy))
        times, count = await leave(stores, below)
        await stores.database.clean()
        after, small = sizes(config.data_dir / FILE), (config.data_dir / FILE).stat().st_size
    return _figures(before, after, (file, small), (times, count), config, options)


def _figures(
    before: dict[str, tuple[int, int]],
    after: dict[str, tuple[int, int]],
    files: tuple[int, int],
    left: tuple[list[float], int],
    config: Config,
    options: argparse.Namespace,
) -> list[Figure]:
    (rows, size), (times, count), (people, of_people) = before["events"], left, after["spoke"]
    longest = sorted(times)[-2]
    per_event, old = size / rows, after["old_events"][1] / max(count, 1)
    a_day = A_SECOND * 86_400
    retention, stay = config.records.retention // DAY_MS * a_day, events_stay_ms(config.policy) // DAY_MS * a_day
    whole, small = retention * per_event / 1e9, (stay * per_event + (retention - stay) * old) / 1e9
    others = sorted(
        ((name, *found) for name, found in before.items() if found[1] > 100_000 and name not in OF_EVENTS),
        key=lambda each: -each[2],
    )
    return [
        Figure("an event in its table", "bytes", per_event),
        Figure("an old event", "bytes", old, "in its table", per_event),
        Figure("a person in a room, of old events", "bytes", of_people / max(people, 1)),
        Figure("events that left", "of 1,000", 1000 * count / options.events),
        Figure(f"a portion of {AT_ONCE}, the longest but one", "ms", longest, **at_most(PORTION_MS, longest, "ms")),
        Figure("letting 1,000 events leave", "ms", 1000 * sum(times) / max(count, 1)),
        Figure("the file", "MB", files[1] / 1e6, "before", files[0] / 1e6),
        Figure("events, as retention keeps of 12 a second", "GB", small, "in their table", whole),
        *(Figure(f"{name}, {many:,} rows", "bytes an event", size / options.events) for name, many, size in others),
    ]


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield the figures of this part."""
    yield from asyncio.run(kept(options))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rooms", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=60, help="through which the clock goes")


if __name__ == "__main__":
    measure(__doc__, add_arguments, run)
