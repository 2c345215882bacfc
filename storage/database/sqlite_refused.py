"""A connection to SQLite that raises failures of the disk as `OSError`, as files do.

Rules kept here:
- A full disk, a file that cannot be read or written, a damaged file and a lock held by another process are failures of
  the disk.
- Any other error of SQLite is a defect of ours, and is raised unchanged.

Left to others: what is done when the disk fails (`bot/cli/terminal/disk_errors.py`), tables (`sqlite_driver.py`).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def as_disk_failure() -> Iterator[None]:
    """Raise errors of SQLite about the disk as `OSError`."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if type(error) not in (sqlite3.OperationalError, sqlite3.DatabaseError):
            raise
        raise OSError(str(error)) from error


class RefusingConnection(sqlite3.Connection):
    """A connection that raises failures of the disk as `OSError`. Make it with `connect`."""

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        """Execute one statement."""
        with as_disk_failure():
            return super().execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        """Execute one statement for many rows."""
        with as_disk_failure():
            return super().executemany(*arguments)

    def executescript(self, script: str) -> sqlite3.Cursor:
        """Execute several statements."""
        with as_disk_failure():
            return super().executescript(script)

    def commit(self) -> None:
        """End the transaction."""
        with as_disk_failure():
            super().commit()

    def __exit__(self, *what: Any) -> Any:
        with as_disk_failure():
            return super().__exit__(*what)


def connect(database: Path | str, **options: Any) -> RefusingConnection:
    """Open a database. Raises `OSError` if it cannot be opened."""
    with as_disk_failure():
        return sqlite3.connect(database, factory=RefusingConnection, **options)
