"""The tables on a real PostgreSQL are made or migrated whole or not at all, and what cannot hold them is refused."""

import asyncio
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from moderation.model.actions.rooms import Align
from moderation.values.ids import RoomId
from storage import outbox, schema
from storage.database import postgresql, server, shared_tables
from storage.database import schemas as database_schemas
from storage.database.database import Database, commits_of, is_older, is_there, refuse_other_schema, schema_of
from storage.database.place import DatabasePlace
from storage.database.refusals import DatabaseRefused
from storage.database.schemas import schemas
from tests.unit.storage.database.server_rows import rows


async def test_tables_stand_in_a_schema_of_their_own(place: DatabasePlace, database: Database) -> None:
    own = "schemaname NOT IN ('pg_catalog', 'information_schema')"
    found = rows(place, f"SELECT schemaname, tablename FROM pg_tables WHERE {own}")
    assert set(found) == {("answerable", name) for name in (*schema.metadata.tables, "alembic_version")}
    assert (schema_of(place), is_there(place), is_older(place)) == (schemas()[-1], True, False)
    assert list(place.data_dir.iterdir()) == []


async def test_shards_of_one_database_are_apart(place: DatabasePlace, database: Database) -> None:
    other = DatabasePlace(place.data_dir, place.url, "3")
    assert not is_there(other)
    opened = await Database.open(other)
    async with opened.read() as db:
        assert list((await db.execute(select(schema.meta.c.key))).scalars()) == []
    await opened.close()


async def test_two_starts_at_once_make_the_tables_once(place: DatabasePlace) -> None:
    opened = await asyncio.gather(*(Database.open(place) for _ in range(4)))
    assert rows(place, "SELECT version_num FROM answerable.alembic_version") == [(schemas()[-1],)]
    for each in opened:
        await each.close()


async def test_a_start_that_fails_leaves_nothing(place: DatabasePlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "NOTED", "CREATE NONSENSE")
    with pytest.raises(DBAPIError):
        await Database.open(place)
    assert rows(place, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'answerable%'") == []
    monkeypatch.undo()
    await (await Database.open(place)).close()


async def test_rows_get_new_numbers_although_a_copied_sequence_is_behind(
    place: DatabasePlace, database: Database
) -> None:
    async def queue(database: Database, *causes: int) -> None:
        for cause in causes:
            async with database.write() as db:
                await outbox.put(db, [Align(room=RoomId("!a:x"), routine=True)], cause=cause, now=0)

    await queue(database, 1)
    rows(place, "UPDATE answerable.outbox SET merge = NULL")
    rows(place, "ALTER SEQUENCE answerable.outbox_id_seq RESTART 1")
    again = await Database.open(place)
    await queue(again, 2)
    await again.close()
    assert len(rows(place, "SELECT id FROM answerable.outbox")) == 2


@pytest.mark.parametrize(("number", "key"), [("9999", "newer"), ("0001", "older")])
async def test_another_schema_is_refused_in_one_line(
    place: DatabasePlace, database: Database, number: str, key: str
) -> None:
    rows(place, f"UPDATE answerable.alembic_version SET version_num = '{number}'")
    with pytest.raises(DatabaseRefused) as error:
        await Database.open(place, read_only=True)
    assert error.value.key == f"database.{key}"
    if key == "newer":
        with pytest.raises(DatabaseRefused) as refused:
            await Database.open(place)
        assert refused.value.key == "database.newer"


_MIGRATION = """revision, down_revision = {revision!r}, {before!r}

import sqlalchemy as sa
from alembic import op

def upgrade():
    {what}
"""


_ADDS = 'op.add_column("meta", sa.Column("kind", sa.String(), server_default="old", nullable=False))'


_FAILS = f'{_ADDS}; op.drop_table("nonsense")'


def with_migrations(folder: Path, monkeypatch: pytest.MonkeyPatch, *what: str) -> None:
    """Let there be these migrations alone."""
    monkeypatch.setattr(database_schemas, "_MIGRATIONS", folder)
    (folder / "versions").mkdir(parents=True, exist_ok=True)
    (folder / "env.py").write_text(Path("storage/migrations/env.py").read_text("utf-8"), "utf-8")
    for number, each in enumerate(what, 1):
        before = f"000{number - 1}" if number > 1 else None
        text = _MIGRATION.format(revision=f"000{number}", before=before, what=each)
        (folder / "versions" / f"000{number}_it.py").write_text(text, "utf-8")


async def test_older_tables_are_migrated_with_their_rows_or_not_at_all(
    place: DatabasePlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_migrations(tmp_path / "few", monkeypatch, "pass")
    await (await Database.open(place)).close()
    rows(place, "INSERT INTO answerable.meta VALUES ('k', 'v')")
    with_migrations(tmp_path / "bad", monkeypatch, "pass", _FAILS)
    assert is_older(place)
    with pytest.raises(DBAPIError):
        await Database.open(place)
    assert rows(place, "SELECT * FROM answerable.meta") == [("k", "v")]
    with_migrations(tmp_path / "good", monkeypatch, "pass", _ADDS)
    await (await Database.open(place)).close()
    assert schema_of(place) == "0002"
    assert rows(place, "SELECT * FROM answerable.meta") == [("k", "v", "old")]


async def test_tables_of_somebody_else_are_left_alone(place: DatabasePlace) -> None:
    rows(place, "CREATE SCHEMA answerable")
    rows(place, "CREATE TABLE answerable.rooms (x int)")
    with pytest.raises(DatabaseRefused) as error:
        await Database.open(place)
    assert error.value.key == "database.others"
    assert rows(place, "SELECT tablename FROM pg_tables WHERE schemaname = 'answerable'") == [("rooms",)]


async def test_a_database_without_tables_is_not_read(place: DatabasePlace) -> None:
    for read in (refuse_other_schema, commits_of):
        with pytest.raises(DatabaseRefused) as error:
            read(place)
        assert error.value.key == "database.empty"
    assert not is_there(place)


async def test_an_encoding_that_cannot_hold_every_text_is_refused(place: DatabasePlace, tmp_path: Path) -> None:
    rows(place, "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    assert place.url is not None
    url = place.url.get_secret_value()
    name = url.partition("?")[0].rpartition("/")[2]
    other = DatabasePlace(tmp_path, SecretStr(url.replace(f"/{name}?", "/latin?")))
    try:
        with pytest.raises(DatabaseRefused) as error:
            await Database.open(other)
        assert (error.value.key, error.value.fields["encoding"]) == ("database.encoding", "LATIN1")
    finally:
        rows(place, "DROP DATABASE latin")


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("postgresql://answerable:hush@127.0.0.1:1/answerable", "unreachable"),
        ("postgresql://answerable:hush@no-such-host.invalid/answerable", "unreachable"),
    ],
)
async def test_a_server_that_does_not_answer_is_told_without_its_password(tmp_path: Path, url: str, key: str) -> None:
    with pytest.raises(DatabaseRefused) as error:
        await Database.open(DatabasePlace(tmp_path, SecretStr(url)))
    assert error.value.key == f"database.{key}"
    assert "hush" not in repr(error.value.fields) + repr(error.value.__cause__)


async def test_a_database_that_is_not_there_is_told(place: DatabasePlace, tmp_path: Path) -> None:
    assert place.url is not None
    url = place.url.get_secret_value()
    name = url.partition("?")[0].rpartition("/")[2]
    with pytest.raises(DatabaseRefused) as error:
        await Database.open(DatabasePlace(tmp_path, SecretStr(url.replace(f"/{name}?", "/nowhere?"))))
    assert error.value.key == "database.none"


async def test_without_the_driver_it_says_how_to_install_it(
    place: DatabasePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DatabaseRefused) as error:
        server.driver()
    assert error.value.key == "database.no_driver"


async def test_large_tables_are_vacuumed_soon_unless_somebody_decided_otherwise(place: DatabasePlace) -> None:
    await (await Database.open(place)).close()
    set_here = "SELECT relname FROM pg_class WHERE array_to_string(reloptions, ',') ~ 'vacuum_scale_factor=0.02'"
    assert {name for (name,) in rows(place, set_here)} == {"events", "old_events"}
    rows(place, "ALTER TABLE answerable.events RESET (autovacuum_vacuum_scale_factor)")
    rows(place, "ALTER TABLE answerable.old_events RESET (autovacuum_vacuum_scale_factor)")
    rows(place, "ALTER TABLE answerable.old_events RESET (autovacuum_vacuum_insert_scale_factor)")
    await (await Database.open(place)).close()
    assert {name for (name,) in rows(place, set_here)} == {"old_events"}
    with postgresql.changing(place, None) as connection:
        shared_tables.make(connection)
    assert {name for (name,) in rows(place, set_here)} == {"old_events", "log"}
