"""The state database: SQLite through SQLAlchemy Core and aiosqlite (`sqlite_driver.py`), migrated by Alembic.

Rules kept here:
- A new database is made as `schema.py` describes it, whole or not at all. One of an older version is migrated.
- One writer, one transaction at a time; readers never wait for it (WAL).
- A commit is not fsynced (`synchronous = NORMAL`): after a power cut SQLite may have lost the last transactions, never
  its consistency, and the journal, which *is* fsynced, brings the database up to date again.

Left to others: what is written (`storage/projections/`), and the queries (`storage/queries/`).
"""

import ast
import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from functools import cache, partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import create_engine
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement

from moderation.values.errors import Broken, Invalid

from .schema import metadata
from .sqlite_driver import Connection, Engine, new_engine

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

FILE = "state.sqlite3"
_MIGRATIONS = Path(__file__).parent / "migrations"
_NOTED = (  # where Alembic notes the schema
    "CREATE TABLE alembic_version"
    " (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)
_BUSY_MS = 5_000
_CHECKPOINT_PAGES = 4_000  # of the WAL: rows written often are copied into the database only once
_WRITING = f"""
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA foreign_keys = ON;
    PRAGMA secure_delete = ON; -- erased data is overwritten, not only marked as free
    PRAGMA busy_timeout = {_BUSY_MS};
    PRAGMA temp_store = MEMORY;
    PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES};
"""
_READING = f"PRAGMA busy_timeout = {_BUSY_MS}; PRAGMA query_only = ON"


class Database:
    """The state database of one data directory. Make it with `Database.open`."""

    def __init__(self, engine: Engine, writer: Connection | None) -> None:
        self._engine = engine
        self._writer = writer
        self._idle: list[Connection] = []  # for reading; to take one from the engine costs as much as a statement
        self._is_closed = False
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, data_dir: Path, *, read_only: bool = False) -> "Database":
        """Open the database; unless `read_only`, create or migrate it first.

        Raises `Invalid` if there is none to read, or if a newer version of this program wrote it.
        """
        path = data_dir / FILE
        if read_only:
            if not path.exists():
                raise Invalid(f"no database at {path}: has the bot run with this data directory?")
            await asyncio.to_thread(refuse_other_schema, path)
        else:
            await asyncio.to_thread(migrate, path)
        address = f"{_address(path)}&uri=true" if read_only else path
        factory = partial(_connected, _READING if read_only else _WRITING)
        engine = new_engine(f"{address}", hide_parameters=True, connect_args={"factory": factory})
        writer = None if read_only else await engine.opened()
        return cls(engine, writer)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Yield the connection in the one writing transaction: committed at the end, rolled back on any error."""
        if self._writer is None:
            raise Broken("this database was opened for reading only")
        async with self._turn:
            try:
                yield self._writer
                await self._writer.commit()
            except BaseException:
                await self._writer.rollback()
                raise

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection that sees the last committed state."""
        connection = self._idle.pop() if self._idle else await self._engine.opened()
        try:
            yield connection
        finally:
            if connection.is_idle() and not self._is_closed:
                self._idle.append(connection)
            else:
                await connection.close()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection on which all statements see one state, whatever is committed meanwhile."""
        async with self.read() as connection:
            await connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                await connection.exec_driver_sql("ROLLBACK")

    async def clean(self, *, patience_ms: int = _BUSY_MS) -> bool:
        """Empty the WAL, which may still contain what was erased or deleted.

        Returns False if a reader has kept it from being emptied for so long. Uses a connection of its own: one whose
        statement is cancelled is thrown away.
        """
        if self._writer is None:
            raise Broken("this database was opened for reading only")
        async with self._turn, self.read() as db:
            await db.exec_driver_sql(f"PRAGMA busy_timeout = {patience_ms}")
            row = (await db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")).one()
            await db.exec_driver_sql(f"PRAGMA busy_timeout = {_BUSY_MS}")
        return bool(row[0] == 0)

    async def close(self) -> None:
        """Close all connections; those that are still read from when that ends."""
        self._is_closed = True
        for connection in (*self._idle, *([self._writer] if self._writer else [])):
            await connection.close()
        await self._engine.dispose()


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


def is_older(path: Path) -> bool:
    """Tell whether opening the file migrates it."""
    return path.exists() and schema_of(path) not in (None, schemas()[-1])


def _create(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=_BUSY_MS / 1000)) as connection:
        connection.executescript(f"BEGIN IMMEDIATE; {tables_sql()};")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (schemas()[-1],))
        connection.commit()


@cache
def tables_sql() -> str:
    """Return the SQL that makes all tables, and the one in which Alembic notes the schema."""
    dialect, tables = sqlite.dialect(), metadata.sorted_tables
    indexes = sorted((index for table in tables for index in table.indexes), key=attrgetter("name"))
    made: tuple[DDLElement, ...] = (*map(CreateTable, tables), *map(CreateIndex, indexes))
    return "; ".join([*(str(each.compile(dialect=dialect)) for each in made), _NOTED])


def _upgrade(path: Path) -> None:
    from alembic import command

    config = alembic_config()
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()
    with closing(sqlite3.connect(path)) as connection, suppress(sqlite3.OperationalError):  # no room for a copy
        connection.execute("VACUUM")  # removes rows deleted before SQLite overwrote deleted data


def alembic_config() -> "AlembicConfig":
    """Return the configuration of Alembic, imported only here: commands that only read need not wait for it."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config


def refuse_other_schema(path: Path, *, only_newer: bool = False) -> None:
    """Raise `Invalid` if this program cannot use the file's schema."""
    current = schema_of(path)
    if current is not None and current > schemas()[-1]:
        raise Invalid(f"{path} was written by a newer version of Answerable (schema {current}); use that version")
    if not only_newer and current != schemas()[-1]:
        raise Invalid(f"{path} has an older schema; start the bot once with `answerable run` to migrate it")


def schemas() -> list[str]:
    """Return the schemas that can be used or migrated, the newest last: each migration's file name begins with one."""
    return sorted(file.name.partition("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def migrations_after(schema: str) -> tuple[tuple[str, str], ...]:
    """Return the migrations that a database of this schema needs: the schema that each makes, and what it does."""
    files = sorted((_MIGRATIONS / "versions").glob("[0-9]*_*.py"))
    named = ((file.name.partition("_")[0], file) for file in files)
    return tuple(
        (number, (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").partition("\n")[0])
        for number, file in named
        if number > schema
    )


def schema_of(path: Path) -> str | None:
    """Return the schema of a database, as Alembic notes it; None if it has none yet.

    Raises `Invalid` if it is no database.
    """
    try:
        with closing(sqlite3.connect(_address(path), timeout=_BUSY_MS / 1000, uri=True)) as connection:
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
    """Tell whether a database that we cannot write to is open nowhere, as its whole content stands in its one file."""
    newest, shared = (path.with_name(f"{path.name}-{part}") for part in ("wal", "shm"))
    is_writable = not path.exists() or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
    is_open = shared.exists() or (newest.exists() and newest.stat().st_size > 0)
    return not is_writable and not is_open


def state_of_file(data_dir: Path) -> tuple[int, ...]:
    """Return what changes when a database that is being read has to be opened again.

    That is so if another file is in its place, or if one that was still when it was opened has been written to.
    """
    path = data_dir / FILE
    try:
        found, is_still = path.stat(), _is_still(path)
    except OSError:
        return ()
    return (found.st_ino, found.st_mtime_ns, found.st_size) if is_still else (found.st_ino,)


def _connected(settings: str, *args: Any, **more: Any) -> sqlite3.Connection:
    """Return a connection with these settings, made in its own thread without handing each over to it."""
    connection = sqlite3.Connection(*args, **more)
    connection.executescript(settings)
    return connection
