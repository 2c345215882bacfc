"""Rows of the tables by plain SQL, for a thread or a command, on either engine, without the bot's own connections.

Rules kept here:
- It only reads, and locks nothing.
- A statement is written once: its values are marked with ``?``, and names that are words of SQL, as ``"user"``, are
  quoted.
- What the engine raises becomes `OSError` or `DatabaseRefused`.

Left to others: what is asked (`storage/queries/tables_sample.py`, `bot/cli/logs/`).
"""

import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

from .place import DatabasePlace
from .postgresql import connected
from .server import driver

if TYPE_CHECKING:
    from psycopg import Connection as PsycopgConnection

_PATIENCE_S = 30


class PlainTables(ABC):
    """The tables of one database."""

    moment_sql: str  # begins a transaction that sees one state

    @abstractmethod
    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Return the rows that a statement finds, by their columns' names."""

    @abstractmethod
    def tuples(self, sql: str, *values: object) -> list[Any]:
        """Return the rows that a statement finds."""

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Let all statements in this block see one state."""
        self.tuples(self.moment_sql)
        try:
            yield
        finally:
            self.tuples("COMMIT")


class _OfSqlite(PlainTables):
    moment_sql = "BEGIN"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        cursor = self._connection.execute(sql, values)
        return [dict(zip((each[0] for each in cursor.description), row, strict=True)) for row in cursor]

    def tuples(self, sql: str, *values: object) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()


class _OfPostgresql(PlainTables):
    moment_sql = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    def __init__(self, connection: "PsycopgConnection[Any]") -> None:
        self._connection = connection

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        cursor = driver().RawCursor(self._connection).execute(_numbered(sql), values)
        return [dict(zip((each.name for each in cursor.description), row, strict=True)) for row in cursor]

    def tuples(self, sql: str, *values: object) -> list[Any]:
        cursor = driver().RawCursor(self._connection).execute(_numbered(sql), values)
        found: list[Any] = cursor.fetchall() if cursor.description else []
        return found


@cache
def _numbered(sql: str) -> str:
    numbers = count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", sql)


@contextmanager
def reading(place: DatabasePlace) -> Iterator[PlainTables]:
    """Yield the tables of a database that is there. Raises `OSError` or `DatabaseRefused` if it cannot be read."""
    if place.url is not None:
        with connected(place) as connection:
            yield _OfPostgresql(connection)
        return
    try:
        address = f"{place.file.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE_S)) as opened:
            yield _OfSqlite(opened)
    except sqlite3.Error as error:
        raise OSError(str(error)) from error
