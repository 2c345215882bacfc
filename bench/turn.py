"""One turn of the bot, from an answer of the homeserver to committed state, on PostgreSQL and on a file of SQLite.

    python -m bench.turn [--json FILE] [--turns N] [--first]

Both bots run in this process and get the same messages in turn. PostgreSQL runs on this machine, reached by a socket,
and waits for the disk (`fsync` and `full_page_writes` on, as they are by default); so does the journal of both.
Ordinary: a message that is judged and recorded. Violation: one that opens a case, with its card. What the homeserver
takes is in neither.

Rules kept here:
- Time is that of the fastest tenth of the turns: other programs of the machine only add to it. The median is told, too.
- Processor time is the mean of all turns but the dearest tenth; that of the server is all that its processes used.
- With `--first` all of it goes before other programs of the machine, which needs root; without, a busy machine says
  little.
- What the server alone costs is measured between the turns: a round trip, and a commit that waits for the disk.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

import psycopg

from bench.figures import Figure, go_first, measure, percentile
from bench.simulated import ran_s
from bot import startup
from bot.config.config import parse_config
from bot.config.database import DATABASE_URL
from bot.pipeline.event_reader import PlainReader
from moderation.values.ids import UserId
from tests.door.offline import BOT, CONFIG, LEVELS, MARK, MINA, OLGA, RULES, Offline, Ticking
from tests.postgres import keeper
from tests.postgres.server import Server, own_server

MORE_MS = 3.0  # than on SQLite
FASTEST = 10  # percent of the turns
KINDS = {"an ordinary message": "good evening", "a violation, with its case and card": "forbidden"}
_DESK = (OLGA, MARK, MINA)
_BEFORE = 20  # turns in which statements are compiled and pages are read


@dataclass
class Took:
    """Times that turns of one kind took on one engine, in ms."""

    waited: list[float] = field(default_factory=list)
    used: list[float] = field(default_factory=list)  # processor time of this process
    server: list[float] = field(default_factory=list)  # of PostgreSQL


@dataclass
class Alone:
    """Times that the server takes for one thing by itself, in ms."""

    trips: list[float] = field(default_factory=list)
    commits: list[float] = field(default_factory=list)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--turns", type=int, default=400, help="of each kind")
    parser.add_argument("--first", action="store_true", help="go before other programs, as root may")


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield all figures of this part."""
    if options.first:
        go_first()
    folder = Path(tempfile.mkdtemp(prefix="bench-turn-"))
    try:
        with own_server(durable=True) as server:
            yield from asyncio.run(_all(options, folder, server))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _all(options: argparse.Namespace, folder: Path, server: Server) -> list[Figure]:
    async with AsyncExitStack() as stack:
        ours = await _bot(folder / "postgresql", {DATABASE_URL: server.url()}, stack)
        floor = await _bot(folder / "sqlite", {}, stack)
        beside = await stack.enter_async_context(
            await psycopg.AsyncConnection.connect(server.url(), autocommit=True, prepare_threshold=0)
        )
        await beside.execute("CREATE TABLE public.beside (n bigint)")
        found: list[Figure] = []
        alone = Alone()
        for kind, words in KINDS.items():
            one, other, processes = Took(), Took(), list[int]()
            for number in range(options.turns + _BEFORE):
                person = UserId(f"@{words.replace(' ', '-')}-{number // 3}:example.org")
                said = f"{words} {number}"
                if number == _BEFORE:
                    one, other = Took(), Took()
                    processes = [each.pid for each in keeper.processes(server.folder)]
                await _turn(one, lambda: ours.say(person, said), processes)  # noqa: B023 - called here
                await _turn(other, lambda: floor.say(person, said))  # noqa: B023 - called here
                alone.trips.append(await _timed(lambda: beside.execute("SELECT 1")))
                alone.commits.append(await _timed(lambda: beside.execute("INSERT INTO public.beside VALUES (1)")))
            found += _figures(kind, one, other)
        return [
            *found,
            Figure("a round trip", "ms", _fastest(alone.trips), "the median", median(alone.trips)),
            Figure(
                "a commit that waits for the disk", "ms", _fastest(alone.commits), "the median", median(alone.commits)
            ),
        ]


async def _turn(took: Took, work: Callable[[], Awaitable[object]], processes: Sequence[int] = ()) -> None:
    used, theirs = time.process_time(), sum(map(ran_s, processes))
    took.waited.append(await _timed(work))
    took.used.append(1000 * (time.process_time() - used))
    took.server.append(1000 * (sum(map(ran_s, processes)) - theirs))


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return 1000 * (time.perf_counter() - began)


def _fastest(times: Sequence[float]) -> float:
    return percentile(times, FASTEST)


def _usual(times: Sequence[float]) -> float:
    return mean(sorted(times)[: -(len(times) // 10) or None])


def _figures(kind: str, ours: Took, floor: Took) -> list[Figure]:
    one, other = _fastest(ours.waited), _fastest(floor.waited)
    beside = "on SQLite"
    return [
        Figure(kind, "ms", one, beside, other, target=f"<= {MORE_MS:g} ms more", met=one - other <= MORE_MS),
        Figure("  the median", "ms", median(ours.waited), beside, median(floor.waited)),
        Figure("  processor time of the bot", "ms", _usual(ours.used), beside, _usual(floor.used)),
        Figure("  processor time of the server", "ms", _usual(ours.server)),
    ]


async def _bot(folder: Path, environ: dict[str, str], stack: AsyncExitStack) -> Offline:
    """Return a bot that serves one group."""
    config = parse_config(folder / "config.toml", CONFIG + RULES, environ)
    config.data_dir.mkdir(parents=True)
    clock = Ticking()
    stores = await startup.open_stores(config, stack, clock)
    pipeline = await startup.caught_up(config, BOT, stores, clock, PlainReader())
    await pipeline.commit(await startup.start_facts(config.policy, stores))
    bot = Offline(config, stores, pipeline, clock)
    await bot.group(LEVELS, "11", _DESK)
    return bot


if __name__ == "__main__":
    measure(__doc__, add_arguments, run)
