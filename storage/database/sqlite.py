"""The state database as a file of SQLite, migrated by Alembic.

Rules kept here:
- A new database is made as `storage/schema/` describes it, whole or not at all. One of an older version is migrated.
- A commit is not fsynced (`synchronous = NORMAL`): after a power cut SQLite may have lost the last transactions, never
  its consistency, and the journal, which *is* fsynced, brings the database up to date again.
- A file on a read-only disk can be read.

Left to others: statements (`sqlite_driver.py`), transactions (`database.py`), schemas (`schemas.py`).
"""

import os
import sqlite3
from contextlib import closing, suppress
from functools import cache, partial
from operator import attrgetter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import create_engine
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement

from moderation.values.errors import Invalid
from storage.schema import metadata

from .schemas import NOTED, alembic_config, schemas
from .sqlite_driver import BUSY_MS, SqliteEngine, new_engine

_CHECKPOINT_PAGES = 4_000  # of the WAL: rows written often are copied into the database only once
_WRITING = f"""
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA foreign_keys = ON;
    PRAGMA secure_delete = ON; -- erased data is overwritten, not only marked as free
    PRAGMA busy_timeout = {BUSY_MS};
    PRAGMA temp_store = MEMORY;
    PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES};
"""
_SHRINKING = "PRAGMA auto_vacuum = INCREMENTAL"  # for a new file, or before VACUUM
_READING = f"PRAGMA busy_timeout = {BUSY_MS}; PRAGMA query_only = ON"


def engine_of(path: Path, *, read_only: bool) -> SqliteEngine:
    """Return the engine of a file, which is there; nothing is opened yet."""
    address = f"{_address(path)}&uri=true" if read_only else path
    factory = partial(_connected, _READING if read_only else _WRITING)
    return new_engine(f"{address}", hide_parameters=True, connect_args={"factory": factory})


def migrate(path: Path) -> None:
    """Bring the file to the newest schema. Raises `Invalid` if it is newer than this program, or too old to migrate."""
    if path.exists():
        refuse_other_schema(path, only_newer=True)
    else:
        path.touch(mode=0o600)
    schema = schema_of(path)
    if schema is None:
        _create(path)
    elif schema < schemas()[0]:
        raise Invalid(f"{path} is too old to be migrated; make a new one with `answerable logs rebuild-db`")
    elif schema != schemas()[-1]:
        _upgrade(path)


def _create(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=BUSY_MS / 1000)) as connection:
        connection.executescript(f"{_SHRINKING}; BEGIN IMMEDIATE; {tables_sql()};")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (schemas()[-1],))
        connection.commit()


@cache
def tables_sql() -> str:
    """Return the SQL that makes all tables, and the one in which Alembic notes the schema."""
    dialect, tables = sqlite.dialect(), metadata.sorted_tables
    indexes = sorted((index for table in tables for index in table.indexes), key=attrgetter("name"))
    made: tuple[DDLElement, ...] = (*map(CreateTable, tables), *map(CreateIndex, indexes))
    return "; ".join([*(str(each.compile(dialect=dialect)) for each in made), NOTED])


def _upgrade(path: Path) -> None:
    from alembic import command

    config = alembic_config()
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, schemas()[-1])
    finally:
        engine.dispose()
    with closing(sqlite3.connect(path)) as connection, suppress(sqlite3.OperationalError):  # no room for a copy
        connection.execute(_SHRINKING)
        connection.execute("VACUUM")  # removes rows deleted before SQLite overwrote deleted data


def refuse_other_schema(path: Path, *, only_newer: bool = False) -> None:
    """Raise `Invalid` if this program cannot use the file's schema."""
    current = schema_of(path)
    if current is not None and current > schemas()[-1]:
        raise Invalid(f"{path} was written by a newer version of Answerable (schema {current}); update this program")
    if not only_newer and current != schemas()[-1]:
        raise Invalid(f"{path} has an older schema; start the bot once with `answerable run` to migrate it")


def schema_of(path: Path) -> str | None:
    """Return the schema of a database, as Alembic notes it; None if it has none yet.

    Raises `Invalid` if it is no database.
    """
    try:
        with closing(sqlite3.connect(_address(path), timeout=BUSY_MS / 1000, uri=True)) as connection:
            there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if there else None
    except sqlite3.Error as error:
        raise Invalid(f"{path} is not a database of Answerable: {error}") from error
    return str(row[0]) if row else None


def _address(path: Path) -> str:
    """Return the address to open a database for reading; on a read-only disk, as one that nobody changes.

    SQLite needs to write next to a database even to read it, but the file next to it (``-wal``) has its newest part.
    """
    return f"file:{quote(str(path))}?{'mode=ro&immutable=1' if _is_still(path) else 'mode=rwc'}"


def _is_still(path: Path) -> bool:
    """Tell whether a database that we cannot write to is open nowhere: then its one file has its whole content."""
    newest, shared = (path.with_name(f"{path.name}-{part}") for part in ("wal", "shm"))
    is_writable = not path.exists() or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
    is_open = shared.exists() or (newest.exists() and newest.stat().st_size > 0)
    return not is_writable and not is_open


def state_of_file(path: Path) -> tuple[int, ...]:
    """Return a value that changes when readers have to open the file again.

    That is so if another file has replaced it, or if it was opened as one that nobody writes to, and was written to.
    """
    try:
        found, is_still = path.stat(), _is_still(path)
    except OSError:
        return ()
    return (found.st_ino, found.st_mtime_ns, found.st_size) if is_still else (found.st_ino,)


def commits_of(path: Path) -> object:
    """Return what changes with each commit to a file. Raises `OSError` if there is none."""
    if not path.exists():
        raise FileNotFoundError(f"there are no tables in {path.parent}: has the bot run?")
    found = [each.stat() for each in (path, path.with_name(f"{path.name}-wal")) if each.exists()]
    return [(each.st_ino, each.st_size, each.st_mtime_ns) for each in found]


def _connected(settings: str, *args: Any, **more: Any) -> sqlite3.Connection:
    """Return a connection with these settings, made in its own thread without handing each over to it."""
    connection = sqlite3.Connection(*args, **more)
    connection.executescript(settings)
    return connection
