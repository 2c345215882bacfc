"""The time that the command line takes: its help, and what operators read, with a million records.

    python -m bench cli [--json FILE] [--records N] [--rounds N]

The floor of each is Python alone, started in turn with it; that of an export, and of the checker in it, is what no
export can do without: the same bytes parsed, hashed and packed or unpacked, once. The deployment is written by the real
journal and the real projections: thirty days, fifty rooms, thousands of people, cases among them.
"""

import argparse
import asyncio
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from moderation.model.facts import CaseOpened, CreditChanged, Fact, RoomEntered, RoomStateChanged
from moderation.values.events import MessagePosted, Text
from moderation.values.ids import EventId, GroupCode, PersonId, RoomId, UserId
from storage.database.database import Database
from storage.database.place import DatabasePlace
from storage.journal.journal import Journal
from storage.journal.record import Draft
from storage.journal.record_keys import PersonKeys
from storage.projections import project, project_events, set_meta
from storage.record_mapping import draft_of_event, draft_of_fact

from .figures import Figure, at_most, in_turn, measure, timed

ROOT = Path(__file__).parents[1]
NOON = 1_793_000_000_000
DAY_MS, DAYS = 86_400_000, 30
PEOPLE, GROUPS, CASES = 5_000, 50, 5_000
BATCH = 5_000
CONFIG = """
[homeserver]
url = "http://127.0.0.1:9"
user = "@bot:example.org"
[bot]
data_dir = "data"
"""
Item = MessagePosted | tuple[Fact, int]  # with its time

HELP_S, READ_S = 0.3, 1.0
EXPORT_S, VERIFY_S = 90.0, 30.0  # of half a million records
HALF_A_MILLION = 500_000
COMMANDS = (
    ("logs show", ("logs", "show", "--last", "50"), READ_S),
    ("logs show --json, one kind", ("logs", "show", "--kind", "case", "--last", "50", "--json"), READ_S),
    ("credit of one", ("credit", "@p7:example.org"), READ_S),
    ("credit", ("credit", "--json"), READ_S),
    ("cases", ("cases", "--json"), READ_S),
    ("case 17", ("cases", "17"), READ_S),
)


def main() -> None:
    measure(__doc__, add_arguments, run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this part."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--records", type=int, default=1_000_000)


def run(options: argparse.Namespace) -> Iterator[Figure]:
    """Yield all figures of this part."""
    folder = Path(tempfile.mkdtemp(prefix="bench-cli-"))
    try:
        asyncio.run(deployment(folder, options.records))
        yield takes("answerable --help", ("--help",), HELP_S, folder, options.rounds)
        for name, arguments, limit in COMMANDS:
            yield takes(name, (*arguments, "--config", str(folder / "config.toml")), limit, folder, options.rounds)
        yield from hand_over(folder, options.records)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def hand_over(folder: Path, records: int) -> Iterator[Figure]:
    """Measure exporting everything, and the checker on it, once each; "alone" is the processor time of ours."""
    out, config = folder / "all.zip", ("--config", str(folder / "config.toml"))
    export = ("logs", "export", "--out", str(out), "--reason", "how long it takes", "--unsigned", *config)
    checker = [sys.executable, str(ROOT / "storage" / "export" / "verify.py"), str(out)]
    for name, command, floor, limit in (
        ("export of everything", answerable(*export), packing, EXPORT_S),
        ("verify.py on it", checker, unpacking, VERIFY_S),
    ):
        one, other, busy = in_turn(lambda: work(command, folder), lambda: timed(lambda: floor(out)), 1)  # noqa: B023
        limit *= records / HALF_A_MILLION
        yield Figure(name, "s", one, f"{floor.__name__} it", other, alone=busy, **at_most(limit, one, "s"))


def packing(out: Path) -> None:
    """Parse the records, and hash and pack every file."""
    _each(out, lambda: zlib.compressobj(6).compress)


def unpacking(out: Path) -> None:
    """Parse the records, and unpack and hash every file."""
    _each(out, lambda: len)


def _each(out: Path, use: Callable[[], Callable[[bytes], object]]) -> None:
    with zipfile.ZipFile(out) as bundle:
        for name in bundle.namelist():
            total, each = hashlib.sha256(), use()
            with bundle.open(name) as file:
                while piece := file.read(1 << 20):
                    total.update(piece)
                    each(piece)
        with bundle.open("records.jsonl") as file:
            for line in file:
                json.loads(line)


def answerable(*arguments: str) -> list[str]:
    """Return the command line."""
    return [sys.executable, "-P", "-m", "bot.cli.main", *arguments]


def work(words: list[str], folder: Path) -> float:
    """Run a command there. Returns the seconds."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return timed(lambda: subprocess.run(words, cwd=folder, env=environ, check=True, capture_output=True))


def takes(name: str, arguments: tuple[str, ...], limit: float, folder: Path, rounds: int) -> Figure:
    """Measure one command, with a Python that does nothing as its floor."""
    command, idle = answerable(*arguments), [sys.executable, "-P", "-c", ""]
    work(command, folder)  # the first time Python compiles what it imports, and the system reads files into memory
    one, other, _ = in_turn(lambda: work(command, folder), lambda: work(idle, folder), rounds)
    return Figure(name, "s", one, "python alone", other, **at_most(limit, one, "s"))


# The deployment.


async def deployment(folder: Path, records: int) -> None:
    """Write a configuration and a data directory with about so many records."""
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    data_dir = folder / "data"
    data_dir.mkdir()
    database = await Database.open(DatabasePlace(data_dir))
    keys = PersonKeys.open(DatabasePlace(data_dir))
    journal = Journal.open(data_dir, "bench.example.org/log", keys, NOON)
    for batch in _batches(_history(records)):
        await _write(database, journal, batch)
    journal.close(NOON + DAYS * DAY_MS)
    keys.close()
    await database.close()


async def _write(database: Database, journal: Journal, batch: tuple[Item, ...]) -> None:
    drafts = [_draft(item) for item in batch]
    first = journal.append(drafts)[0]
    journal.sync()
    async with database.write() as db:
        seen = [(i, item, "message") for i, item in enumerate(batch, first) if isinstance(item, MessagePosted)]
        await project_events(db, seen)
        for index, item in enumerate(batch, first):
            if not isinstance(item, MessagePosted):
                await project(item[0], db, index, item[1])
        await set_meta(db, "applied", str(journal.size))


def _batches(history: Iterator[Item]) -> Iterator[tuple[Item, ...]]:
    while batch := tuple(islice(history, BATCH)):
        yield batch


def _draft(item: Item) -> Draft:
    if isinstance(item, MessagePosted):
        return draft_of_event(item, _code(item.room), _person)
    fact, at_ms = item
    return draft_of_fact(fact, at_ms, _code(fact.room) if fact.room else None, _person)


def _history(records: int) -> Iterator[Item]:
    chance = random.Random(7)
    for number in range(GROUPS):
        room = _room(number)
        yield RoomEntered(room=room, code=_code(room), purpose="group", room_id=room), NOON
        yield RoomStateChanged(room=room, condition="protected"), NOON
    every = max(records // CASES, 1)
    for number in range(records):
        at_ms = NOON + number * DAYS * DAY_MS // records
        case = number // every + 1 if number % every == 0 else 0
        who = case % PEOPLE if case else chance.randrange(PEOPLE)
        room, user = _room(chance.randrange(GROUPS)), UserId(f"@p{who}:example.org")
        event = EventId(f"${number:043d}")
        yield _message(room, user, event, at_ms)
        if case:
            yield from _case(room, user, event, case, number, at_ms)


def _message(room: RoomId, user: UserId, event: EventId, at_ms: int) -> MessagePosted:
    body = f"what was said at {at_ms} about this and that"
    content = {"msgtype": "m.text", "body": body}
    return MessagePosted(
        room=room,
        received_ms=at_ms,
        event=event,
        sender=user,
        sent_ms=at_ms,
        type="m.room.message",
        content=content,
        texts=(Text("body", body),),
    )


def _case(room: RoomId, user: UserId, event: EventId, n: int, on: int, at_ms: int) -> Iterator[tuple[Fact, int]]:
    about = {"room": room, "on": on, "n": n, "rule": "a-rule", "grade": "moderate", "subject": user}
    yield CaseOpened(decide="auto", state="decided", due=0, manages=0, event=event, **about), at_ms  # type: ignore[arg-type]
    yield CreditChanged(entry="charge", cost=10, left=90, **about), at_ms  # type: ignore[arg-type]


def _room(number: int) -> RoomId:
    return RoomId(f"!room{number}:example.org")


_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


def _code(room: RoomId) -> GroupCode:
    number = int(room.removeprefix("!room").partition(":")[0])
    return GroupCode(f"G-7{_LETTERS[number // 30]}{_LETTERS[number % 30]}K")


def _person(user: UserId) -> PersonId:
    return PersonId(user)


if __name__ == "__main__":
    main()
