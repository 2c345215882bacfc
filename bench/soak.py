"""A long time under load: an hour of simulated time in a thousand rooms; nothing lost, nothing twice, nothing grown.

    python -m bench.soak [--json FILE] [--rooms N] [--people N] [--burst N] [--minutes N] [--pace N]

Every simulated minute a burst is sent at one instant: mostly talk, some of it against the rules, new names. Some bursts
fall on few rooms, so that the homeserver leaves events out of its answers and the bot has to page back. The bot is the
real one in a process of its own; its clock goes `--pace` times faster. At the end every event must be in the tables and
in the journal exactly once, the journal must verify, and each message against the rules must be redacted exactly once;
otherwise the exit status is 1. Times and memory are only printed.
"""

import argparse
import asyncio
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.figures import Figure, measure, percentile
from bench.simulated import BAD, Deployment, deployment, memory_mb, person, rules
from storage.database.place import FILE
from storage.journal.reader import Log
from storage.journal.verify.verify import verify

ROOT = Path(__file__).parents[1]
MESSAGE = "m.room.message"
BAD_EVERY = 100  # one message in this many breaks a rule
NARROW_EVERY = 5  # one burst in this many falls on three rooms
SETTLED = 0.5  # the share of the bursts after which memory should not grow any more

Say = tuple[str, str, str, dict[str, Any], str | None]


@dataclass
class Soaked:
    """The observations of one run."""

    events: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    taken_s: list[float] = field(default_factory=list)  # of each burst, until all of it was committed
    gone_s: list[float] = field(default_factory=list)  # of each message against the rules, until it was redacted
    memory_mb: list[float] = field(default_factory=list)  # after each burst
    waiting: list[int] = field(default_factory=list)  # rows of the outbox after each burst
    wrong: list[str] = field(default_factory=list)


async def soak(options: argparse.Namespace, folder: Path) -> Soaked:
    """Run the whole soak, and check the records at the end."""
    os.environ["SOAK_PACE"], os.environ["PYTHONPATH"] = str(options.pace), str(ROOT)
    each = max(2, options.people // options.rooms)
    seen = Soaked()
    async with deployment(folder, rules(1_000), "bench.soak_bot") as bot:
        rooms = await bot.enter([[person(room * each + n) for n in range(each)] for room in range(options.rooms)])
        chance = random.Random(options.seed)
        for minute in range(options.minutes):
            began = time.monotonic()
            await _burst(bot, _said(chance, rooms, each, options.burst, narrow=minute % NARROW_EVERY == 1), seen)
            seen.memory_mb.append(memory_mb(bot.pid))
            seen.waiting.append(bot.rows("SELECT count(*) FROM outbox")[0][0])
            if options.minutes > 10:
                print(f"minute {minute + 1}: {time.monotonic() - began:.1f} s, {seen.memory_mb[-1]:.0f} MB", flush=True)
            await asyncio.sleep(max(0.0, 60 / options.pace - (time.monotonic() - began)))
        seen.gone_s = await asyncio.wait_for(bot.server.order("all_gone", ids=seen.bad), 120)
        await bot.idle()
        redacted = Counter(await bot.server.order("redactions", sender=bot.user))
        seen.wrong += [f"{each} was redacted {redacted[each]} times" for each in seen.bad if redacted[each] != 1]
        await bot.bot.stop()
        seen.wrong += await asyncio.to_thread(wrong_in_records, bot.data_dir, seen.events)
    return seen


async def _burst(bot: Deployment, said: Sequence[Say], seen: Soaked) -> None:
    began = time.monotonic()
    ids = await bot.say(*said)
    taken = await bot.caught_up()
    seen.taken_s.append(max(0.0, taken - began))
    seen.events += ids
    seen.bad += [id for id, (_, _, _, content, _) in zip(ids, said, strict=True) if content.get("body") == BAD]


def _said(chance: random.Random, rooms: Sequence[str], each: int, count: int, *, narrow: bool) -> list[Say]:
    chosen = chance.sample(rooms, min(3, len(rooms))) if narrow else rooms
    return [_one(chance, chance.choice(chosen), rooms, each, number) for number in range(count)]


def _one(chance: random.Random, room: str, rooms: Sequence[str], each: int, number: int) -> Say:
    who = person(rooms.index(room) * each + chance.randrange(each))
    if number % BAD_EVERY == BAD_EVERY - 1:
        return room, who, MESSAGE, {"msgtype": "m.text", "body": BAD}, None
    if number % 50 == 7:
        return room, who, "m.room.member", {"membership": "join", "displayname": f"name {number}"}, who
    return room, who, MESSAGE, {"msgtype": "m.text", "body": f"talk {number} of {chance.randrange(10**6)}"}, None


def wrong_in_records(data_dir: Path, events: Sequence[str]) -> list[str]:
    """Return what is wrong: events that are lost or doubled, a journal that does not verify."""
    connection = sqlite3.connect(data_dir / FILE)
    rows = Counter(event for (event,) in connection.execute("SELECT event FROM events"))
    connection.close()
    folder = data_dir / "records"
    lines = Counter(str(r.parts[0]["ev"]) for r in Log(folder).read() if r.parts and "ev" in r.parts[0])
    wrong = [f"{each} is {rows[each]} times in the tables" for each in events if rows[each] != 1]
    wrong += [f"{each} is {lines[each]} times in the journal" for each in events if lines[each] != 1]
    return wrong + [str(problem) for problem in verify(folder).problems]


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield the figures, and print what went wrong. Raises SystemExit(1) if anything did."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        seen = asyncio.run(soak(options, Path(folder) / "bot"))
    for name, values in (("burst, until committed", seen.taken_s), ("message, until redacted", seen.gone_s)):
        for percent in (50, 95, 99):
            yield Figure(f"{name}, {percent} %", "s", percentile(values, percent))
    settled = seen.memory_mb[int(len(seen.memory_mb) * SETTLED) :]
    yield Figure("memory at the end", "MB", settled[-1], "half way", settled[0])
    yield Figure("outbox, at most after a burst", "rows", max(seen.waiting))
    yield Figure("events, each recorded once", "events", len(seen.events) - len(seen.wrong))
    for each in seen.wrong[:20]:
        print(f"WRONG: {each}", file=sys.stderr)
    if seen.wrong:
        raise SystemExit(1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the soak."""
    parser.add_argument("--rooms", type=int, default=1_000)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--burst", type=int, default=2_000, help="events in one")
    parser.add_argument("--minutes", type=int, default=60, help="simulated; one burst each")
    parser.add_argument("--pace", type=float, default=30.0, help="simulated seconds in one")
    parser.add_argument("--seed", type=int, default=7)


if __name__ == "__main__":
    measure(__doc__, add_arguments, run)
