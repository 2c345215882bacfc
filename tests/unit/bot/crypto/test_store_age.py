"""Telling an old copy of a store of keys from a current one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.crypto import devices, store_age
from bot.crypto.store import Store, set_meta
from storage.database.postgresql_small_store import PostgresqlSmallStore
from storage.database.server_seen import ServerSeen
from storage.database.sqlite_small_store import SqliteSmallStore
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


class Seen:
    """A server whose identity and timeline a test sets by hand."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.server: ServerSeen | None = ServerSeen("one 1", is_copied=False)
        for engine in (SqliteSmallStore, PostgresqlSmallStore):
            patch.setattr(engine, "server", lambda _: self.server)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    return Seen(monkeypatch)


async def test_on_a_promoted_copy_it_is_an_old_one_though_no_record_is_missing(store: Store, seen: Seen) -> None:
    await published(store)
    assert [await grow(store, known) for known in (0, 1)] == [1, 2]
    seen.server = ServerSeen("one 2", is_copied=False)
    assert await grow(store, 2) == 0
    assert await store.run(store_age.is_of_no_use)


async def test_on_a_promoted_copy_that_lacks_no_commit_it_goes_on(store: Store, seen: Seen) -> None:
    await published(store)
    seen.server = ServerSeen("one 1", is_copied=True)
    await grow(store, 0)
    seen.server = ServerSeen("one 2", is_copied=False)
    assert await grow(store, 1) == 2
    seen.server = ServerSeen("one 3", is_copied=True)  # that it is copied now says nothing of before
    assert await grow(store, 2) == 0


async def test_on_a_copy_promoted_after_the_bot_had_stopped_it_goes_on(store: Store, seen: Seen) -> None:
    await published(store)
    await grow(store, 0)
    await store.run(lambda db: store_age.grow(db, 1, ends=True))
    seen.server = ServerSeen("another 1", is_copied=False)  # a new version of the server
    assert await grow(store, 2) == 3
    seen.server = ServerSeen("another 2", is_copied=False)  # while it ran
    assert await grow(store, 3) == 0


async def test_where_the_server_was_not_known_or_is_not_it_goes_on(store: Store, seen: Seen) -> None:
    await published(store)
    for known, server in enumerate([None, ServerSeen("one 1", False), None, ServerSeen("one 2", False)]):
        seen.server = server
        assert await grow(store, known) == known + 1


async def test_a_new_store_is_not_taken_for_a_copy(store: Store) -> None:
    assert await store.run(lambda db: store_age.grow(db, 0, went_back=True)) == 1
    assert await grow(store, 4) == 5
    assert not await store.run(store_age.is_of_no_use)


async def test_a_device_that_the_homeserver_knows_by_other_keys_is_of_no_use(store: Store) -> None:
    await store.run(lambda db: set_meta(db, "own_at_server", devices.OWN_OTHER))
    assert await store.run(store_age.is_of_no_use)
    assert not await store.run(store_age.is_old)
