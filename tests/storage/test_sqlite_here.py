"""Statements in the event loop's thread: rows at once, and others get their turn."""

import asyncio
import time
from pathlib import Path

from sqlalchemy import insert, select, text

from storage import tables as t
from storage.database import Database
from storage.sqlite_here import LONGEST_S

KEYS = ["a", "b", "c"]


async def test_rows_come_in_order_one_by_one_some_or_all(tmp_path: Path) -> None:
    database = await Database.open(tmp_path)
    async with database.write() as db:
        await db.execute(insert(t.meta), [{"key": key, "value": ""} for key in KEYS])
        keys = select(t.meta.c.key).order_by(t.meta.c.key)
        assert list((await db.execute(keys)).scalars()) == KEYS
        some = await db.execute(keys)
        assert (some.fetchone(), some.fetchmany(1), some.fetchall(), some.fetchone()) == (
            ("a",),
            [("b",)],
            [("c",)],
            None,
        )
    await database.close()


async def test_what_was_read_does_not_change_by_what_is_written_after(tmp_path: Path) -> None:
    database = await Database.open(tmp_path)
    async with database.write() as db:
        await db.execute(insert(t.meta), [{"key": key, "value": ""} for key in KEYS])
        before = await db.execute(select(t.meta.c.key).order_by(t.meta.c.key))
        await db.execute(t.meta.delete())
        assert list(before.scalars()) == KEYS
    await database.close()


async def test_whoever_has_many_statements_gives_way_to_others_between_them(tmp_path: Path) -> None:
    database = await Database.open(tmp_path)
    turns = 0

    async def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(another())
    async with database.read() as db:
        began = time.monotonic()
        while time.monotonic() - began < 20 * LONGEST_S:
            await db.execute(text("SELECT 1"))
    other.cancel()
    assert turns >= 5
    await database.close()


async def test_one_statement_after_a_pause_does_not_give_way(tmp_path: Path) -> None:
    database = await Database.open(tmp_path)
    turns = 0

    async def another() -> None:
        nonlocal turns
        turns += 1

    async with database.read() as db:
        await db.execute(text("SELECT 1"))
        await asyncio.sleep(2 * LONGEST_S)
        task = asyncio.create_task(another())
        await db.execute(text("SELECT 1"))
        assert turns == 0
        await task
    await database.close()
