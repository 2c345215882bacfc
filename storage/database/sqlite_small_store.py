"""A small store in a file of SQLite.

Rules kept here:
- The file is for its owner only, and its name is durable before anything is written.
- A transaction is on the disk when it ends (`synchronous = FULL`), and what is deleted is overwritten.

Left to others: what each method is for (`small_store.py`).
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import sqlite_refused
from .small_tables import Column, SmallTable, quoted

_MODE, _FOLDER_MODE = 0o600, 0o750
_OPTIONS: dict[str, Any] = {"isolation_level": None, "timeout": 10, "check_same_thread": False}


class SqliteSmallStore:
    """A store in one file, or in memory. Make it with `open`."""

    def __init__(self, database: sqlite3.Connection) -> None:
        """Use a connection that begins no transaction by itself (`isolation_level=None`)."""
        self._database = database

    @classmethod
    def open(cls, path: Path, *, wal: bool) -> "SqliteSmallStore":
        """Open the file, or create it. `wal`: write ahead, so that a change costs one flush. Raises `OSError`."""
        if not path.exists():
            _create(path)
        database = sqlite_refused.connect(path, **_OPTIONS)
        try:
            if wal:
                database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")  # a ratchet that was set back could be used twice
            database.execute("PRAGMA secure_delete = ON")
        except BaseException:
            database.close()
            raise
        return cls(database)

    @classmethod
    def open_to_read(cls, path: Path) -> "SqliteSmallStore":
        """Open an existing file read-only. Raises `OSError`."""
        address = f"{path.absolute().as_uri()}?mode=ro"
        return cls(sqlite_refused.connect(address, uri=True, **_OPTIONS))

    def execute(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Execute one statement."""
        return self._database.execute(sql, values)

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute one statement for each row."""
        self._database.executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make changes in this block."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def create(self, tables: Iterable[SmallTable]) -> None:
        """Create those of the tables that are missing."""
        for table in tables:
            columns = ", ".join([*map(_column, table.columns), f"PRIMARY KEY ({quoted(table.key)})"])
            kind = "STRICT" if table.is_numbered else "WITHOUT ROWID, STRICT"
            self._database.execute(f'CREATE TABLE IF NOT EXISTS "{table.name}" ({columns}) {kind}')
            for index in table.indexes:
                self._database.execute(index.create(table))

    def has(self, table: SmallTable) -> bool:
        """Tell whether this table exists."""
        query = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
        return self._database.execute(query, (table.name,)).fetchone() is not None

    @property
    def version(self) -> int:
        """The version of the tables."""
        return int(self._database.execute("PRAGMA user_version").fetchone()[0])

    def set_version(self, version: int) -> None:
        """Note the version of the tables."""
        self._database.execute(f"PRAGMA user_version = {version:d}")

    def server(self) -> None:
        """Return None: a file has no server."""

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _column(column: Column) -> str:
    return f'"{column.name}" {column.kind} {column.more}'.rstrip()


def _create(path: Path) -> None:
    for folder in reversed([each for each in path.parents if not each.is_dir()]):
        folder.mkdir(_FOLDER_MODE, exist_ok=True)
        _sync(folder.parent)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, _MODE))  # SQLite treats an empty file as an empty database
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
