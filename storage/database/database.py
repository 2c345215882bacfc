"""The state database: transactions of its one writer, and reads.

Rules kept here:
- One writer, one transaction at a time; readers never wait for it.
- Callers need not know which engine it is.

Left to others: the engines (`sqlite.py`, `postgresql.py`), connections for reading (`readers.py`), what is written
(`storage/projections/`), and the queries (`storage/queries/`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.errors import Broken, Invalid

from . import moved, postgresql, sqlite
from .engine import TableConnection, TableEngine
from .fence import Epoch, is_superseded
from .place import DatabasePlace
from .readers import Readers
from .schemas import schemas

T = TypeVar("T")
P = ParamSpec("P")


class Database:
    """One state database. Make it with `Database.open`."""

    def __init__(self, engine: TableEngine, writer: TableConnection | None, epoch: Epoch | None = None) -> None:
        self._engine = engine
        self._epoch = epoch
        self._writer = writer
        self._readers = Readers(engine.opened)
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, place: DatabasePlace, *, read_only: bool = False, epoch: Epoch | None = None) -> "Database":
        """Open the database; unless `read_only`, create or migrate it first.

        `epoch`: the one in which this process leads the log; on PostgreSQL each writing transaction checks it.
        Raises `Invalid` or `DatabaseRefused` if there is none to read, if it cannot be used, or if a newer version of
        this program wrote it; `Superseded` if another process leads by now.
        """
        await asyncio.to_thread(moved.refuse_moved, place, begin=not read_only, epoch=epoch)
        if place.url is not None:
            if read_only:
                await asyncio.to_thread(postgresql.refuse_other_schema, place)
            else:
                await asyncio.to_thread(postgresql.migrate, place, epoch)
            engine: TableEngine = postgresql.engine_of(place, read_only=read_only, epoch=epoch)
            return cls(engine, None if read_only else await engine.writer(), epoch)
        if read_only:
            if not place.file.exists():
                raise Invalid(f"no database at {place}: has the bot run with this data directory?")
            await asyncio.to_thread(sqlite.refuse_other_schema, place.file)
        else:
            await asyncio.to_thread(sqlite.migrate, place.file)
        engine = sqlite.engine_of(place.file, read_only=read_only)
        return cls(engine, None if read_only else await engine.writer())

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Yield the connection in the one writing transaction: committed at the end, rolled back on any error.

        Raises `Superseded` if another process leads the log by now.
        """
        if self._writer is None:
            raise Broken("this database was opened for reading only")
        async with self._turn:
            try:
                yield self._writer
                await self._writer.commit()
            except BaseException as error:
                await self._writer.rollback()
                if self._epoch is not None and is_superseded(error):
                    raise self._epoch.superseded() from error
                raise

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection that sees the last committed state."""
        connection = await self._readers.take()
        try:
            yield connection
        finally:
            await self._readers.give_back(connection)

    async def fetch(
        self,
        query: Callable[Concatenate[AsyncConnection, P], Awaitable[T]],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> T:
        """Run one query on the last committed state and return its result."""
        async with self.read() as db:
            return await query(db, *arguments, **options)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection on which all statements see one state, whatever is committed meanwhile."""
        connection = await self._readers.take()
        try:
            await connection.begin_snapshot()
            try:
                yield connection
            finally:
                await connection.rollback()
        finally:
            await self._readers.give_back(connection)

    async def clean(self, *, patience_ms: int | None = None) -> bool:
        """Overwrite or free what was erased or deleted, as far as the engine can.

        Returns False if a reader prevented that for `patience_ms` (None: as long as the engine waits). Uses a
        connection for reading. A caller who is cancelled keeps the turn until the engine has ended its work.
        """
        if self._writer is None:
            raise Broken("this database was opened for reading only")
        async with self._turn, self.read() as db:
            return await self._engine.clean(db, self._engine.patience_ms if patience_ms is None else patience_ms)

    async def give_back(self) -> None:
        """Give free space that deleted rows left back to the disk, if it is much and the engine can."""
        if self._writer is None:
            raise Broken("this database was opened for reading only")
        async with self._turn:
            await self._writer.give_back()

    async def close(self) -> None:
        """Close all connections; those in use are closed when their readers give them back."""
        await self._readers.close()
        if self._writer is not None:
            await self._writer.close()
        await self._engine.dispose()


def is_there(place: DatabasePlace) -> bool:
    """Tell whether there is a database. Raises `DatabaseRefused` if its server cannot be asked."""
    return postgresql.is_there(place) if place.url else place.file.exists()


def is_older(place: DatabasePlace) -> bool:
    """Tell whether opening the database migrates it."""
    return schema_of(place) not in (None, schemas()[-1])


def schema_of(place: DatabasePlace) -> str | None:
    """Return the schema of the database, as Alembic notes it; None if there is none yet.

    Raises `Invalid` or `DatabaseRefused` if it is not a database of this program.
    """
    if place.url:
        return postgresql.schema_of(place)
    return sqlite.schema_of(place.file) if place.file.exists() else None


def refuse_other_schema(place: DatabasePlace, *, only_newer: bool = False) -> None:
    """Raise `Invalid` or `DatabaseRefused` if this program cannot use the schema of the database."""
    if place.url:
        postgresql.refuse_other_schema(place, only_newer=only_newer)
    else:
        sqlite.refuse_other_schema(place.file, only_newer=only_newer)


def refuse_newer(place: DatabasePlace) -> None:
    """Raise `Invalid` or `DatabaseRefused` if a newer version of this program made the database."""
    if is_there(place):
        refuse_other_schema(place, only_newer=True)


def commits_of(place: DatabasePlace) -> tuple[tuple[int, ...], object]:
    """Return a value that changes with each commit, and whenever that of `state_of` does.

    Raises `OSError` or `DatabaseRefused` if there is no database.
    """
    return state_of(place), postgresql.commits_of(place) if place.url else sqlite.commits_of(place.file)


def state_of(place: DatabasePlace) -> tuple[int, ...]:
    """Return a value that changes when readers have to open the database again."""
    return () if place.url else sqlite.state_of_file(place.file)
