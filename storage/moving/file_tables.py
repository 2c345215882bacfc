"""Rows in a file of SQLite, to be copied or to be made.

Rules kept here:
- All that is read is of one moment.
- All rows are written in one transaction, which the caller ends.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from storage.database.small_tables import quoted

from .fingerprint import Row
from .shapes import TableShape

PORTION = 1_000  # rows in memory at once


class FileTables:
    """The tables of one file. Make it with `to_read` or `to_fill`."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute("BEGIN")

    @classmethod
    def to_read(cls, path: Path) -> "FileTables":
        """Open a file that is there, as it is now."""
        return cls(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30, isolation_level=None))

    @classmethod
    def to_fill(cls, path: Path) -> "FileTables":
        """Open a file whose tables are there and empty."""
        return cls(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None))

    def has(self, shape: TableShape) -> bool:
        """Tell whether there is this table."""
        query = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
        return self._database.execute(query, (shape.name,)).fetchone() is not None

    def count(self, shape: TableShape) -> int:
        """Return the number of rows."""
        return int(self._database.execute(f'SELECT count(*) FROM "{shape.name}"').fetchone()[0])  # noqa: S608

    def portions(self, shape: TableShape) -> Iterator[list[Row]]:
        """Yield all rows in the order of their key."""
        sql = f'SELECT {quoted(shape.columns)} FROM "{shape.name}" ORDER BY {quoted(shape.key)}'  # noqa: S608
        cursor = self._database.execute(sql)
        while rows := cursor.fetchmany(PORTION):
            yield rows

    def put(self, shape: TableShape, portions: Iterable[list[Row]]) -> None:
        """Add rows."""
        marks = ", ".join("?" * len(shape.columns))
        sql = f'INSERT INTO "{shape.name}" ({quoted(shape.columns)}) VALUES ({marks})'  # noqa: S608
        for rows in portions:
            self._database.executemany(sql, rows)

    def version(self) -> int:
        """Return the version of the tables that their owner noted."""
        return int(self._database.execute("PRAGMA user_version").fetchone()[0])

    def commit(self) -> None:
        """Keep what was written."""
        self._database.execute("COMMIT")

    def close(self) -> None:
        """Close the file; what was not committed is gone."""
        self._database.close()
