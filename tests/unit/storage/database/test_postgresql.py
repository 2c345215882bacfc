"""The state database on a real PostgreSQL is read and written as on SQLite."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Integer, String, TypeDecorator, bindparam, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, PendingRollbackError

from moderation.model.actions.rooms import Align
from moderation.values.ids import RoomId
from storage import outbox, schema
from storage.database import put_off
from storage.database.database import Database, commits_of
from storage.database.place import DatabasePlace
from storage.database.psycopg_driver import PostgresqlConnection
from storage.database.refusals import DatabaseRefused, refusal_of
from storage.database.rows import rows_of, rows_then
from tests.postgres.server import Server
from tests.unit.storage.database.server_rows import KEYS, rows

ORDERED = select(schema.meta.c.key).order_by(schema.meta.c.key)
NAMED = select(schema.meta.c.key, schema.meta.c.value).where(schema.meta.c.key == bindparam("key"))
COUNT = select(func.count().label("n")).select_from(schema.meta)


class _Loud(TypeDecorator[str]):
    """A type whose values are converted, which only SQLAlchemy knows to do."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str:  # noqa: ARG002
        return str(value).upper()


async def test_numbers_have_64_bits_and_texts_are_compared_by_bytes(place: DatabasePlace, database: Database) -> None:
    kinds = rows(
        place,
        "SELECT DISTINCT format_type(atttypid, atttypmod), coalesce(collname, '') FROM pg_attribute"
        " JOIN pg_class ON attrelid = pg_class.oid LEFT JOIN pg_collation ON attcollation = pg_collation.oid"
        " WHERE relnamespace = 'answerable'::regnamespace AND relkind = 'r' AND attnum > 0"
        " AND relname != 'alembic_version'",
    )
    assert set(kinds) == {("bigint", ""), ("text", "C")}


async def test_rows_are_as_on_sqlite(database: Database) -> None:
    async with database.read() as db:
        assert list((await db.execute(ORDERED)).scalars()) == KEYS
        named, counted = await rows_of(db, (NAMED, {"key": "b"}), (COUNT, {}))
        assert (named[0].key, named[0].value, counted[0].n) == ("b", "", 3)
        first, then = await rows_then(db, [(COUNT, {})], lambda found: [(NAMED, {"key": KEYS[found[0][0].n - 1]})])
        assert (first[0][0].n, then[0][0].key) == (3, "c")
        assert (await db.execute(text("SELECT 1 + 1"))).scalar_one() == 2
        assert list(await db.scalars(ORDERED.where(schema.meta.c.key.in_(["a", "c"])))) == ["a", "c"]


async def test_what_is_left_to_sqlalchemy_has_the_same_types(database: Database) -> None:
    large, flag = 1 << 40, bindparam("flag", type_=_Loud())
    async with database.read() as db:
        found = await db.execute(select(bindparam("n", large, type_=Integer), flag), {"flag": "a"})
        assert tuple(found.one()) == (large, "A")


async def test_sums_of_whole_numbers_are_whole(database: Database) -> None:
    async with database.read() as db:
        numbers = select(func.sum(schema.credit.c.cost), func.coalesce(func.sum(schema.credit.c.cost), 0))
        assert tuple((await db.execute(numbers)).one()) == (None, 0)
        found = (await db.exec_driver_sql("SELECT sum(v::bigint), avg(v::bigint) FROM (VALUES (1), (2)) AS t(v)")).one()
    assert tuple(found) == (3, 1.5)
    assert isinstance(found[0], int)


async def test_changes_cost_no_round_trip_of_their_own(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    trips, run = list[int](), PostgresqlConnection._run

    async def counted(self: PostgresqlConnection, steps: Any) -> Any:
        trips.append(len(steps))
        return await run(self, steps)

    monkeypatch.setattr(PostgresqlConnection, "_run", counted)
    async with database.write() as db:
        await db.execute(insert(schema.meta), [{"key": key, "value": ""} for key in "xyz"])
        await db.execute(update(schema.meta).values(value="new"))
        await db.execute(schema.meta.delete().where(schema.meta.c.key == "a"))
        await outbox.put(db, [Align(room=RoomId("!a:x"), routine=True)], cause=1, now=0)  # which gets a number
        assert trips == []
        assert [row.value for row in (await db.execute(NAMED, {"key": "x"}))] == ["new"]
        await db.execute(schema.meta.delete().where(schema.meta.c.key == "x"))
    assert trips == [1, 1]  # the query, and the end of the transaction
    async with database.read() as db:
        assert list((await db.execute(ORDERED)).scalars()) == ["b", "c", "y", "z"]


async def test_many_changes_do_not_wait_for_the_end(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(put_off, "MOST", 5)
    async with database.write() as db:
        with pytest.raises(IntegrityError):
            for _ in range(3):
                await db.execute(insert(schema.meta), [{"key": key, "value": ""} for key in ("x", "y")])
        await db.rollback()


@pytest.mark.parametrize("swallowed", [True, False])
async def test_nothing_is_committed_without_a_change_that_could_not_be_handed_over(
    database: Database, swallowed: bool
) -> None:
    """A change is handed over with a later query, where an error of the driver may be caught as that query's."""
    with pytest.raises(PendingRollbackError if swallowed else UnicodeEncodeError):
        async with database.write() as db:
            for key, value in (("x", "whole"), ("y", "half a letter: \ud800"), ("z", "whole")):
                await db.execute(insert(schema.meta), {"key": key, "value": value})
            if swallowed:
                with pytest.raises(UnicodeEncodeError):
                    await db.execute(NAMED, {"key": "x"})
                await db.execute(NAMED, {"key": "x"})
    async with database.write() as db:
        assert list((await db.execute(ORDERED)).scalars()) == ["a", "b", "c"]
        await db.execute(insert(schema.meta), {"key": "x", "value": "later"})
    async with database.read() as db:
        assert list((await db.execute(ORDERED)).scalars()) == ["a", "b", "c", "x"]


async def test_a_text_with_a_null_character_is_kept_without_it_and_found_again(database: Database) -> None:
    async with database.write() as db:
        await db.execute(insert(schema.meta).values(key="\0x", value="a\0b"))
    async with database.read() as db:
        ((found,),) = (await rows_of(db, (NAMED, {"key": "\0x"})),)
    assert [tuple(row) for row in found] == [("\ufffdx", "a\ufffdb")]


async def test_nothing_is_seen_before_it_is_committed_and_an_error_undoes_all(database: Database) -> None:
    async with database.read() as reader:
        with pytest.raises(ZeroDivisionError):
            async with database.write() as db:
                await db.execute(insert(schema.meta).values(key="new", value=""))
                assert [tuple(row) for row in (await rows_of(reader, (COUNT, {})))[0]] == [(3,)]
                raise ZeroDivisionError
        assert [tuple(row) for row in (await rows_of(reader, (COUNT, {})))[0]] == [(3,)]
    async with database.write() as db:
        await db.execute(insert(schema.meta).values(key="new", value=""))
    async with database.read() as reader:
        assert (await db.scalar(COUNT)) == 4


async def test_an_error_of_a_statement_undoes_the_transaction_and_the_next_one_works(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.write() as db:
            await db.execute(schema.meta.delete())
            twice = (insert(schema.meta), {"key": "x", "value": ""})
            await rows_of(db, twice, twice)
    async with database.write() as db:
        assert list((await db.execute(ORDERED)).scalars()) == KEYS


async def test_changes_that_go_with_the_commit_are_seen_before_it_and_undo_all_if_they_fail(
    database: Database,
) -> None:
    new = (insert(schema.meta), {"key": "new", "value": ""})
    async with database.write() as db:
        await rows_of(db, new)
        assert await db.scalar(COUNT) == 4
        await rows_of(db, (insert(schema.meta), {"key": "newer", "value": ""}))
    with pytest.raises(IntegrityError):
        async with database.write() as db:
            await db.execute(schema.meta.delete().where(schema.meta.c.key == "a"))
            await rows_of(db, new)
    with pytest.raises(ZeroDivisionError):
        async with database.write() as db:
            await rows_of(db, (insert(schema.meta), {"key": "never", "value": ""}))
            raise ZeroDivisionError
    async with database.write() as db:
        assert list((await db.execute(ORDERED)).scalars()) == [*KEYS, "new", "newer"]


async def test_a_transaction_that_begins_with_text_is_undone_as_any_other(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.write() as db:
            await db.execute(text("DELETE FROM meta"))
            raise ZeroDivisionError
    async with database.write() as db:
        await db.exec_driver_sql("DELETE FROM meta WHERE key = 'a'")
    async with database.read() as db:
        assert list((await db.execute(ORDERED)).scalars()) == KEYS[1:]


async def test_a_snapshot_sees_one_state(database: Database) -> None:
    async with database.snapshot() as seen:
        assert await seen.scalar(COUNT) == 3
        async with database.write() as db:
            await db.execute(schema.meta.delete())
        assert await seen.scalar(COUNT) == 3
    async with database.read() as later:
        assert await later.scalar(COUNT) == 0


async def test_reads_of_several_tasks_on_one_connection_do_not_mix(database: Database) -> None:
    async with database.read() as db:
        found = await asyncio.gather(*(rows_of(db, (NAMED, {"key": key}), (COUNT, {})) for key in KEYS * 5))
    assert [each[0][0].key for each in found] == KEYS * 5


async def test_a_given_up_write_is_undone(database: Database) -> None:
    async def write() -> None:
        async with database.write() as db:
            await db.execute(schema.meta.delete())
            await db.exec_driver_sql("SELECT pg_sleep(60)")

    task = asyncio.create_task(write())
    sleeps = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()")
    async with asyncio.timeout(120), database.read() as db:
        while not await db.scalar(sleeps):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.write() as db:
        assert await db.scalar(COUNT) == 3


async def test_a_reader_cannot_write(place: DatabasePlace, database: Database) -> None:
    reader = await Database.open(place, read_only=True)
    async with reader.read() as db:
        with pytest.raises(DBAPIError) as error:
            await db.execute(schema.meta.delete())
    assert getattr(refusal_of(error.value, place), "key", None) == "database.read_only"
    await reader.close()


async def test_what_was_deleted_is_cleaned_unless_somebody_sees_it(database: Database) -> None:
    async with database.write() as db:
        await db.execute(schema.meta.delete())
    assert await database.clean()
    async with database.snapshot() as seen:
        await seen.scalar(COUNT)
        assert not await database.clean()
    assert await database.clean(patience_ms=0)


@pytest.mark.parametrize(
    "table",
    [
        "answerable_shared.log",
        "answerable_shared.exchange",
        "answerable$identity.person_keys",
        "answerable$crypto_device.sessions",
    ],
)
@pytest.mark.parametrize("is_update", [False, True])
async def test_what_was_erased_beside_the_state_is_cleaned_too(
    place: DatabasePlace, database: Database, table: str, is_update: bool
) -> None:
    rows(place, f"CREATE SCHEMA IF NOT EXISTS {table.partition('.')[0]}")
    rows(place, f"DROP TABLE IF EXISTS {table}")
    rows(place, f"CREATE TABLE {table} (words text)")
    rows(place, f"INSERT INTO {table} VALUES ('a secret')")
    if is_update:
        rows(place, f"UPDATE {table} SET words = ''")
    rows(place, f"DELETE FROM {table}")
    size = f"SELECT pg_relation_size('{table}')"
    assert rows(place, size) != [(0,)]
    assert await database.clean()
    assert rows(place, size) == [(0,)]


async def test_each_commit_is_noticed(place: DatabasePlace, database: Database) -> None:
    before = commits_of(place)
    assert commits_of(place) == before
    async with database.write() as db:
        await db.execute(update(schema.meta).values(value=schema.meta.c.value))
    assert commits_of(place) != before


async def test_a_server_that_stops_ends_a_write_with_an_error_that_has_words(
    own_postgres: Server, tmp_path: Path
) -> None:
    place = DatabasePlace(tmp_path, SecretStr(own_postgres.url()))
    database = await Database.open(place)
    with pytest.raises(OperationalError) as error:
        async with database.write() as db:
            await db.execute(insert(schema.meta).values(key="half", value=""))
            await asyncio.to_thread(own_postgres.stop)
            await db.execute(insert(schema.meta).values(key="other", value=""))
    assert getattr(refusal_of(error.value, place), "key", None) in ("database.stopped", "database.unreachable")
    await database.close()
    with pytest.raises(DatabaseRefused) as refused:
        await Database.open(place)
    assert refused.value.patience_s == float("inf")
    await asyncio.to_thread(own_postgres.start)
    again = await Database.open(place)
    async with again.read() as db:
        assert await db.scalar(COUNT) == 0
    await again.close()
