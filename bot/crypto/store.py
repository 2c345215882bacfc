"""The crypto store: one SQLite file for each device, and the thread that works on it.

Rules this module keeps:
- All work on the store is done in a transaction, one at a time, off the event loop.
- The work is durable (`synchronous = FULL`) when `run` returns, and rolled back as a whole if it raises.
- Nothing is cached in memory, so memory and disk cannot differ.
- Private keys are encrypted with the store key.
- A store of another device, of a newer program or under another key is refused.
Left to others: the contents (each module has its own and takes the connection), the key's origin (`store_key.py`).
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from moderation.values.errors import Broken
from storage.database import sqlite_refused
from storage.journal import disk

from .store_key import StoreKey

T = TypeVar("T")
Db = sqlite3.Connection

FILE = "crypto.sqlite3"
_VERSION = 1
_CHECK = b"answerable"

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE secrets (name TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID, STRICT;

CREATE TABLE olm_sessions (
    sender_key TEXT NOT NULL, session TEXT NOT NULL, pickle TEXT NOT NULL, made_ms INTEGER NOT NULL,
    heard_ms INTEGER NOT NULL, PRIMARY KEY (sender_key, session)
) WITHOUT ROWID, STRICT;
CREATE TABLE wedged (
    user TEXT NOT NULL, device TEXT NOT NULL, waits INTEGER NOT NULL, mended_ms INTEGER NOT NULL,
    PRIMARY KEY (user, device)
) WITHOUT ROWID, STRICT;

CREATE TABLE tracked (user TEXT PRIMARY KEY, stale INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE devices (
    user TEXT NOT NULL, device TEXT NOT NULL, curve25519 TEXT NOT NULL, ed25519 TEXT NOT NULL, name TEXT NOT NULL,
    keys TEXT NOT NULL, signed INTEGER NOT NULL, gone INTEGER NOT NULL, PRIMARY KEY (user, device)
) WITHOUT ROWID, STRICT;
CREATE INDEX devices_by_key ON devices (curve25519);
CREATE TABLE identities (
    user TEXT PRIMARY KEY, master TEXT NOT NULL, self_signing TEXT NOT NULL, user_signing TEXT NOT NULL,
    first_master TEXT NOT NULL, keys TEXT NOT NULL, told INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE room_keys (
    room TEXT NOT NULL, session TEXT NOT NULL, pickle TEXT NOT NULL, first_index INTEGER NOT NULL,
    source TEXT NOT NULL, sender_key TEXT NOT NULL, ed25519 TEXT NOT NULL, chain TEXT NOT NULL,
    shared_history INTEGER NOT NULL, got_ms INTEGER NOT NULL, backed_up TEXT NOT NULL, PRIMARY KEY (room, session)
) WITHOUT ROWID, STRICT;
CREATE TABLE room_key_senders (
    room TEXT NOT NULL, session TEXT NOT NULL, sender TEXT NOT NULL, sender_key TEXT NOT NULL, ed25519 TEXT NOT NULL,
    PRIMARY KEY (room, session, sender)
) WITHOUT ROWID, STRICT;
CREATE TABLE seen_indexes (
    session TEXT NOT NULL, number INTEGER NOT NULL, event TEXT NOT NULL, PRIMARY KEY (session, number)
) WITHOUT ROWID, STRICT;
CREATE TABLE withheld (
    room TEXT NOT NULL, session TEXT NOT NULL, sender TEXT NOT NULL, code TEXT NOT NULL, got_ms INTEGER NOT NULL,
    PRIMARY KEY (room, session, sender)
) WITHOUT ROWID, STRICT;
CREATE TABLE waiting (
    number INTEGER PRIMARY KEY, event TEXT NOT NULL UNIQUE, room TEXT NOT NULL, session TEXT NOT NULL,
    raw TEXT NOT NULL, since_ms INTEGER NOT NULL, told TEXT NOT NULL
) STRICT;
CREATE INDEX waiting_by_session ON waiting (room, session);
CREATE TABLE key_requests (
    room TEXT NOT NULL, session TEXT NOT NULL, request TEXT NOT NULL, PRIMARY KEY (room, session)
) WITHOUT ROWID, STRICT;
CREATE TABLE owed (
    device TEXT NOT NULL, room TEXT NOT NULL, session TEXT NOT NULL, PRIMARY KEY (device, room, session)
) WITHOUT ROWID, STRICT;

CREATE TABLE group_sessions (
    room TEXT PRIMARY KEY, session TEXT NOT NULL, pickle TEXT NOT NULL, made_ms INTEGER NOT NULL,
    messages INTEGER NOT NULL, shared_history INTEGER NOT NULL, members TEXT NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE shares (
    session TEXT NOT NULL, user TEXT NOT NULL, device TEXT NOT NULL, curve25519 TEXT NOT NULL, code TEXT NOT NULL,
    PRIMARY KEY (session, user, device)
) WITHOUT ROWID, STRICT;

CREATE TABLE seen_to_device (digest BLOB PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE INDEX seen_in_order ON seen_to_device (number);
CREATE TABLE outgoing (
    number INTEGER PRIMARY KEY, txn TEXT NOT NULL, type TEXT NOT NULL, messages BLOB NOT NULL, session TEXT NOT NULL
) STRICT;
"""


class Store:
    """The store of one device. Make it with `Store.open`."""

    def __init__(self, db: Db, key: StoreKey, thread: ThreadPoolExecutor) -> None:
        self.key = key
        self.pickle_key = key.pickle_key
        self._db = db
        self._thread = thread

    @classmethod
    async def open(cls, folder: Path, key: StoreKey, user: str, device: str) -> "Store":
        """Open the store in `folder`, or create it. Raises `Broken` (another device's, newer), `WrongKey`."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="crypto")
        try:
            db = await asyncio.get_running_loop().run_in_executor(thread, _open, folder, key, user, device)
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
        """Close the file."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._db.close)
        self._thread.shutdown(wait=False)

    def _transaction(self, work: Callable[[Db], T]) -> T:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            result = work(self._db)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return result

    # Small values, stored by name.

    def put_secret(self, db: Db, name: str, secret: bytes) -> None:
        """Store a secret, encrypted."""
        sealed = self.key.seal(secret, name)
        db.execute("INSERT OR REPLACE INTO secrets VALUES (?, ?)", (name, sealed))

    def secret(self, db: Db, name: str) -> bytes | None:
        """Return a stored secret, or None."""
        row = db.execute("SELECT sealed FROM secrets WHERE name = ?", (name,)).fetchone()
        return self.key.open(row[0], name) if row else None

    def drop_secret(self, db: Db, name: str) -> None:
        """Delete a secret; its bytes are overwritten."""
        db.execute("DELETE FROM secrets WHERE name = ?", (name,))


def exists(folder: Path) -> bool:
    """Tell whether there is a store in `folder`."""
    return (folder / FILE).exists()


def set_meta(db: Db, name: str, value: str | bytes) -> None:
    """Store a small value that is not secret."""
    data = value.encode() if isinstance(value, str) else value
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, data))


def meta(db: Db, name: str) -> str | None:
    """Return a stored small value, or None."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return bytes(row[0]).decode() if row else None


def forget(db: Db, name: str) -> None:
    """Delete a stored small value."""
    db.execute("DELETE FROM meta WHERE name = ?", (name,))


def _open(folder: Path, key: StoreKey, user: str, device: str) -> Db:
    path = folder / FILE
    if not path.exists():
        disk.make_folder(folder)
        disk.create_once(path, b"", disk.SECRET_MODE)  # SQLite treats an empty file as an empty database
        disk.sync_directory(folder)
    db = sqlite_refused.connect(path, isolation_level=None, timeout=10)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # a ratchet that was set back could be used twice
        db.execute("PRAGMA secure_delete = ON")
        _prepare(db, key, user, device)
        _check(db, key, user, device, path)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: Db, key: StoreKey, user: str, device: str) -> None:
    if db.execute("PRAGMA user_version").fetchone()[0] == 0:
        db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION};")
        set_meta(db, "user", user)
        set_meta(db, "device", device)
        set_meta(db, "check", key.seal(_CHECK, "check"))
        db.execute("COMMIT")


def _check(db: Db, key: StoreKey, user: str, device: str, path: Path) -> None:
    if db.execute("PRAGMA user_version").fetchone()[0] > _VERSION:
        raise Broken(f"{path} was written by a newer version of this program")
    owner = (meta(db, "user"), meta(db, "device"))
    if owner != (user, device):
        raise Broken(f"{path} belongs to the device {owner[1]} of {owner[0]}, not to {device} of {user}")
    key.open(db.execute("SELECT value FROM meta WHERE name = 'check'").fetchone()[0], "check")


def _retrieve(done: "asyncio.Future[Any]") -> None:
    """Retrieve the error of work that nobody waits for any more, so that asyncio does not report it as lost."""
    if not done.cancelled():
        done.exception()
