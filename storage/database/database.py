"""The state database: transactions of its one writer, and reads.

Rules kept here:
- One writer, one transaction at a time; readers never wait for it.

Left to others: the engine (`sqlite.py`), what is written (`storage/projections/`), and the queries
(`storage/queries/`).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.errors import Broken, Invalid

from . import sqlite
from .place import DatabasePlace
from .sqlite import BUSY_MS
from .sqlite_driver import Connection, Engine


class Database:
    """One state database. Make it with `Database.open`."""

    def __init__(self, engine: Engine, writer: Connection | None) -> None:
        self._engine = engine
        self._writer = writer
        self._idle: list[Connection] = []  # for reading; to take one from the engine costs as much as a statement
        self._is_closed = False
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, place: DatabasePlace, *, read_only: bool = False) -> "Database":
        """Open the database; unless `read_only`, create or migrate it first.

        Raises `Invalid` if there is none to read, or if a newer version of this program wrote it.
        """
        if place.url is not None:
            raise Broken("there is no engine for PostgreSQL yet")
        path = place.file
        if read_only:
            if not path.exists():
                raise Invalid(f"no database at {path}: has the bot run with this data directory?")
            await asyncio.to_thread(sqlite.refuse_other_schema, path)
        else:
            await asyncio.to_thread(sqlite.migrate, path)
        engine = sqlite.engine_of(path, read_only=read_only)
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

    async def clean(self, *, patience_ms: int = BUSY_MS) -> bool:
        """Empty the WAL, which may still contain what was erased or deleted.

        Returns False if a reader has kept it from being emptied for so long. Uses a connection of its own: one whose
        statement is cancelled is thrown away.
        """
        if self._writer is None:
            raise Broken("this database was opened for reading only")
        async with self._turn, self.read() as db:
            await db.exec_driver_sql(f"PRAGMA busy_timeout = {patience_ms}")
            row = (await db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")).one()
            await db.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_MS}")
        return bool(row[0] == 0)

    async def close(self) -> None:
        """Close all connections; those that are still read from when that ends."""
        self._is_closed = True
        for connection in (*self._idle, *([self._writer] if self._writer else [])):
            await connection.close()
        await self._engine.dispose()


def is_there(place: DatabasePlace) -> bool:
    """Tell whether there is a database."""
    return place.file.exists()


def is_older(place: DatabasePlace) -> bool:
    """Tell whether opening the database migrates it."""
    return sqlite.is_older(place.file)


def schema_of(place: DatabasePlace) -> str | None:
    """Return the schema of the database, as Alembic notes it; None if there is none yet.

    Raises `Invalid` if it is none of ours.
    """
    return sqlite.schema_of(place.file) if place.file.exists() else None


def refuse_other_schema(place: DatabasePlace, *, only_newer: bool = False) -> None:
    """Raise `Invalid` if this program cannot use the schema of the database."""
    sqlite.refuse_other_schema(place.file, only_newer=only_newer)


def commits_of(place: DatabasePlace) -> tuple[tuple[int, ...], object]:
    """Return what `state_of` does, and what changes with each commit. Raises `OSError` if there is no database."""
    return state_of(place), sqlite.commits_of(place.file)


def state_of(place: DatabasePlace) -> tuple[int, ...]:
    """Return what changes when a database that is being read has to be opened again."""
    return sqlite.state_of_file(place.file)
