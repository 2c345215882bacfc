"""Batched statements in aiosqlite's thread: rows in order, errors unchanged, and nothing on the event loop."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import bindparam, event, exists, insert, null, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError, PendingRollbackError
from sqlalchemy.util import LRUCache

from storage import schema
from storage.database import put_off, sqlite_driver
from storage.database.database import Database
from storage.database.place import DatabasePlace
from storage.database.rows import Asked, Rows, rows_of, rows_then

KEYS = ["a", "b", "c"]
ORDERED = select(schema.meta.c.key).order_by(schema.meta.c.key)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(DatabasePlace(tmp_path))
    async with database.write() as db:
        await db.execute(schema.meta.delete())
        await db.execute(insert(schema.meta), [{"key": key, "value": ""} for key in KEYS])
    yield database
    await database.close()


def noted_hand_overs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of what is handed over to a connection's thread from now on."""
    handed: list[str] = []
    really: Any = aiosqlite.Connection._execute

    async def note(self: Any, work: Any, *args: Any, **more: Any) -> Any:
        handed.append(work.__name__)
        return await really(self, work, *args, **more)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", note)
    return handed


async def test_rows_come_in_order_one_by_one_some_or_all(database: Database) -> None:
    async with database.read() as db:
        assert list((await db.execute(ORDERED)).scalars()) == KEYS
        some = await db.execute(ORDERED)
        taken = (some.fetchone(), some.fetchmany(1), some.fetchall(), some.fetchone())
    assert taken == (("a",), [("b",)], [("c",)], None)


async def test_a_read_snapshot_ignores_later_writes(database: Database) -> None:
    async with database.write() as db:
        before = await db.execute(ORDERED)
        await db.execute(schema.meta.delete())
        assert list(before.scalars()) == KEYS
        assert list((await db.execute(ORDERED)).scalars()) == []


async def test_a_statement_that_is_given_up_before_its_turn_is_undone_with_its_transaction(database: Database) -> None:
    at_work, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        at_work.set()
        go_on.wait(20)

    async def write() -> None:
        async with database.write() as db:
            await db.execute(insert(schema.meta).values(key="x", value="given up"))

    async with database.write() as db:
        raw: Any = (await db.get_raw_connection()).driver_connection
    holding = asyncio.create_task(raw._execute(hold))  # the thread is busy, so the statement waits in its queue
    await asyncio.to_thread(at_work.wait, 20)
    writing = asyncio.create_task(write())
    while raw._tx.empty():  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0)
    writing.cancel()
    await asyncio.sleep(0.01)  # so that everything about it happens while the statement still waits
    go_on.set()
    await holding
    with pytest.raises(asyncio.CancelledError):
        await writing
    async with database.write() as db:
        await db.execute(insert(schema.meta).values(key="d", value=""))
    async with database.read() as db:
        assert list((await db.execute(ORDERED)).scalars()) == [*KEYS, "d"]


async def test_a_cancelled_cleaning_keeps_its_turn_until_sqlite_has_ended_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, began, order = sqlite_driver._empty_wal, threading.Event(), list[str]()

    def empty_wal(connection: sqlite3.Connection, patience_ms: int) -> bool:
        began.set()
        is_empty = really(connection, patience_ms)
        order.append("emptied")
        return is_empty

    async def write() -> None:
        async with database.write() as db:
            order.append("turn of the write")
            await db.execute(insert(schema.meta).values(key="x", value="after"))

    monkeypatch.setattr(sqlite_driver, "_empty_wal", empty_wal)
    with closing(sqlite3.connect(DatabasePlace(tmp_path).file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT key FROM meta").fetchall()  # the WAL cannot be emptied while somebody reads it
        cleaning = asyncio.create_task(database.clean(patience_ms=60_000))
        assert await asyncio.to_thread(began.wait, 60)
        cleaning.cancel()
        writing = asyncio.create_task(write())
        for _ in range(20):
            await asyncio.sleep(0)
        assert (cleaning.done(), order) == (False, [])
        reader.execute("ROLLBACK")
        await asyncio.wait({cleaning, writing})
    assert (cleaning.cancelled(), writing.exception()) == (True, None)
    assert order == ["emptied", "turn of the write"]


async def test_a_read_only_transaction_ends_without_a_thread_switch(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.read() as db:  # opened before
        await db.execute(ORDERED)
    handed = noted_hand_overs(monkeypatch)
    async with database.read() as db:
        await db.execute(ORDERED)
    assert handed == ["_do"]


async def test_changes_go_with_the_next_query_or_the_commit(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed = noted_hand_overs(monkeypatch)
    async with database.write() as db:
        await db.execute(schema.meta.delete().where(schema.meta.c.key == "a"))
        await db.execute(insert(schema.meta).values(key="d", value=""))
        assert handed == []
        assert list((await db.execute(ORDERED)).scalars()) == ["b", "c", "d"]
        await db.execute(update(schema.meta).values(value="new"))
        await rows_of(db, (insert(schema.meta).values(key=bindparam("key"), value=""), {"key": "e"}))
        assert len(handed) == 1
    assert len(handed) == 2
    async with database.read() as db:
        assert list((await db.execute(ORDERED)).scalars()) == ["b", "c", "d", "e"]


@pytest.mark.parametrize("swallowed", [False, True])
async def test_a_transaction_without_one_of_its_changes_is_never_committed(database: Database, swallowed: bool) -> None:
    with pytest.raises(PendingRollbackError if swallowed else IntegrityError):
        async with database.write() as db:
            await db.execute(schema.meta.delete().where(schema.meta.c.key == "a"))
            await db.execute(insert(schema.meta).values(key="b", value="again"))
            with suppress(IntegrityError) if swallowed else nullcontext():
                await db.execute(ORDERED)
            await db.execute(insert(schema.meta).values(key="d", value=""))
    async with database.write() as db:
        await db.execute(insert(schema.meta).values(key="e", value=""))
        assert list((await db.execute(ORDERED)).scalars()) == [*KEYS, "e"]


async def test_what_only_sqlalchemy_runs_sees_the_changes_before_it(database: Database) -> None:
    async with database.write() as db:
        await db.execute(schema.meta.delete().where(schema.meta.c.key == "a"))
        assert (await db.execute(text("SELECT count(*) FROM meta"))).scalar_one() == 2
        await db.execute(schema.meta.delete().where(schema.meta.c.key == "b"))
        assert (await db.exec_driver_sql("SELECT count(*) FROM meta")).scalar_one() == 1


async def test_many_changes_are_made_before_the_commit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(put_off, "MOST", 2)
    async with database.write() as db:
        raw: Any = (await db.get_raw_connection()).driver_connection
        await db.execute(insert(schema.meta).values(key="d", value=""))
        assert not raw.in_transaction
        await db.execute(insert(schema.meta).values(key="e", value=""))
        assert raw.in_transaction


async def test_truths_take_one_hand_over_and_are_truths(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    key = schema.meta.c.key
    query = select(key, (key == "b").label("is_b"), (null() == 1).label("unknown")).order_by(key)
    async with database.read() as db:
        handed = noted_hand_overs(monkeypatch)
        rows = [tuple(row) for row in await db.execute(query)]
        assert (await db.scalar(select(exists().where(key == "x")))) is False
    assert [(name, is_b, unknown) for name, is_b, unknown in rows] == [(name, name == "b", None) for name in KEYS]
    assert {type(is_b) for _, is_b, _ in rows} == {bool}
    assert handed == ["_do", "_do"]


async def test_errors_come_as_sqlalchemys_and_the_transaction_is_undone(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.write() as db:
            await db.execute(schema.meta.delete().where(schema.meta.c.key == "a"))
            await db.execute(insert(schema.meta).values(key="b", value="again"))
    async with database.read() as db:
        assert list((await db.execute(ORDERED)).scalars()) == KEYS
        with pytest.raises(OperationalError, match="no such table"):
            await db.execute(text("SELECT * FROM absent"))


async def test_no_statement_is_done_on_the_event_loop(database: Database) -> None:
    threads: set[int] = set()

    def note(connection: sqlite3.Connection, _record: object) -> None:
        connection.create_function("thread", 0, threading.get_ident)

    event.listen(database._engine.sync_engine, "connect", note)
    async with database.read() as one, database.read() as other:
        for db in (one, other):
            threads.update((await db.execute(text("SELECT thread()"))).scalars())
    assert threads and threading.get_ident() not in threads


async def test_several_statements_go_together_and_each_has_its_rows_with_their_names(database: Database) -> None:
    one = select(schema.meta.c.key, schema.meta.c.value).where(
        schema.meta.c.key == bindparam("key"), schema.meta.c.value.in_(["", "x"])
    )
    more = (
        select(schema.meta.c.key.label("name"))
        .where(schema.meta.c.key > bindparam("after"))
        .order_by(schema.meta.c.key)
    )
    async with database.read() as db:
        for key, after in (("a", "b"), ("c", "a"), ("z", "z")):  # the second time everything is prepared already
            found, rest = await rows_of(db, (one, {"key": key}), (more, {"after": after}))
            assert [(row.key, row.value) for row in found] == ([(key, "")] if key in KEYS else [])
            assert [row.name for row in rest] == [each for each in KEYS if each > after]


async def test_statements_that_follow_from_others_go_with_them(database: Database) -> None:
    first = select(schema.meta.c.key).where(schema.meta.c.key > bindparam("after")).order_by(schema.meta.c.key)
    one = select(schema.meta.c.key.label("name")).where(schema.meta.c.key == bindparam("key"))
    threads = set()

    def then(found: list[Rows]) -> list[Asked]:
        threads.add(threading.get_ident())
        return [(one, {"key": row.key}) for row in found[0]]

    async with database.read() as db:
        [found], rest = await rows_then(db, [(first, {"after": "a"})], then)
    assert [row.key for row in found] == [each for each in KEYS if each > "a"]
    assert [row.name for [row] in rest] == [row.key for row in found]
    assert threads and threading.get_ident() not in threads


async def test_several_statements_see_what_their_transaction_has_written(database: Database) -> None:
    statement = select(schema.meta.c.value).where(schema.meta.c.key == bindparam("key"))
    async with database.write() as db:
        await db.execute(update(schema.meta).values(value="new"))
        [[row]] = await rows_of(db, (statement, {"key": "a"}))
    assert row.value == "new"


async def test_an_error_in_one_of_several_is_the_databases(database: Database) -> None:
    async with database.write() as db:
        await db.execute(text("ALTER TABLE away RENAME TO gone"))
        with pytest.raises(OperationalError, match="no such table: away"):
            await rows_of(db, (select(schema.away.c.user), {}))


async def test_each_connection_has_its_settings_from_the_beginning(database: Database, tmp_path: Path) -> None:
    named = ("journal_mode", "foreign_keys", "secure_delete", "busy_timeout", "query_only")

    async def settings(opened: Database) -> list[object]:
        async with opened.read() as db:
            return [(await db.exec_driver_sql(f"PRAGMA {name}")).scalar() for name in named]

    reader = await Database.open(DatabasePlace(tmp_path), read_only=True)
    assert await settings(database) == ["wal", 1, 1, 5_000, 0]
    assert (await settings(reader))[3:] == [5_000, 1]
    await reader.close()


async def test_what_one_database_compiled_is_good_for_another(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: LRUCache[Any, Any] = LRUCache(10)
    monkeypatch.setattr(sqlite_driver.STATEMENTS, "compiled", compiled)
    (tmp_path / "other").mkdir()
    other = await Database.open(DatabasePlace(tmp_path / "other"))
    query = select(schema.meta.c.value).where(schema.meta.c.key == "said nowhere else").limit(7)
    async with database.read() as db, other.read() as there:
        for each in (db, there):
            await each.execute(query)
            assert len(compiled) == 1
    await other.close()
