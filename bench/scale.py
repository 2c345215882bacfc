"""The cost of many rooms: each thing that people wait for, with 10,000 rooms and with ten.

    python -m bench.scale [--json FILE] [--rooms N] [--large N] [--rounds N] [--first]

Two deployments run at the same time, each a bot and a simulated homeserver in processes of their own: one serves ten
rooms of twenty people, the other `--rooms` of them and one of `--large` people. Ten are entered by invitation in each;
the others of the large deployment were there before (`standing.py`). Somebody has spoken in each room, so that all is
in memory that stays there. Each thing is done in turn in the one and in the other, and is measured from the message
that asks for it until the homeserver has what the bot sends. The small deployment is the floor of what must not grow
with the number of rooms. The processor time is that of the bot, until it has nothing left to send. With `--first` what
is measured goes before other programs of the machine, which needs root.
"""

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

from bench.figures import Figure, at_most, at_most_times, go_first, measure
from bench.simulated import BAD, OWNER, Deployment, deployment, memory_mb, owner, person, ran_s, rules
from bench.standing import add_copies
from storage.database.place import FILE

PEOPLE = 20
AT_ONCE = 100  # messages
SLOWER = 1.5  # times: anything above has grown with the number of rooms
MEMORY_MB = 400
START_S = 10.0
LEVELS = "m.room.power_levels"
MESSAGE = "m.room.message"

# One person owns all rooms, so that they would share desks. In a desk for each, somebody who rises in one is let in.
OWN_DESKS = "[groups]\nshare_desks = false\n"

Measure = Callable[[Deployment, int], Awaitable[float]]


def text(body: str) -> dict[str, str]:
    """Return the content of a message."""
    return {"msgtype": "m.text", "body": body}


async def sanction(bot: Deployment, number: int) -> float:
    """Measure the time from a message that breaks a rule to its redaction."""
    room = bot.rooms[0]
    (bad,) = await bot.say((room, person(number % PEOPLE), MESSAGE, text(BAD), None))
    (took,) = await bot.server.order("all_gone", ids=[bad])
    await bot.idle()
    return float(took)


async def _asked(bot: Deployment, command: str, room: str) -> float:
    """Measure the time from a command in a room to the answer there."""
    (asked,) = await bot.say((room, OWNER, MESSAGE, text(command), None))
    took = await bot.server.order("sent_after", event=asked, sender=bot.user, type=MESSAGE, room=room)
    await bot.idle()
    return float(took)


async def command(bot: Deployment, _number: int) -> float:
    """Measure `!status`."""
    return await _asked(bot, "!status", bot.rooms[0])


def _desk(bot: Deployment) -> str:
    """Return the desk of the first room."""
    ((desk,),) = bot.rows("SELECT room FROM rooms WHERE code = (SELECT desk FROM rooms WHERE room = ?)", bot.rooms[0])
    return str(desk)


async def cases(bot: Deployment, _number: int) -> float:
    """Measure `!cases` with many old cases."""
    return await _asked(bot, "!cases", _desk(bot))


async def credit(bot: Deployment, _number: int) -> float:
    """Measure `!credit` of somebody with many entries."""
    return await _asked(bot, f"!credit {person(0)}", _desk(bot))


async def levels(bot: Deployment, number: int) -> float:
    """Measure the time from a change of power levels that makes a manager to their invitation into the desk."""
    room, who = bot.rooms[0], person(PEOPLE - 1 - number)
    content = await bot.server.order("content", room=room, type=LEVELS)
    content["users"] = {**content["users"], who: 50}
    (changed,) = await bot.say((room, OWNER, LEVELS, content, ""))
    took = await bot.server.order("sent_after", event=changed, sender=bot.user, type="m.room.member", key=who)
    await bot.idle()
    return float(took)


async def start(bot: Deployment, _number: int) -> float:
    """Measure the time from the start of the process until it has taken in its first answer of `/sync`."""
    await bot.bot.stop()
    place = await bot.server.order("place")
    (marker,) = await bot.say((bot.rooms[0], OWNER, MESSAGE, text("good morning"), None))
    began = time.monotonic()
    bot.bot.start()
    done = await bot.server.order("acknowledged", user=bot.user, place=place + 1)
    assert await bot.missing(place, place + 1) == 0, marker
    await bot.idle()
    return float(done) - began


async def entering(bot: Deployment, number: int) -> float:
    """Measure the time from an invitation until the room is protected and its desk is made."""
    began = time.monotonic()
    await bot.enter([[person(number * PEOPLE + each) for each in range(PEOPLE)]])
    return time.monotonic() - began


TIMES: tuple[tuple[str, Measure], ...] = (
    ("one sanction", sanction),
    ("one command", command),
    ("one power-level change", levels),
    ("!cases, old ones kept", cases),
    ("!credit, many entries", credit),
    ("entering a room", entering),
)
START = "start to ready"


async def scale(options: argparse.Namespace) -> AsyncGenerator[Figure]:
    """Yield all figures of this part."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-scale-")))
        few = await stack.enter_async_context(deployment(folder / "few", OWN_DESKS + rules()))
        many = await stack.enter_async_context(deployment(folder / "many", OWN_DESKS + rules()))
        for bot in (few, many):
            await bot.enter(_people(options.few))
        began = time.monotonic()
        await _fill(many, options)
        yield Figure(f"making {options.rooms} rooms", "s", time.monotonic() - began)
        for bot, large in ((few, 0), (many, options.large)):
            await _remember(bot, options.cases, options.entries)
            await _speak(bot, large)
        if options.first:
            go_first(*(pid for bot in (few, many) for pid in (bot.pid, bot.server.pid)))
        for name, each in TIMES:
            for figure in await _compared(name, each, few, many, options):
                yield figure
        mb, little = memory_mb(many.pid), memory_mb(few.pid)
        yield Figure("memory", "MB", mb, f"with {options.few} rooms", little, **at_most(MEMORY_MB, mb, "MB"))
        for figure in await _compared(START, start, few, many, options):
            yield figure


async def _compared(
    name: str, each: Measure, few: Deployment, many: Deployment, options: argparse.Namespace
) -> tuple[Figure, Figure]:
    """Return what one thing took, and the processor time of the bot."""
    ours: list[tuple[float, float]] = []
    floor: list[tuple[float, float]] = []
    for number in range(options.rounds):
        floor.append(await _measured(each, few, number))
        ours.append(await _measured(each, many, number))
    beside = f"with {options.few} rooms"
    (one, used), (other, little) = (map(statistics.median, zip(*times, strict=True)) for times in (ours, floor))
    target = at_most(START_S * 1000, one, "ms") if each is start else at_most_times(SLOWER, one, other)
    of_processor = {} if each is start else at_most_times(SLOWER, used, little)
    return (
        Figure(name, "ms", one, beside, other, **target),
        Figure("  processor time", "ms", used, beside, little, **of_processor),
    )


async def _measured(each: Measure, bot: Deployment, number: int) -> tuple[float, float]:
    """Return what one thing took, and the processor time of the bot, in ms."""
    pid, before = bot.pid, ran_s(bot.pid)
    took = await each(bot, number)
    return 1000 * took, 1000 * (ran_s(bot.pid) - (before if bot.pid == pid else 0))


def _people(rooms: int, first: int = 0) -> list[list[str]]:
    return [[person(room * PEOPLE + number) for number in range(PEOPLE)] for room in range(first, first + rooms)]


async def _fill(bot: Deployment, options: argparse.Namespace) -> None:
    """Add the rooms that were there before, the large one last."""
    people = _people(options.rooms - options.few, options.few)
    if options.large:
        people.append([person(number) for number in range(options.large)])
    owned = [[owner(number), *each] for number, each in enumerate(people, options.few)]
    await add_copies(bot, bot.rooms[-1], owned)


async def _speak(bot: Deployment, large: int) -> None:
    """Let somebody say something in each room, and one in twenty of its `large` people in the last."""
    said = [
        (room, person(PEOPLE * number), MESSAGE, text("good morning"), None) for number, room in enumerate(bot.rooms)
    ]
    said += [(bot.rooms[-1], person(number), MESSAGE, text("hi"), None) for number in range(0, large, PEOPLE)]
    for begin in range(0, len(said), AT_ONCE):
        await bot.say(*said[begin : begin + AT_ONCE])
        await bot.caught_up()


async def _remember(bot: Deployment, cases: int, entries: int) -> None:
    """Put old cases of the first room and entries of one person into the tables while the bot is stopped."""
    await bot.bot.stop()
    await asyncio.to_thread(_put, bot.data_dir / FILE, bot.rooms[0], cases, entries)
    bot.bot.start()
    await bot.bot.until_ready()
    await bot.caught_up()


def _put(path: Path, room: str, cases: int, entries: int) -> None:
    old = 1_700_000_000_000
    with sqlite3.connect(path) as db:
        for number in range(1, cases + 1):
            record, who = 100_000_000 + number, person(number % PEOPLE)
            values = (number, record, room, who, who, "terms", "minor", "auto", "closed", "upheld", old, old, BAD)
            db.execute(
                "INSERT INTO cases (n, record, room, subject, person, rule, grade, decide, state, outcome, opened,"
                " decided, excerpt, manages, asked, about, due, remind, card, by, reason, appeal, appealed)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 'managers', 0, 0, 0, '', '', '', '', 0)",
                values,
            )
        for number in range(entries):
            record = 200_000_000 + number
            db.execute(
                "INSERT INTO credit (record, person, user, at, entry, cost, grade, rule, n, room, undoes, ledger)"
                " VALUES (?, ?, ?, ?, 'warning', 0, 'minor', 'terms', ?, ?, -1, 'credit')",
                (record, person(0), person(0), old, number % cases + 1, room),
            )
    db.close()


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield the figures of this part, each as soon as it is there."""
    loop, figures = asyncio.new_event_loop(), scale(options)
    try:
        while True:
            try:
                yield loop.run_until_complete(anext(figures))
            except StopAsyncIteration:
                return
    finally:
        loop.run_until_complete(figures.aclose())
        loop.close()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--rooms", type=int, default=10_000, help="of twenty people each")
    parser.add_argument("--few", type=int, default=10, help="rooms of the deployment beside it")
    parser.add_argument("--large", type=int, default=100_000, help="people in one more room")
    parser.add_argument("--cases", type=int, default=10_000, help="old ones")
    parser.add_argument("--entries", type=int, default=1_000, help="of one person's credit")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--first", action="store_true", help="go before other programs, as root may")


if __name__ == "__main__":
    measure(__doc__, add_arguments, run)
