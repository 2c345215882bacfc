"""Copies of tables between SQLite and PostgreSQL: every value, in order, or none."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moderation.values.errors import Broken
from storage.moving.copying import Counter, copy_tables
from storage.moving.file_tables import PORTION, FileTables
from storage.moving.fingerprint import Fingerprint, Row, RowDigest
from storage.moving.server_tables import ServerTables, storable
from storage.moving.shapes import TableShape, state_shapes
from storage.schema import metadata
from tests.examples import tried

THINGS = TableShape(
    "things", ("name", "user", "size", "data"), ("TEXT", "INTEGER", "INTEGER", "BLOB"), ("name", "user")
)
QUEUE = TableShape("queue", ("id", "what"), ("INTEGER", "TEXT"), ("id",), "id")
SHAPES = (THINGS, QUEUE)
ROWS: list[Row] = [
    ("", -(2**63), None, b""),
    ("a", 1, 2**63 - 1, b"\0\xff"),
    ("a", 2, 0, b"x" * 10_000),
    ("B", 1, 0, b""),
    ("\N{SMILING FACE WITH SMILING EYES}\u4e2d\u6587", 1, 0, b""),
    ("tab\tnew\nline\\N", 1, 0, b""),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Provide a file with empty tables."""
    path = tmp_path / "file.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            'CREATE TABLE things (name TEXT, "user" INTEGER, size INTEGER, data BLOB, PRIMARY KEY (name, "user"));'
            "CREATE TABLE queue (id INTEGER PRIMARY KEY, what TEXT)"
        )
    return path


@pytest.fixture
def server(postgres_url: str) -> Iterator["psycopg.Connection[Any]"]:
    """Provide a database with the same tables in a schema."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            'CREATE SCHEMA "a$b"; CREATE TABLE "a$b".things (name text COLLATE "C", "user" bigint, size bigint,'
            ' data bytea, PRIMARY KEY (name, "user")); CREATE TABLE "a$b".queue (id bigserial PRIMARY KEY, what text)'
        )
        yield connection


def fill(file: Path, rows: list[Row], queue: list[Row] | None = None) -> None:
    tables = FileTables.to_fill(file)
    tables.put(THINGS, [rows])
    tables.put(QUEUE, [queue or []])
    tables.commit()
    tables.close()


def rows_in(file: Path, shape: TableShape = THINGS) -> list[Row]:
    with closing(FileTables.to_read(file)) as tables:
        return [row for portion in tables.portions(shape) for row in portion]


def to_server(file: Path, server: "psycopg.Connection[Any]") -> dict[str, Fingerprint]:
    with closing(FileTables.to_read(file)) as source, server.transaction():
        target = ServerTables(server, "a$b")
        for shape in SHAPES:
            target.clear(shape)
        return copy_tables(source, target, SHAPES, Counter(0, lambda *_: None))


def to_file(server: "psycopg.Connection[Any]", file: Path) -> dict[str, Fingerprint]:
    target = FileTables.to_fill(file)
    with closing(target), server.transaction():
        found = copy_tables(ServerTables(server, "a$b"), target, SHAPES, Counter(0, lambda *_: None))
        target.commit()
    return found


def test_every_value_goes_there_and_back(file: Path, server: Any, new_file: Callable[[], Path]) -> None:
    fill(file, ROWS, [(7, "first"), (9, "second")])
    there = to_server(file, server)
    assert {name: found.rows for name, found in there.items()} == {"things": len(ROWS), "queue": 2}
    back = new_file()
    assert to_file(server, back) == there
    assert rows_in(back) == rows_in(file) == sorted(ROWS, key=lambda row: (row[0].encode(), row[1]))
    assert rows_in(back, QUEUE) == [(7, "first"), (9, "second")]


@pytest.fixture
def new_file(file: Path, tmp_path: Path) -> Callable[[], Path]:
    empty = file.read_bytes()
    numbers = iter(range(1_000))

    def make() -> Path:
        path = tmp_path / f"other-{next(numbers)}.sqlite3"
        path.write_bytes(empty)
        return path

    return make


NUMBERS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
ANY_ROWS = st.lists(
    st.tuples(TEXTS, NUMBERS, st.none() | NUMBERS, st.binary(max_size=5)), max_size=20, unique_by=lambda row: row[:2]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=tried(40), deadline=None)
@given(ANY_ROWS)
def test_the_order_of_both_engines_is_one(
    file: Path, server: Any, new_file: Callable[[], Path], rows: list[Row]
) -> None:
    source, back = new_file(), new_file()
    fill(source, rows)
    assert to_server(source, server) == to_file(server, back)
    assert rows_in(back) == rows_in(source)


def test_many_rows_go_in_portions(file: Path, server: Any) -> None:
    fill(file, [(f"{n:06}", n, n, b"") for n in range(2 * PORTION + 1)])
    done: list[int] = []
    with closing(FileTables.to_read(file)) as source, server.transaction():
        counter = Counter(source.count(THINGS), lambda *so_far: done.append(so_far[0]))
        copy_tables(source, ServerTables(server, "a$b"), [THINGS], counter)
    assert done == [PORTION, 2 * PORTION, 2 * PORTION + 1]


def test_a_counter_goes_on_after_the_last_row(file: Path, server: Any) -> None:
    insert = "INSERT INTO \"a$b\".queue (what) VALUES ('next') RETURNING id"
    to_server(file, server)
    assert server.execute(insert).fetchone() == (1,)
    fill(file, [], [(41, "x")])
    to_server(file, server)
    assert server.execute(insert).fetchone() == (42,)


def test_a_text_that_postgresql_cannot_hold_is_kept_readable(file: Path, server: Any) -> None:
    fill(file, [("a\0b", 1, 1, b"\0")])
    to_server(file, server)
    assert server.execute('SELECT name, data FROM "a$b".things').fetchall() == [("a\ufffdb", b"\0")]
    assert storable(("a", None, b"\0")) == ("a", None, b"\0")


@pytest.mark.parametrize("row", [("a", "no number", 1, b""), ("a", 1, 1.5, b""), ("a", 1, 1, "no bytes")])
def test_a_value_of_another_kind_ends_the_copy(file: Path, server: Any, row: Row) -> None:
    fill(file, [row])
    with pytest.raises(Broken, match="things has a"):
        to_server(file, server)
    assert server.execute('SELECT count(*) FROM "a$b".things').fetchone() == (0,)


def test_a_copy_that_differs_does_not_count(file: Path, server: Any) -> None:
    fill(file, ROWS)
    server.execute(
        "CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.size = 5; RETURN NEW; END $$;"
        'CREATE TRIGGER other BEFORE INSERT ON "a$b".things FOR EACH ROW EXECUTE FUNCTION other()'
    )
    with pytest.raises(Broken, match="the copy of the table things"):
        to_server(file, server)
    assert server.execute('SELECT count(*) FROM "a$b".things').fetchone() == (0,)


def test_digests_tell_kinds_and_borders_apart() -> None:
    variants: list[list[Row]] = [
        [("1", 1)],
        [("11", None)],
        [(1, "1")],
        [("1", 1), ()],
        [("1",), (1,)],
        [(b"1", 1)],
        [],
    ]
    digests = set()
    for rows in variants:
        reading = RowDigest()
        reading.add(rows)
        digests.add(reading.fingerprint.digest)
    assert len(digests) == len(variants)


def test_every_state_table_can_be_copied() -> None:
    shapes = {shape.name: shape for shape in state_shapes()}
    assert shapes.keys() == metadata.tables.keys()
    assert all(shape.key and len(shape.columns) == len(shape.kinds) for shape in shapes.values())
    assert [name for name, shape in sorted(shapes.items()) if shape.counter] == ["challenge_attempts", "outbox"]
