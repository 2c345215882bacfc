"""The database of the policy server (``policy/policy.sqlite3``): its tables, and opening it.

Rules kept here:
- Only the process of the policy server writes it. The bot reads it.
- A commit is on the disk before it returns (`synchronous = FULL`): what was answered must still be known after a power
  cut, because an answer that changes splits the room.
- Numbers of refusals never come again, not even if the file is lost and made again: they begin at the time (in
  milliseconds) at which it was made. The bot remembers the last number that it recorded.
- A file that a newer version of this program wrote is refused.

Left to others: writing (`store.py`), reading for the bot (`spool.py`).
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from moderation.values.errors import Invalid

FOLDER = "policy"
FILE = "policy.sqlite3"
VERSION = 1
_BUSY_MS = 5_000

_TABLES = """
CREATE TABLE answers (
    event_id TEXT PRIMARY KEY,
    reference_hash TEXT NOT NULL,
    room TEXT NOT NULL,
    accepted INTEGER NOT NULL,
    errcode TEXT NOT NULL DEFAULT '',
    text TEXT NOT NULL DEFAULT '',
    at_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX answers_by_time ON answers (accepted, at_ms);
CREATE TABLE refusals (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    event_id TEXT NOT NULL UNIQUE,
    note TEXT NOT NULL
);
CREATE TABLE rooms (
    room TEXT PRIMARY KEY,
    version TEXT NOT NULL DEFAULT '',
    joined_ms INTEGER NOT NULL DEFAULT 0,
    tried_ms INTEGER NOT NULL DEFAULT 0,
    why TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE keys (
    server TEXT PRIMARY KEY,
    known TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) WITHOUT ROWID;
"""
_WRITING = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
PRAGMA busy_timeout = {_BUSY_MS};
"""
_WAIT_TO_EMPTY_MS = 200  # for readers: writing waits meanwhile
_READING = f"PRAGMA busy_timeout = {_BUSY_MS}; PRAGMA query_only = ON;"


def path_of(data_dir: Path) -> Path:
    """Return the path of the database of a data directory."""
    return data_dir / FOLDER / FILE


def open_to_write(data_dir: Path, now_ms: int) -> sqlite3.Connection:
    """Open the database, and make it if there is none. Raises `Invalid` if a newer version of this program wrote it."""
    path = path_of(data_dir)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.executescript(_WRITING)
        _prepare(connection, path, now_ms)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise Invalid(f"{path} is not a database of the policy server: {error}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, now_ms: int) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise Invalid(f"{path} was written by a newer version of Answerable (schema {version}); update this program")
    if version == VERSION:
        return
    first = f"INSERT INTO sqlite_sequence (name, seq) VALUES ('refusals', {now_ms:d});"  # noqa: S608 - a number
    connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} {first} PRAGMA user_version = {VERSION}; COMMIT;")


def empty_write_ahead_log(data_dir: Path) -> bool:
    """Move all into the database and empty the log beside it, which still holds what was deleted since.

    Return whether it is empty: not while somebody reads. Raises `sqlite3.Error`.
    """
    with closing(sqlite3.connect(path_of(data_dir), isolation_level=None)) as connection:
        connection.execute(f"PRAGMA busy_timeout = {_WAIT_TO_EMPTY_MS}")
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def open_to_read(data_dir: Path) -> sqlite3.Connection | None:
    """Open the database to read it; None if there is none yet, or if it is only just being made."""
    path = path_of(data_dir)
    if not path.exists():
        return None
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, check_same_thread=False)
    try:
        connection.executescript(_READING)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    if version != VERSION:
        connection.close()
        return None
    return connection
