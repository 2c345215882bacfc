"""A new database on a real PostgreSQL, for tests of the tables there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import insert

from storage import schema
from storage.database.database import Database
from storage.database.place import DatabasePlace
from tests.unit.storage.database.server_rows import KEYS


@pytest.fixture
def place(postgres_url: str, tmp_path: Path) -> DatabasePlace:
    return DatabasePlace(tmp_path, SecretStr(postgres_url))


@pytest.fixture
async def database(place: DatabasePlace) -> AsyncIterator[Database]:
    database = await Database.open(place)
    async with database.write() as db:
        await db.execute(insert(schema.meta), [{"key": key, "value": ""} for key in KEYS])
    yield database
    await database.close()
