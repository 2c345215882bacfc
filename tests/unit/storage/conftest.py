"""The state tables of a test of the storage, on each database in turn."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database.database import Database
from tests.postgres.engines import Engine
from tests.unit.storage.new_tables import NewTables


@pytest.fixture
async def database(engine: Engine, tmp_path: Path) -> AsyncIterator[Database]:
    """Provide a new database, on SQLite and on PostgreSQL."""
    database = await Database.open(engine.place(tmp_path))
    yield database
    await database.close()


@pytest.fixture
async def db(new_tables: NewTables) -> AsyncIterator[AsyncConnection]:
    """Provide a connection to empty tables, in a transaction that is never committed."""
    async with new_tables() as connection:
        yield connection


@pytest.fixture
async def new_tables(engine: Engine) -> AsyncIterator[NewTables]:
    """Provide a connection to empty tables, as often as a test asks."""
    tables = NewTables(engine)
    yield tables
    await tables.close()
