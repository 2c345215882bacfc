"""New tables for one example of a test that has many: of SQLite in memory, of PostgreSQL in a transaction undone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import StaticPool

from storage.database.postgresql import engine_of
from storage.database.sqlite import tables_sql
from storage.database.sqlite_driver import new_engine
from tests.postgres.engines import Engine

EACH_IS_NEW = (HealthCheck.function_scoped_fixture,)  # to be suppressed: no example sees what another has written


@asynccontextmanager
async def new_tables(engine: Engine) -> AsyncIterator[AsyncConnection]:
    """Yield a connection to tables of which all are empty."""
    async with _in_memory() if engine.url is None else _in_a_transaction(engine) as db:
        yield db


@asynccontextmanager
async def _in_memory() -> AsyncIterator[AsyncConnection]:
    engine = new_engine(poolclass=StaticPool)
    try:
        async with engine.connect() as db:
            driver: Any = (await db.get_raw_connection()).driver_connection
            await driver.executescript(tables_sql())
            yield db
    finally:
        await engine.dispose()


@asynccontextmanager
async def _in_a_transaction(engine: Engine) -> AsyncIterator[AsyncConnection]:
    sessions = engine_of(engine.place(Path()), read_only=False)
    db = await sessions.writer()
    try:
        yield db
        await db.rollback()
    finally:
        await db.close()
        await sessions.dispose()
