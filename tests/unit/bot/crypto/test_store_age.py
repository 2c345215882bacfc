"""Telling an old copy of a store of keys from a current one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.crypto import devices, store_age
from bot.crypto.store import Store, set_meta
from tests.postgres.engines import Engine
from tests.unit.bot.crypto.test_store import opened


@pytest.fixture
async def store(engine: Engine, tmp_path: Path) -> AsyncIterator[Store]:
    store = await opened(engine, tmp_path)
    yield store
    await store.close()


async def published(store: Store) -> None:
    await store.run(lambda db: set_meta(db, "published", "1"))


async def grow(store: Store, known: int) -> int:
    return await store.run(lambda db: store_age.grow(db, known))


async def test_grows_beyond_what_either_place_knows(store: Store) -> None:
    await published(store)
    assert [await grow(store, known) for known in (0, 1, 1)] == [1, 2, 3]  # killed before it was noted elsewhere


async def test_behind_what_is_known_elsewhere_it_is_an_old_copy_and_stays_one(store: Store) -> None:
    await published(store)
    assert await grow(store, 4) == 0
    assert await grow(store, 0) == 0
    assert await store.run(store_age.is_of_no_use)


async def test_in_a_database_that_went_back_it_is_an_old_copy_though_both_numbers_went_back(store: Store) -> None:
    await published(store)
    assert await grow(store, 0) == 1
    assert await store.run(lambda db: store_age.grow(db, 1, went_back=True)) == 0
    assert await store.run(store_age.is_of_no_use)


async def test_a_new_store_is_not_taken_for_a_copy(store: Store) -> None:
    assert await store.run(lambda db: store_age.grow(db, 0, went_back=True)) == 1
    assert await grow(store, 4) == 5
    assert not await store.run(store_age.is_of_no_use)


async def test_a_device_that_the_homeserver_knows_by_other_keys_is_of_no_use(store: Store) -> None:
    await store.run(lambda db: set_meta(db, "own_at_server", devices.OWN_OTHER))
    assert await store.run(store_age.is_of_no_use)
    assert not await store.run(store_age.is_old)
