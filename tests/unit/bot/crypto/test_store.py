"""The store on disk: its owner, its state after a crash, and that it contains no plain secret."""

import asyncio
import gc
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from bot.crypto import tables
from bot.crypto.errors import WrongKey
from bot.crypto.store import Db, Store, meta, place_of, places_of, set_meta
from bot.crypto.store_key import StoreKey
from moderation.values.errors import Broken
from storage.database.fence import Superseded
from storage.database.small_store import SmallPlace, open_to_read
from tests.postgres.engines import Engine, on_postgresql, on_sqlite
from tests.unit.bot.crypto.pair import Side

KEY = StoreKey(bytes(range(32)))


def where(engine: Engine, folder: Path) -> SmallPlace:
    return place_of(engine.place(folder), "D")


async def opened(engine: Engine, folder: Path, key: StoreKey = KEY, user: str = "@bot:x", device: str = "D") -> Store:
    return await Store.open(where(engine, folder), key, user, device, engine.epoch())


@on_sqlite
async def test_is_its_owners_alone_and_durable(engine: Engine, tmp_path: Path) -> None:
    store = await opened(engine, tmp_path)
    assert where(engine, tmp_path).path.stat().st_mode & 0o777 == 0o600
    assert await store.run(lambda db: db.execute("PRAGMA synchronous").fetchone()) == (2,)
    await store.close()


@pytest.mark.parametrize(("user", "device"), [("@other:x", "D"), ("@bot:x", "E")])
async def test_of_another_device_is_refused(engine: Engine, tmp_path: Path, user: str, device: str) -> None:
    await (await opened(engine, tmp_path)).close()
    with pytest.raises(Broken, match="belongs to the device"):
        await opened(engine, tmp_path, KEY, user, device)


@on_sqlite
async def test_a_full_disk_is_a_failure_of_the_disk(engine: Engine, tmp_path: Path) -> None:
    store = await opened(engine, tmp_path)
    pages = await store.run(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await store.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(OSError, match="full"):
        await store.run(lambda db: set_meta(db, "much", bytes(100_000)))
    assert await store.run(lambda db: meta(db, "much")) is None
    await store.close()


async def test_a_failure_that_nobody_waits_for_any_more_is_not_reported_as_lost(engine: Engine, tmp_path: Path) -> None:
    store = await opened(engine, tmp_path)
    lost: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: lost.append(str(context["message"])))
    begun, go_on = threading.Event(), threading.Event()

    def fail(_db: Db) -> None:
        begun.set()
        go_on.wait(30)
        raise OSError("full")

    waiter = asyncio.create_task(store.run(fail))
    await asyncio.to_thread(begun.wait, 30)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    go_on.set()
    await store.run(lambda _db: None)  # after the work that failed
    gc.collect()
    assert lost == []
    await store.close()


async def test_under_another_key_is_refused(engine: Engine, tmp_path: Path) -> None:
    await (await opened(engine, tmp_path)).close()
    with pytest.raises(WrongKey):
        await opened(engine, tmp_path, StoreKey(bytes(32)))


async def test_of_a_newer_program_is_refused(engine: Engine, tmp_path: Path) -> None:
    store = await opened(engine, tmp_path)
    await store.run(lambda db: db.set_version(99))
    await store.close()
    with pytest.raises(Broken, match="newer"):
        await opened(engine, tmp_path)


async def test_work_that_raises_leaves_nothing(engine: Engine, tmp_path: Path) -> None:
    store = await opened(engine, tmp_path)

    def work(db: Db) -> None:
        set_meta(db, "a", "1")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await store.run(work)
    assert await store.run(lambda db: meta(db, "a")) is None
    await store.close()


async def test_secrets_come_back_and_are_not_in_the_file(engine: Engine, tmp_path: Path) -> None:
    store = await opened(engine, tmp_path)
    await store.run(lambda db: store.put_secret(db, "name", b"a very secret thing"))
    await store.close()
    again = await opened(engine, tmp_path)
    assert await again.run(lambda db: again.secret(db, "name")) == b"a very secret thing"
    await again.run(lambda db: again.drop_secret(db, "name"))
    assert await again.run(lambda db: again.secret(db, "name")) is None
    await again.close()
    files = _bytes(where(engine, tmp_path))
    assert b"a very secret thing" not in files


async def test_no_private_key_of_a_device_is_in_the_file(engine: Engine, tmp_path: Path) -> None:
    side = await Side.open(engine, tmp_path, "@ann:x", "D")
    await side.run(lambda db: side.ours.upload(db, 1))
    event = await side.encrypt({"body": "the words"}, "@ann:x")
    exported = await side.run(lambda db: side.keys.export(db, "!room:x", event["content"]["session_id"]))
    assert exported is not None
    await side.store.close()
    files = _bytes(side.where)
    assert exported.key.encode() not in files and b"the words" not in files and b'"one_time_keys"' not in files


def _bytes(where: SmallPlace) -> bytes:
    """Return all that is kept of a store: the files in its folder, or the rows of its tables."""
    if where.place.url is None:
        return b"".join(path.read_bytes() for path in where.path.parent.iterdir())
    store = open_to_read(where)
    assert store is not None
    with closing(store):
        values = [value for table in tables.ALL for row in store.execute(table.select()) for value in row]
    assert len(values) > 5
    return b" ".join(value if isinstance(value, bytes) else str(value).encode() for value in values)


DIES = """
import asyncio, os, sys
from contextlib import closing
from pathlib import Path
from pydantic import SecretStr
from bot.crypto.store import Store, place_of, set_meta
from bot.crypto.store_key import StoreKey
from storage.database.fence import Epoch
from storage.database.place import DatabasePlace
folder, url, epoch, holder = sys.argv[1:]
async def main():
    where = place_of(DatabasePlace(Path(folder), SecretStr(url) if url else None), "D")
    leads = Epoch("", int(epoch), holder) if url else None
    store = await Store.open(where, StoreKey(bytes(range(32))), "@bot:x", "D", leads)
    await store.run(lambda db: set_meta(db, "kept", "1"))
    def work(db):
        set_meta(db, "half", "1")
        os.kill(os.getpid(), 9)
    await store.run(work)
asyncio.run(main())
"""


async def test_a_process_that_is_killed_leaves_what_it_finished_and_nothing_else(
    engine: Engine, tmp_path: Path
) -> None:
    epoch = engine.epoch()
    given = (str(tmp_path), engine.url or "", str(epoch.number if epoch else 0), epoch.holder if epoch else "")
    done = await asyncio.create_subprocess_exec(sys.executable, "-c", DIES, *given)
    assert await done.wait() == -9
    store = await opened(engine, tmp_path)
    assert await store.run(lambda db: (meta(db, "kept"), meta(db, "half"))) == ("1", None)
    await store.close()


@on_postgresql
async def test_goes_on_in_another_folder_and_no_more_in_the_first(engine: Engine, tmp_path: Path) -> None:
    first = await opened(engine, tmp_path / "a")
    await first.run(lambda db: set_meta(db, "kept", "1"))
    former = engine.epoch()
    engine.take_over()
    second = await opened(engine, tmp_path / "b")
    with pytest.raises((OSError, Superseded)):
        await first.run(lambda db: set_meta(db, "kept", "2"))
    with pytest.raises(Superseded):
        await (await Store.open(where(engine, tmp_path), KEY, "@bot:x", "D", former)).run(
            lambda db: set_meta(db, "kept", "2")
        )
    assert await second.run(lambda db: meta(db, "kept")) == "1"
    assert not await asyncio.to_thread(lambda: [*tmp_path.iterdir()])  # nothing is kept in the data directory
    await second.close()
    await first.close()


async def test_all_stores_of_one_deployment_are_found(engine: Engine, tmp_path: Path) -> None:
    assert await asyncio.to_thread(places_of, engine.place(tmp_path)) == []
    for device in ("D", "E"):
        await (
            await Store.open(place_of(engine.place(tmp_path), device), KEY, "@bot:x", device, engine.epoch())
        ).close()
    if engine.url:
        await (
            await Store.open(place_of(engine.place(tmp_path, "b"), "D"), KEY, "@b:x", "D", engine.epoch("b"))
        ).close()
    found = await asyncio.to_thread(places_of, engine.place(tmp_path))
    assert sorted(found, key=str) == sorted((place_of(engine.place(tmp_path), each) for each in "DE"), key=str)
