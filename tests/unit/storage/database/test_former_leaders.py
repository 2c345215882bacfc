"""A process that no longer leads is refused by PostgreSQL itself, and one whose session lacks its settings, too."""

import re
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import func, insert, select, text

from bot.exchange.postgresql import PostgresExchange
from bot.leading import lead
from storage import schema
from storage.database import moved, postgresql, server, shared_tables
from storage.database.database import Database, is_there, schema_of
from storage.database.fence import Epoch, Superseded
from storage.database.place import DatabasePlace
from storage.database.postgresql_small_store import PostgresqlSmallStore
from storage.database.refusals import DatabaseRefused
from storage.database.rows import rows_of
from storage.database.schemas import schemas
from storage.database.swap import drop_half_made, fresh_beside
from storage.moving import session as moving

COUNT = select(func.count().label("n")).select_from(schema.meta)


def rows(place: DatabasePlace, sql: str) -> list[tuple[object, ...]]:
    assert place.url is not None
    with psycopg.connect(place.url.get_secret_value(), autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


async def test_a_former_leader_is_refused_by_the_server_and_leaves_nothing(place: DatabasePlace) -> None:
    epoch = Epoch("", 7, "seven")
    with postgresql.connected(place, read_only=False) as connection, connection.transaction():
        shared_tables.make(connection)
    rows(place, "INSERT INTO answerable_shared.shards VALUES ('', 'example.org/log', 'key', 7, 'seven')")
    database = await Database.open(place, epoch=epoch)
    async with database.write() as db:
        await rows_of(db, (insert(schema.meta), {"key": "first", "value": ""}), (COUNT, {}))
    rows(place, "UPDATE answerable_shared.shards SET epoch = 8")
    for statement in (insert(schema.meta).values(key="late", value=""), text("DELETE FROM meta")):
        with pytest.raises(Superseded):
            async with database.write() as db:
                await db.execute(statement)
    assert rows(place, "SELECT key FROM answerable.meta") == [("first",)]
    here = "datname = current_database() AND pid != pg_backend_pid()"
    names = rows(place, f"SELECT DISTINCT application_name FROM pg_stat_activity WHERE {here}")
    assert names == [(epoch.application_name,)]
    await database.close()


@pytest.fixture
def former(place: DatabasePlace) -> Epoch:
    """Provide the epoch of a leader that was paused before it opened the database, while another one began."""
    with postgresql.connected(place, read_only=False) as connection, connection.transaction():
        shared_tables.make(connection)
    rows(place, "INSERT INTO answerable_shared.shards VALUES ('', 'example.org/log', 'key', 8, 'eight')")
    return Epoch("", 7, "seven")


async def test_a_former_leader_makes_no_tables(place: DatabasePlace, former: Epoch) -> None:
    with pytest.raises(Superseded):
        await Database.open(place, epoch=former)
    assert not is_there(place)


async def test_a_former_leader_that_was_paused_before_it_migrates_leaves_the_tables_alone(
    place: DatabasePlace, former: Epoch
) -> None:
    await (await Database.open(place)).close()
    rows(place, f"UPDATE answerable.alembic_version SET version_num = '{schemas()[-2]}'")
    with pytest.raises(Superseded):
        await Database.open(place, epoch=former)
    assert schema_of(place) == schemas()[-2]


async def test_a_former_leader_opens_no_tables_of_its_own_schema_either(place: DatabasePlace, former: Epoch) -> None:
    await (await Database.open(place)).close()
    with pytest.raises(Superseded):
        await Database.open(place, epoch=former)


def test_the_session_that_migrates_is_one_that_the_next_leader_ends(place: DatabasePlace, former: Epoch) -> None:
    leader = Epoch("", 8, "eight")
    names = "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database()"
    with postgresql._migrating(place, leader) as connection:
        found = connection.exec_driver_sql(names).scalars().all()
    assert found == [leader.application_name]


async def test_a_former_leader_neither_uses_a_copy_nor_removes_tables_that_another_one_makes_anew(
    place: DatabasePlace, former: Epoch
) -> None:
    rows(place, 'CREATE SCHEMA "answerable_$rebuild"')
    with postgresql.connected(place, read_only=False) as connection:
        moved.note_move(connection, place, moved.Move("in", "id", 1))
    with pytest.raises(Superseded):
        moved.refuse_moved(place, begin=True, epoch=former)
    with pytest.raises(Superseded):
        fresh_beside(place, former)
    assert rows(place, "SELECT way FROM answerable_shared.moves") == [("in",)]
    assert rows(place, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%rebuild'") == [(1,)]


def test_a_leader_drops_the_tables_that_a_rebuild_was_killed_over_and_nothing_else(place: DatabasePlace) -> None:
    with psycopg.connect(place.url.get_secret_value()) as connection:  # type: ignore[union-attr]
        shared_tables.make(connection)
        connection.execute("INSERT INTO answerable_shared.shards VALUES ('', 'o', 'k', 3, 'three')")
    former, leader = Epoch("", 2, "two"), Epoch("", 3, "three")
    left = ["answerable", "answerable$before-rebuild-2026-11-24", "answerable$identity", "answerable_other$rebuild"]
    for name in (*left, "answerable_$rebuild"):
        rows(place, f'CREATE SCHEMA "{name}"')
    rows(place, 'CREATE TABLE "answerable_$rebuild".events (n int)')
    with pytest.raises(Superseded):
        drop_half_made(place, former)
    assert drop_half_made(place, leader)
    assert not drop_half_made(place, leader)
    found = rows(place, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'answerable%' ORDER BY 1")
    assert {name for (name,) in found} == {*left, "answerable_shared"}


async def test_a_pooler_that_drops_the_settings_is_refused_by_every_session(
    place: DatabasePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await Database.open(place)).close()
    whole = server.session
    monkeypatch.setattr(server, "session", lambda *given, **named: whole(*given, **named) | {"options": ""})
    with pytest.raises(DatabaseRefused, match="pooler"), postgresql.connected(place):
        pass
    with pytest.raises(DatabaseRefused, match="pooler"):
        lead.connect(place, "answerable/a/1")
    with pytest.raises(DatabaseRefused, match="pooler"):
        PostgresqlSmallStore.open(place, "answerable$identity", None)
    with pytest.raises(DatabaseRefused, match="pooler"):
        moving.connected(place, "answerable")
    with pytest.raises(DatabaseRefused, match="pooler"), postgresql._migrating(place, None):
        pass
    with pytest.raises(DatabaseRefused, match="pooler"):
        await PostgresExchange(place).eras("example.org/log")
    engine = postgresql.engine_of(place, read_only=True)
    with pytest.raises(DatabaseRefused, match="pooler"):
        await engine.opened()


def test_every_session_is_opened_in_one_place() -> None:
    """So that none lacks the settings, or the look whether they were kept."""
    house = Path(__file__).parents[4]
    opens = re.compile(r"driver\(\)\.connect\(|psycopg\.connect\(|Connection\.connect\(")
    files = [file for folder in ("bot", "storage") for file in (house / folder).rglob("*.py")]
    assert [file.name for file in files if opens.search(file.read_text("utf-8"))] == ["server.py"]
