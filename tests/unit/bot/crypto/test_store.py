"""The store on disk: its owner, its state after a crash, and that it contains no plain secret."""

import asyncio
import gc
import sqlite3
import sys
import threading
from pathlib import Path

import pytest

from bot.crypto.errors import WrongKey
from bot.crypto.store import Db, Store, meta, place_of, set_meta
from bot.crypto.store_key import StoreKey
from moderation.values.errors import Broken
from storage.database.place import DatabasePlace
from storage.database.small_store import SmallPlace
from tests.unit.bot.crypto.pair import Side

KEY = StoreKey(bytes(range(32)))


def where(folder: Path) -> SmallPlace:
    return place_of(DatabasePlace(folder), "D")


async def opened(folder: Path, key: StoreKey = KEY, user: str = "@bot:x", device: str = "D") -> Store:
    return await Store.open(where(folder), key, user, device)


async def test_is_its_owners_alone_and_durable(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    assert where(tmp_path).path.stat().st_mode & 0o777 == 0o600
    assert await store.run(lambda db: db.execute("PRAGMA synchronous").fetchone()) == (2,)
    await store.close()


@pytest.mark.parametrize(("user", "device"), [("@other:x", "D"), ("@bot:x", "E")])
async def test_of_another_device_is_refused(tmp_path: Path, user: str, device: str) -> None:
    await (await opened(tmp_path)).close()
    with pytest.raises(Broken, match="belongs to the device"):
        await opened(tmp_path, KEY, user, device)


async def test_a_full_disk_is_a_failure_of_the_disk(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    pages = await store.run(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await store.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(OSError, match="full"):
        await store.run(lambda db: set_meta(db, "much", bytes(100_000)))
    assert await store.run(lambda db: meta(db, "much")) is None
    await store.close()


async def test_a_failure_that_nobody_waits_for_any_more_is_not_reported_as_lost(tmp_path: Path) -> None:
    store = await opened(tmp_path)
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


async def test_under_another_key_is_refused(tmp_path: Path) -> None:
    await (await opened(tmp_path)).close()
    with pytest.raises(WrongKey):
        await opened(tmp_path, StoreKey(bytes(32)))


async def test_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    await (await opened(tmp_path)).close()
    with sqlite3.connect(where(tmp_path).path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(Broken, match="newer"):
        await opened(tmp_path)


async def test_work_that_raises_leaves_nothing(tmp_path: Path) -> None:
    store = await opened(tmp_path)

    def work(db: Db) -> None:
        set_meta(db, "a", "1")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await store.run(work)
    assert await store.run(lambda db: meta(db, "a")) is None
    await store.close()


async def test_secrets_come_back_and_are_not_in_the_file(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await store.run(lambda db: store.put_secret(db, "name", b"a very secret thing"))
    await store.close()
    again = await opened(tmp_path)
    assert await again.run(lambda db: again.secret(db, "name")) == b"a very secret thing"
    await again.run(lambda db: again.drop_secret(db, "name"))
    assert await again.run(lambda db: again.secret(db, "name")) is None
    await again.close()
    files = _bytes(where(tmp_path).path.parent)
    assert b"a very secret thing" not in files


async def test_no_private_key_of_a_device_is_in_the_file(tmp_path: Path) -> None:
    side = await Side.open(tmp_path, "@ann:x", "D")
    await side.run(lambda db: side.ours.upload(db, 1))
    event = await side.encrypt({"body": "the words"}, "@ann:x")
    exported = await side.run(lambda db: side.keys.export(db, "!room:x", event["content"]["session_id"]))
    assert exported is not None
    await side.store.close()
    files = _bytes(place_of(DatabasePlace(tmp_path / "ann:x"), "D").path.parent)
    assert exported.key.encode() not in files and b"the words" not in files and b'"one_time_keys"' not in files


def _bytes(folder: Path) -> bytes:
    """Return the contents of all files in a folder."""
    return b"".join(path.read_bytes() for path in folder.iterdir())


DIES = """
import asyncio, os, sys
from pathlib import Path
from bot.crypto.store import Store, place_of, set_meta
from bot.crypto.store_key import StoreKey
from storage.database.place import DatabasePlace
async def main():
    where = place_of(DatabasePlace(Path(sys.argv[1])), "D")
    store = await Store.open(where, StoreKey(bytes(range(32))), "@bot:x", "D")
    await store.run(lambda db: set_meta(db, "kept", "1"))
    def work(db):
        set_meta(db, "half", "1")
        os.kill(os.getpid(), 9)
    await store.run(work)
asyncio.run(main())
"""


async def test_a_process_that_is_killed_leaves_what_it_finished_and_nothing_else(tmp_path: Path) -> None:
    done = await asyncio.create_subprocess_exec(sys.executable, "-c", DIES, str(tmp_path))
    assert await done.wait() == -9
    store = await opened(tmp_path)
    assert await store.run(lambda db: (meta(db, "kept"), meta(db, "half"))) == ("1", None)
    await store.close()
