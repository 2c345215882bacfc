"""The cost of policy lists: matching a member, compiling, a start with them, and one changed entry.

    python -m bench.lists [--json FILE] [--entries N] [--rooms N] [--rounds N]

A list of `--entries` entries (one in forty a pattern, one in ten a hash) on a deployment of `--rooms` rooms with twenty
people each, made from tables alone. Floors: a dictionary of as many ids, the same deployment without a list. All times
are processor time of the one process.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from bench.everywhere import Made, deployment, start
from bot.sync.policy_lists import changes_of
from moderation.lists.book import Book, digest_of
from moderation.lists.entries import Entry, PolicyList
from moderation.values.ids import EventId, RoomId, UserId
from storage import queries
from storage.state.list_entries import change_entries

from .figures import Figure, at_most, at_most_times, measure

LIST = RoomId("!list:lists.example")
MATCH_US, CHANGE_S, START = 5.0, 2.0, 1.05
MEMBERS = 20_000


def entry(number: int) -> Entry:
    """Return an entry that means nobody here."""
    user = f"@spam{number}:bad{number % 500}.example"
    is_glob, is_hash = number % 40 == 0, number % 10 == 1
    return Entry(
        kind="user",
        key=f"rule:{number}",
        entity="" if is_hash else f"@*spam{number}*:*" if is_glob else user,
        digest=digest_of(user) if is_hash else "",
        advice="ban",
        recommendation="m.ban",
        reason="spam",
        sender=UserId("@mod:lists.example"),
        event=EventId(f"${number}"),
        at_ms=1,
    )


def book_of(entries: tuple[Entry, ...]) -> Book:
    """Compile a list."""
    return Book([PolicyList("list", LIST, entries)])


def matching(book: Book, entries: tuple[Entry, ...]) -> tuple[float, float]:
    """Return what matching one member costs, and looking one up in a dictionary, in microseconds."""
    members = [UserId(f"@member{number}:server{number % 300}.example") for number in range(MEMBERS)]
    known = {each.entity: each for each in entries}
    book.match(members[0])  # the automaton is built at the first match
    began = time.process_time()
    for user in members:
        book.match(user)
    between = time.process_time()
    for user in members:
        known.get(user)
    return (between - began) * 1e6 / MEMBERS, (time.process_time() - between) * 1e6 / MEMBERS


async def change(made: Made, entries: tuple[Entry, ...], number: int) -> float:
    """Measure what one changed entry costs, from the read state to the people whom the list means. Returns seconds."""
    now = (*entries[:number], replace(entries[number], reason=f"other {number}"), *entries[number + 1 :])
    began = time.process_time()
    async with made.database.read() as db:
        before = (await queries.list_entries(db))[LIST]
    found = changes_of(before, now)
    async with made.database.write() as db:
        await change_entries(db, room=LIST, gone=found.gone, added=found.added)
    book = book_of(now)
    async with made.database.read() as db:
        for user in {user for _, user in await queries.people_present(db)}:
            book.match(user)
    return time.process_time() - began


async def lists(options: argparse.Namespace) -> list[Figure]:
    """Return all figures of this part."""
    entries = tuple(entry(number) for number in range(options.entries))
    began = time.process_time()
    book = book_of(entries)
    compiled = (time.process_time() - began) * 1000
    pairs = [matching(book, entries) for _ in range(options.rounds)]
    one, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    figures = [
        Figure("matching a member", "us", one, "a dictionary", other, **at_most(MATCH_US, one, "us")),
        Figure("compiling", "ms", compiled),
    ]
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-lists-")))
        listed = await stack.enter_async_context(deployment(folder / "listed", options.rooms, 0, 0))
        bare = await stack.enter_async_context(deployment(folder / "bare", options.rooms, 0, 0))
        async with listed.database.write() as db:
            await change_entries(db, room=LIST, gone=(), added=entries)
        seconds = [await change(listed, entries, number) for number in range(options.rounds)]
        spent = statistics.median(seconds)
        figures.append(Figure("one changed entry", "s", spent, **at_most(CHANGE_S, spent, "s")))
        starts = [(await start(listed, number), await start(bare, number)) for number in range(options.rounds)]
        one, other = (statistics.median(side) for side in zip(*starts, strict=True))
        figures.append(Figure("start, a room", "us", one, "no list", other, **at_most_times(START, one, other)))
    return figures


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield the figures of this part."""
    yield from asyncio.run(lists(options))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--rooms", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)


if __name__ == "__main__":
    measure(__doc__, add_arguments, run)
