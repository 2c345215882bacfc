"""A new database in memory, of which a test with many examples needs many."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import StaticPool

from storage.database.sqlite import tables_sql
from storage.database.sqlite_driver import new_engine


@asynccontextmanager
async def in_memory() -> AsyncIterator[AsyncConnection]:
    """Yield a connection to one, with all tables."""
    engine = new_engine(poolclass=StaticPool)
    try:
        async with engine.connect() as db:
            driver: Any = (await db.get_raw_connection()).driver_connection
            await driver.executescript(tables_sql())
            yield db
    finally:
        await engine.dispose()
