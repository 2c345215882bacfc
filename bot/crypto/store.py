"""The crypto store: a small store for each device, and the thread that works on it.

Rules this module keeps:
- All work on the store is done in a transaction, one at a time, off the event loop.
- The work is durable when `run` returns, and rolled back as a whole if it raises.
- Nothing is cached in memory, so memory and disk cannot differ.
- Private keys are encrypted with the store key.
- A store of another device, of a newer program or under another key is refused.
Left to others: the tables (`tables.py`), the contents (each module has its own and takes the open store), the key's
origin (`store_key.py`).
"""

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from moderation.values.errors import Broken
from storage.database.fence import Epoch
from storage.database.place import DatabasePlace
from storage.database.small_store import SmallPlace, SmallStore, names_in, open_small_store

from . import tables
from .store_key import StoreKey
from .tables import META, SECRETS

T = TypeVar("T")
Db = SmallStore

FOLDER, FILE = "crypto", "crypto.sqlite3"  # in the data directory, a folder for each device
_PREFIX = "crypto_"
_VERSION = 1
_CHECK = b"answerable"

_PUT_META, _PUT_SECRET = META.put(), SECRETS.put()


class Store:
    """The store of one device. Make it with `Store.open`."""

    def __init__(self, db: Db, key: StoreKey, thread: ThreadPoolExecutor) -> None:
        self.key = key
        self.pickle_key = key.pickle_key
        self._db = db
        self._thread = thread

    @classmethod
    async def open(
        cls, where: SmallPlace, key: StoreKey, user: str, device: str, epoch: Epoch | None = None
    ) -> "Store":
        """Open the store of a device, or create it. Raises `Broken` (another device's, newer), `WrongKey`."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="crypto")
        try:
            db = await asyncio.get_running_loop().run_in_executor(thread, _open, where, key, user, device, epoch)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(db, key, thread)

    async def run(self, work: Callable[[Db], T]) -> T:
        """Do `work` in one transaction. Afterwards its changes are on disk; if it raises, none are.

        Once begun it runs to its end: a cancellation does not interrupt it.
        """
        done = asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, work)
        done.add_done_callback(_retrieve)
        return await asyncio.shield(done)

    async def close(self) -> None:
        """Close the store."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._db.close)
        self._thread.shutdown(wait=False)

    def _transaction(self, work: Callable[[Db], T]) -> T:
        with self._db.transaction():
            return work(self._db)

    # Small values, stored by name.

    def put_secret(self, db: Db, name: str, secret: bytes) -> None:
        """Store a secret, encrypted."""
        sealed = self.key.seal(secret, name)
        db.execute(_PUT_SECRET, (name, sealed))

    def secret(self, db: Db, name: str) -> bytes | None:
        """Return a stored secret, or None."""
        row = db.execute("SELECT sealed FROM secrets WHERE name = ?", (name,)).fetchone()
        return self.key.open(row[0], name) if row else None

    def drop_secret(self, db: Db, name: str) -> None:
        """Delete a secret; its bytes are overwritten."""
        db.execute("DELETE FROM secrets WHERE name = ?", (name,))


def place_of(place: DatabasePlace, device: str) -> SmallPlace:
    """Return the place of a device's store: each device has its own."""
    return _place(place, hashlib.sha256(device.encode()).hexdigest()[:16])


def places_of(place: DatabasePlace) -> list[SmallPlace]:
    """Return the places of all stores that there are, of present and earlier devices. Raises `OSError`."""
    if place.url is None:
        codes = sorted(file.parent.name for file in (place.data_dir / FOLDER).glob(f"*/{FILE}"))
    else:
        codes = [name.removeprefix(_PREFIX) for name in names_in(place) if name.startswith(_PREFIX)]
    return [_place(place, code) for code in codes]


def _place(place: DatabasePlace, code: str) -> SmallPlace:
    return SmallPlace(place, Path(FOLDER) / code / FILE, f"{_PREFIX}{code}")


def set_meta(db: Db, name: str, value: str | bytes) -> None:
    """Store a small value that is not secret."""
    data = value.encode() if isinstance(value, str) else value
    db.execute(_PUT_META, (name, data))


def meta(db: Db, name: str) -> str | None:
    """Return a stored small value, or None."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return bytes(row[0]).decode() if row else None


def forget(db: Db, name: str) -> None:
    """Delete a stored small value."""
    db.execute("DELETE FROM meta WHERE name = ?", (name,))


def _open(where: SmallPlace, key: StoreKey, user: str, device: str, epoch: Epoch | None) -> Db:
    db = open_small_store(where, epoch, often=True)
    try:
        prepare(db, key, user, device)
        _check(db, key, user, device, where)
    except BaseException:
        db.close()
        raise
    return db


def prepare(db: Db, key: StoreKey, user: str, device: str) -> None:
    """Make a new store the store of this device."""
    if db.version == 0:
        with db.transaction():
            db.create(tables.ALL)
            set_meta(db, "user", user)
            set_meta(db, "device", device)
            set_meta(db, "check", key.seal(_CHECK, "check"))
            db.set_version(_VERSION)


def _check(db: Db, key: StoreKey, user: str, device: str, where: SmallPlace) -> None:
    if db.version > _VERSION:
        raise Broken(f"{where} was written by a newer version of this program")
    owner = (meta(db, "user"), meta(db, "device"))
    if owner != (user, device):
        raise Broken(f"{where} belongs to the device {owner[1]} of {owner[0]}, not to {device} of {user}")
    key.open(db.execute("SELECT value FROM meta WHERE name = 'check'").fetchone()[0], "check")


def _retrieve(done: "asyncio.Future[Any]") -> None:
    """Retrieve the error of work that nobody waits for any more, so that asyncio does not report it as lost."""
    if not done.cancelled():
        done.exception()
