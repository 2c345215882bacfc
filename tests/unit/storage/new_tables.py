"""Tables that are empty again for each example of a test: of SQLite in memory, of PostgreSQL in a database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import StaticPool

from storage.database.engine import TableConnection, TableEngine
from storage.database.postgresql import engine_of
from storage.database.sqlite import tables_sql
from storage.database.sqlite_driver import new_engine
from tests.postgres.engines import Engine

EACH_IS_NEW = (HealthCheck.function_scoped_fixture,)  # to be suppressed: no example sees what another has written


class NewTables:
    """A connection to empty tables, as often as a test asks; what is written is undone each time."""

    def __init__(self, engine: Engine) -> None:
        """Use this engine; nothing is opened yet."""
        self._engine = engine
        self._tables: TableEngine | None = None
        self._db: TableConnection | None = None

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[AsyncConnection]:
        """Yield the connection to tables of which all are empty. Nobody else has it meanwhile."""
        db, self._db = self._db or await self._opened(), None
        try:
            yield db
        finally:
            await db.rollback()
            self._db = db

    async def close(self) -> None:
        """Close the connection."""
        if self._db is not None and self._tables is not None:
            await self._db.close()
            await self._tables.dispose()

    async def _opened(self) -> TableConnection:
        assert self._tables is None, "a second connection would wait for the first one"
        if self._engine.url is not None:
            self._tables = engine_of(self._engine.place(Path()), read_only=False)
            return await self._tables.writer()
        self._tables = new_engine(poolclass=StaticPool)
        db = await self._tables.opened()
        driver: Any = (await db.get_raw_connection()).driver_connection
        await driver.executescript(f"PRAGMA foreign_keys = ON; {tables_sql()}")
        return db
