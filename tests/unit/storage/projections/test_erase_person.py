"""Erasing a person from the tables: generated from the marks of the columns, so that none is forgotten."""

import json
import sqlite3
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, String, Table, Text, insert

from moderation.values.ids import UserId
from storage import queries
from storage import schema as t
from storage.database.database import Database
from storage.database.place import FILE, DatabasePlace
from storage.database.schemas import schemas
from storage.database.sqlite import migrate
from storage.projections.erase_person import erase_from_tables
from tests.postgres.engines import Engine
from tests.theatre.state_tables import StateTables
from tests.unit.storage.older_schema import older_database

ANN, BEN = UserId("@ann:example.org"), UserId("@annie:example.org")
SCHEMA = "0019"  # that knows who named a room and who appealed
WORDS = "unmistakeable-words"
MARKS = {"person", "words", "names", "event", "nothing", "rules", "operators", "soon"}
TEXTS = [c for table in t.metadata.sorted_tables for c in table.c if isinstance(c.type, String | Text)]
BEFORE = next(before for before, schema in pairwise(schemas()) if schema == SCHEMA)


@pytest.mark.parametrize("column", TEXTS, ids=str)
def test_every_column_of_text_says_what_it_holds_of_people(column: Column[Any]) -> None:
    assert column.info.get("holds") in MARKS, f"mark {column} in storage/schema/"
    if of := column.info.get("of"):
        assert column.table.c[of].info.get("holds") == "person", f"{column}: its words must go with a person"


def value_of(column: Column[Any], person: UserId, number: int) -> object:
    """Return a column's value in a row that is only about one person, with their words wherever possible."""
    if isinstance(column.type, Integer):
        return number
    match column.info["holds"]:
        case "person":
            return person
        case "words" | "event":
            return f"{WORDS} {person}"
        case "names":
            return json.dumps({"sender": person, "users": {person: 50, "@cleo:example.org": 100}})
        case _:
            return f"plain-{number}"


async def fill(database: Database, person: UserId, number: int) -> None:
    async with database.write() as db:
        for table in t.metadata.sorted_tables:
            row = {c.name: value_of(c, person, number) for c in table.c}
            await db.execute(insert(table).values(**row))


def everything(path: Path) -> bytes:
    return b"".join(each.read_bytes() for each in sorted(path.glob(f"{FILE}*")))


async def test_nothing_of_the_person_is_left_in_any_byte_and_all_of_others_is(tmp_path: Path) -> None:
    database = await Database.open(DatabasePlace(tmp_path))
    await fill(database, ANN, 1)
    await fill(database, BEN, 2)
    assert everything(tmp_path).count(f"{WORDS} {ANN}".encode()) > 10
    others = [row for row in rows(tmp_path) if BEN in str(row)]
    async with database.write() as db:
        await erase_from_tables(db, {ANN}, ())
    assert await database.clean()
    assert f"{WORDS} {ANN}".encode() not in everything(tmp_path)
    assert ANN.encode() not in everything(tmp_path)
    assert [row for row in rows(tmp_path) if BEN in str(row)] == others
    await database.close()


def rows(path: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path / FILE) as connection:
        return [(table.name, *row) for table in t.metadata.sorted_tables for row in _of(connection, table)]


def _of(connection: sqlite3.Connection, table: Table) -> list[tuple[Any, ...]]:
    return sorted(connection.execute(f'SELECT * FROM "{table.name}"').fetchall(), key=repr)


async def test_rows_of_records_that_must_be_kept_stay(engine: Engine, tmp_path: Path, database: Database) -> None:
    await fill(database, ANN, 1)
    async with database.write() as db:
        await erase_from_tables(db, {ANN}, {1})
    (case,) = StateTables(engine.place(tmp_path)).rows("SELECT * FROM cases")
    assert case.count(ANN) == 5


async def test_doing_it_again_changes_nothing(engine: Engine, tmp_path: Path, database: Database) -> None:
    await fill(database, ANN, 1)
    found = []
    for _ in range(2):
        async with database.write() as db:
            await erase_from_tables(db, {ANN}, ())
        found.append(StateTables(engine.place(tmp_path)).copy())
    assert found[0] == found[1]


async def test_erasing_keeps_a_members_rights(engine: Engine, tmp_path: Path, database: Database) -> None:
    await fill(database, ANN, 1)
    async with database.write() as db:
        await db.execute(t.members.update().values(membership="join", room="plain-1"))
        await db.execute(t.rooms.update().values(room="plain-1"))
        await erase_from_tables(db, {ANN}, ())
    state = StateTables(engine.place(tmp_path))
    ((levels, direct, named),) = state.rows("SELECT levels, direct_with, named_by FROM rooms")
    ((name,),) = state.rows("SELECT display_name FROM members")
    assert json.loads(levels)["users"][ANN] == 50
    assert (direct, named, name) == (ANN, "", "")


async def test_a_log_that_is_being_read_is_emptied_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.database.sqlite_driver.SqliteEngine.patience_ms", 1)
    database = await Database.open(DatabasePlace(tmp_path))
    await fill(database, ANN, 1)
    reader = sqlite3.connect(tmp_path / FILE)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM cases").fetchall()
    async with database.write() as db:
        await erase_from_tables(db, {ANN}, ())
    assert not await database.clean()
    reader.close()
    assert await database.clean()
    await database.close()


# Columns that there were not yet.
NEWER = ("named_by", "community", "introduced", "claimed", "extended", "desk", "begun", "burst", "burst_card")


def test_older_databases_keep_room_names_and_appeals(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with older_database(path, BEFORE) as connection:
        blank = {"rooms": {}, "cases": {"appellant": ""}}
        for table in (t.rooms, t.cases):
            row = {c.name: value_of(c, ANN, 1) for c in table.c if c.name not in NEWER} | blank[table.name]
            columns = ", ".join(f'"{name}"' for name in row)
            marks = ", ".join("?" * len(row))
            connection.exec_driver_sql(f"INSERT INTO {table.name} ({columns}) VALUES ({marks})", tuple(row.values()))
    migrate(path)
    with sqlite3.connect(path) as found:
        assert found.execute("SELECT named_by FROM rooms").fetchall() == [(ANN,)]
        assert found.execute("SELECT appellant FROM cases").fetchall() == [(ANN,)]


async def test_everybody_a_table_names_is_somebody_whose_keys_are_kept(database: Database) -> None:
    named = {UserId(f"@{column}:example.org") for table in t.metadata.sorted_tables for column in people_in(table)}
    async with database.write() as db:
        for table in t.metadata.sorted_tables:
            row = {c.name: value_of(c, UserId(f"@{c}:example.org"), 1) for c in table.c}
            await db.execute(insert(table).values(**row))
    async with database.read() as db:
        assert named - await queries.everybody(db) == set()


def people_in(table: Table) -> list[Column[Any]]:
    return [column for column in table.c if column.info.get("holds") == "person"]
