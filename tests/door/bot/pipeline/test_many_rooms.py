"""With many rooms and people, what one message brings reads no table that grows with them from end to end."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.bot_rooms.create import RoomPurpose, code_of, take_up
from bot.texts.case_words import message_link
from moderation.values.ids import EventId, RoomId
from storage import queries
from storage.database import sqlite_driver
from storage.database.place import FILE
from storage.database.statements import Ready
from tests.door.offline import ANNA, BOT, DESK, LEVELS, MARK, MINA, OLGA, ROOM, Offline, offline

RULES = """
[[rules]]
name = "tickets"
kind = "terms"
class = "serious"
decide = "auto"
measure = "redact"
terms = ["forbidden"]
[[rules]]
name = "newcomers"
kind = "terms"
class = "minor"
terms = ["hello"]
unless = { messages = 3 }
"""
# The tables that grow with rooms, people or messages.
GROWING = ("rooms", "members", "events", "old_events", "spoke", "cases", "sanctions", "credit", "accounts", "evidence")
_SCAN = re.compile(rf"SCAN ({'|'.join(GROWING)})\b")


@contextmanager
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """Collect every statement that reads or changes rows, as SQLite plans it, without its values; how many it takes."""
    found: dict[str, int] = {}
    do, done = sqlite_driver._do, sqlite_driver._done

    def one(connection: sqlite3.Connection, many: bool, sql: str, values: Any) -> Any:
        found[sql] = len(values[0] if many else values)
        return do(connection, many, sql, values)

    def ready(connection: sqlite3.Connection, statement: Ready, values: Any) -> Any:
        found[statement.sql] = len(statement.values(values))
        return done(connection, statement, values)

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_driver, "_do", one)
        patch.setattr(sqlite_driver, "_done", ready)
        yield found


async def sanction(bot: Offline) -> None:
    await bot.say(ANNA, "forbidden things")


async def command(bot: Offline) -> None:
    await bot.say(MARK, "!status")


async def power_change(bot: Offline) -> None:
    await bot.levels(OLGA, {OLGA: 100, BOT: 100, MARK: 50, ANNA: 50})


async def decision(bot: Offline) -> None:
    await bot.say(MARK, "!dismiss 1 it was meant well", room=DESK)


async def arrival(bot: Offline) -> None:
    await bot.membership(ANNA, "leave")
    await bot.membership(ANNA, "join")


async def look(bot: Offline) -> None:
    await bot.scheduler.do_what_is_due()
    bot.time.ms += 60_000
    await bot.scheduler.do_what_is_due()


async def report(bot: Offline) -> None:
    await bot.say(MINA, f"!report {message_link(ROOM, EventId('$event9'), BOT)} look")


async def entering(bot: Offline) -> None:
    """Do what an invitation brings, once the homeserver has answered."""
    room, desk = RoomId("!new:example.org"), RoomId("!new-desk:example.org")
    async with bot.stores.database.read() as db:
        code = await code_of(db, room)
        assert await queries.upgraded_to(db, room) is None
    await bot.enter_room(room, code, "group", LEVELS, "11", (OLGA, MARK))
    await take_up(bot.pipeline, RoomPurpose("desk", served=code), desk)


WORKS = (sanction, command, power_change, decision, arrival, look, report, entering)


@pytest.mark.parametrize("work", WORKS, ids=lambda each: each.__name__)
async def test_nothing_that_grows_is_read_from_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[Offline], Any]
) -> None:
    async with offline(tmp_path, RULES) as bot:
        await bot.say(ANNA, "forbidden once before")
        await bot.say(MARK, "good morning")
        bot.pipeline.knowledge.room_changed(ROOM)
        for user in (OLGA, MARK, MINA, ANNA):
            bot.pipeline.knowledge.moved(user)  # as after a start, nothing is known by heart
        with statements(monkeypatch) as found:
            await work(bot)
        taken = [sql for sql in found if sql.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH"))]
        assert len(taken) > 2
        with closing(sqlite3.connect(bot.config.data_dir / FILE)) as db:
            plans = {
                sql: [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * found[sql])] for sql in taken
            }
    scanning = {sql: [step for step in plan if _SCAN.match(step)] for sql, plan in plans.items()}
    left = {sql: steps for sql, steps in scanning.items() if steps and not _is_bounded(sql, steps)}
    assert left == {}


def _is_bounded(sql: str, steps: list[str]) -> bool:
    """Tell whether few rows are read: the first that there are, or those of an index of few."""
    is_first = " LIMIT " in sql and "ORDER BY" not in sql
    return is_first or all("accounts_linked" in step for step in steps)
