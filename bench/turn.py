"""One turn of the bot, from an answer of the homeserver to committed state, on PostgreSQL and on a file of SQLite.

    python -m bench.turn [--json FILE] [--turns N] [--rounds N]

Both bots run in this process and get the same messages in turn. PostgreSQL runs on this machine, reached by a socket,
and waits for the disk; so does the journal of both. Ordinary: a message that is judged and recorded. Violation: one
that opens a case, with its card. What the homeserver takes is in neither.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

from bot import startup
from bot.config.config import parse_config
from bot.config.database import DATABASE_URL
from bot.pipeline.event_reader import PlainReader
from moderation.values.ids import UserId
from tests.door.offline import BOT, CONFIG, LEVELS, MARK, MINA, OLGA, RULES, Offline, Ticking
from tests.postgres.server import own_server

from .figures import Figure, measure

MORE_MS = 3.0  # than on SQLite
KINDS = {"an ordinary message": "good evening", "a violation, with its case and card": "forbidden"}
_DESK = (OLGA, MARK, MINA)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--turns", type=int, default=40, help="of each kind in a round")
    parser.add_argument("--rounds", type=int, default=5)


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield all figures of this part."""
    folder = Path(tempfile.mkdtemp(prefix="bench-turn-"))
    try:
        with own_server(durable=True) as server:
            yield from asyncio.run(_all(options, folder, server.url()))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _all(options: argparse.Namespace, folder: Path, url: str) -> list[Figure]:
    async with AsyncExitStack() as stack:
        ours = await _bot(folder / "postgresql", {DATABASE_URL: url}, stack)
        floor = await _bot(folder / "sqlite", {}, stack)
        found: list[Figure] = []
        for kind, words in KINDS.items():
            took: dict[str, list[float]] = {"ours": [], "floor": []}
            for number in range(options.turns * (options.rounds + 1)):
                person = UserId(f"@{words.replace(' ', '-')}-{number // 3}:example.org")
                one = await _turn(ours, person, f"{words} {number}")
                other = await _turn(floor, person, f"{words} {number}")
                if number >= options.turns:  # before, statements are compiled and pages are read
                    took["ours"].append(one)
                    took["floor"].append(other)
            found.append(_figure(kind, 1000 * median(took["ours"]), 1000 * median(took["floor"])))
        return found


def _figure(kind: str, ours: float, floor: float) -> Figure:
    wanted = f"<= {MORE_MS:g} ms more"
    return Figure(kind, "ms", ours, "on SQLite", floor, target=wanted, met=ours - floor <= MORE_MS)


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


async def _turn(bot: Offline, person: UserId, words: str) -> float:
    began = time.perf_counter()
    await bot.say(person, words)
    return time.perf_counter() - began


if __name__ == "__main__":
    measure(__doc__, add_arguments, run)
