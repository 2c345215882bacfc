"""The state tables of a test of the storage, on each database in turn."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.database.database import Database
from tests.postgres.engines import Engine


@pytest.fixture
async def database(engine: Engine, tmp_path: Path) -> AsyncIterator[Database]:
    """Provide a new database, on SQLite and on PostgreSQL."""
    database = await Database.open(engine.place(tmp_path))
    yield database
    await database.close()


@pytest.fixture
async def db(database: Database) -> AsyncIterator[AsyncConnection]:
    """Provide a writing transaction of a new database."""
    async with database.write() as connection:
        yield connection
