"""The state tables of a deployment as a test reads and changes them, on either database.

A test's own SQL is SQLite's: from PostgreSQL the tables that it names are copied first, if anything was written since
they were copied last: who waits for something looks a hundred times a second. Changes are plain SQL that both
understand.
"""

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from sqlalchemy import Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from storage.database.place import DatabasePlace
from storage.schema import metadata

Rows = list[tuple[Any, ...]]
Copy = Mapping[str, Rows]  # by table
_WORD = re.compile(r"\w+")
_VERSION = "alembic_version"
_MOMENT = "SELECT pg_current_snapshot()::text"  # the same as long as nothing is committed


class NotMade(Exception):
    """The tables are not made yet."""


class StateTables:
    """The tables of one deployment. What is read is the state last committed."""

    def __init__(self, place: DatabasePlace) -> None:
        """Look at the tables there; nothing is opened yet."""
        self._place = place
        self._reader: Any = None
        self._copy: sqlite3.Connection | None = None  # of PostgreSQL's tables, as they were at `_moment`
        self._moment = ""
        self._copied: set[str] = set()

    def close(self) -> None:
        """Close the connection that is kept for reading."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._copy is not None:
            self._copy.close()
            self._copy = None

    def rows(self, sql: str, *values: object, keep: bool = False) -> Rows:
        """Return the rows of a query; `keep` the connection for the next one. Raises `NotMade`."""
        try:
            if self._place.url is None:
                return self._of_file(sql, values)
            return self._copy_of(sorted(_named_in(sql))).execute(sql, values).fetchall()
        finally:
            if not keep:
                self.close()

    def change(self, sql: str, *values: object) -> int:
        """Change rows, as somebody does who is not the bot; how many."""
        if self._place.url is None:
            with closing(sqlite3.connect(self._place.file, timeout=60)) as database, database:
                return database.execute(sql, values).rowcount
        with self._session() as session:
            session.execute("SET session_replication_role = replica")  # as SQLite: no foreign key holds it back
            return session.execute(sql.replace("%", "%%").replace("?", "%s").encode(), values).rowcount

    def copy(self) -> Copy:
        """Return all rows of all tables."""
        if self._place.url is not None:
            try:
                return _whole(self._copy_of(list(metadata.tables)))
            finally:
                self.close()
        with closing(sqlite3.connect(self._place.file, timeout=60)) as database:
            return _whole(database)

    def put_back(self, copy: Copy) -> None:
        """Make all tables as they were; the bot is stopped."""
        if self._place.url is None:
            with closing(sqlite3.connect(self._place.file, timeout=60)) as database, database:
                for name, rows in copy.items():
                    database.execute(f'DELETE FROM "{name}"')
                    database.executemany(_insert(name, "?"), rows)
            return
        with self._session() as session, session.transaction():
            session.execute(("TRUNCATE " + ", ".join(f'"{name}"' for name in copy)).encode())
            for table in metadata.sorted_tables:
                if rows := copy[table.name]:
                    session.cursor().executemany(_insert(table.name, "%s").encode(), rows)

    def lose(self) -> None:
        """Lose all tables; the bot is stopped."""
        if self._place.url is None:
            for file in self._place.data_dir.glob(f"{self._place.file.name}*"):
                file.unlink()
            return
        with self._session() as session:
            names = ", ".join(f'"{name}"' for name in (*metadata.tables, _VERSION))
            session.execute(f"DROP TABLE {names} CASCADE".encode())

    def damage(self) -> None:
        """Make the tables unreadable."""
        if self._place.url is None:
            self._place.file.rename(self._place.file.with_name("away"))  # open files go on
            self._place.file.write_bytes(b"no tables" * 1_000)
            return
        with self._session() as session:
            for name in metadata.tables:
                session.execute(f'ALTER TABLE "{name}" RENAME TO "no_{name}"'.encode())

    @contextmanager
    def away(self) -> Iterator[None]:
        """Take all tables away inside this block."""
        other = "answerable_away"
        if self._place.url is None:
            file = self._place.file.rename(self._place.file.with_name(other))
            yield
            file.rename(self._place.file)
            return
        with self._session() as session:
            session.execute(f'ALTER SCHEMA "{self._place.schema}" RENAME TO "{other}"'.encode())
            yield
            session.execute(f'ALTER SCHEMA "{other}" RENAME TO "{self._place.schema}"'.encode())

    def _of_file(self, sql: str, values: Sequence[object]) -> Rows:
        try:
            if self._reader is None:
                self._reader = sqlite3.connect(f"file:{self._place.file}?mode=ro", uri=True, timeout=60)
            found: Rows = self._reader.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            raise NotMade(str(error)) from error
        return found

    def _copy_of(self, names: Sequence[str]) -> sqlite3.Connection:
        """Return a copy in memory that has at least these tables, all of one moment."""
        try:
            if self._reader is None:
                self._reader = self._connected()
            if self._copy is None or self._reader.execute(_MOMENT).fetchone()[0] != self._moment:
                self._begin_copy()
            if missing := [name for name in names if name not in self._copied]:
                self._fill(missing)
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.OperationalError) as error:
            self.close()
            raise NotMade(str(error)) from error
        assert self._copy is not None
        return self._copy

    def _begin_copy(self) -> None:
        if self._copy is not None:
            self._copy.close()
        self._copy, self._moment, self._copied = sqlite3.connect(":memory:"), "", set()

    def _fill(self, names: Sequence[str]) -> None:
        """Copy some tables, and those that were copied before if anything was written since."""
        with self._reader.transaction():
            self._reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            moment = self._reader.execute(_MOMENT).fetchone()[0]
            wanted = names
            if moment != self._moment:
                wanted = sorted({*names, *self._copied})
                self._begin_copy()
                self._moment = moment
            assert self._copy is not None
            for name in wanted:
                rows = self._reader.execute(_all_of(name).encode()).fetchall()
                self._copy.execute(_made(name))
                self._copy.executemany(_insert(name, "?"), rows)
                self._copied.add(name)

    @contextmanager
    def _session(self) -> "Iterator[psycopg.Connection[Any]]":
        with self._connected() as session:
            yield session

    def _connected(self) -> "psycopg.Connection[Any]":
        assert self._place.url is not None
        path = f"-c search_path={self._place.schema}"
        return psycopg.connect(self._place.url.get_secret_value(), autocommit=True, row_factory=tuple_row, options=path)


@cache
def _made(table: str) -> str:
    """Return the statement that makes a table in SQLite."""
    return str(CreateTable(metadata.tables[table]).compile(dialect=sqlite.dialect()))


@cache
def _all_of(table: str) -> str:
    """Return the query of a whole table, in the order of its records if they are named, as SQLite mostly has it."""
    names = [column.name for column in metadata.tables[table].c]
    columns = ", ".join(f'"{name}"' for name in names)
    return f'SELECT {columns} FROM "{table}"' + (" ORDER BY record" if "record" in names else "")


def _named_in(sql: str) -> set[str]:
    return set(_WORD.findall(sql)) & metadata.tables.keys()


def _insert(table: str, mark: str) -> str:
    names = [f'"{column.name}"' for column in metadata.tables[table].c]
    return f'INSERT INTO "{table}" ({", ".join(names)}) VALUES ({", ".join([mark] * len(names))})'


def _whole(database: sqlite3.Connection) -> Copy:
    def rows(table: Table) -> Rows:
        columns = ", ".join(f'"{column.name}"' for column in table.c)
        return database.execute(f'SELECT {columns} FROM "{table.name}"').fetchall()

    return {name: rows(table) for name, table in metadata.tables.items()}
