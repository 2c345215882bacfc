"""Connections for reading are shared by many readers, and none waits for ever."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from storage.database import readers
from storage.database.database import Database
from storage.database.engine import TableConnection
from storage.database.readers import Readers
from storage.database.sqlite_driver import SqliteEngine, new_engine

MANY = 30


class Opening:
    """Opens connections, and counts them."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine
        self.opened = 0

    async def __call__(self) -> TableConnection:
        self.opened += 1
        return await self._engine.opened()


@pytest.fixture
def opening(tmp_path: Path) -> Opening:
    return Opening(new_engine(str(tmp_path / "a.db")))


async def test_however_many_read_at_the_same_time_each_is_served(database: Database) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(MANY):
            db = await stack.enter_async_context(database.read())
            assert (await db.exec_driver_sql("SELECT 1")).scalar() == 1


async def test_a_reader_waits_for_one_of_a_few_connections(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_PATIENCE_S", 60.0)
    shared = Readers(opening)
    held = [await shared.take() for _ in range(4)]
    waiting = [asyncio.create_task(shared.take()) for _ in range(2)]
    await asyncio.sleep(0)
    await shared.give_back(held[2])
    await shared.give_back(held[0])
    assert [await each for each in waiting] == [held[2], held[0]]
    assert opening.opened == 4
    for each in held:
        await shared.give_back(each)
    await shared.close()


async def test_a_reader_that_is_cancelled_keeps_no_connection(
    opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_PATIENCE_S", 60.0)
    shared = Readers(opening)
    held = [await shared.take() for _ in range(4)]
    first, second, third = (asyncio.create_task(shared.take()) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    await shared.give_back(held[0])
    second.cancel()  # when it has been given one already
    assert await third == held[0]
    assert first.cancelled() and second.cancelled()
    for each in held:
        await shared.give_back(each)
    again = [await shared.take() for _ in held]
    assert (set(again), opening.opened) == (set(held), 4)
    for each in again:
        await shared.give_back(each)
    await shared.close()


async def test_a_connection_in_a_transaction_is_closed_and_another_one_opened(opening: Opening) -> None:
    shared = Readers(opening)
    connection = await shared.take()
    await connection.exec_driver_sql("BEGIN")
    await shared.give_back(connection)
    assert connection.closed
    another = await shared.take()
    assert (another.closed, opening.opened) == (False, 2)
    await shared.close()
    await shared.give_back(another)
    assert another.closed
