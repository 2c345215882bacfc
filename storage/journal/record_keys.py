"""The record keys: one random key for each account, from which its pseudonyms in the records are made.

Rules kept here: a key is durably stored before it is first used, so that no pseudonym is ever written that
could not be computed again; keys exist once, here, so destroying one unlinks that person's days in the
records for good; the file is readable by its owner only, and deleted keys are overwritten in it. Recording
must go on without the key-wrapping key, so these stand as they are (`wrapped_by` is NULL, decision 0020).
It is synchronous and is called in the journal's worker thread, by one thread at a time.
Left to others: names and other claims about a person, in the same database under keys that are wrapped
(`storage/identity/store.py`), who may ask.
"""

import hmac
import secrets
import sqlite3
from base64 import b32encode
from collections.abc import Collection, Iterable
from contextlib import closing
from pathlib import Path

from moderation.values.ids import PersonId
from storage import sqlite_refused

from . import disk

FILE = "identity.sqlite3"
KEY_BYTES = 32
_PSEUDONYM_BYTES = 10  # 80 bits: two of a million people meet on one day with a chance below 10^-12
_SCHEMA = """
CREATE TABLE IF NOT EXISTS person_keys (
    person TEXT PRIMARY KEY,
    key BLOB NOT NULL,
    wrapped_by TEXT
) WITHOUT ROWID, STRICT
"""


class PersonKeys:
    """The keys of all persons. `open` makes the store if there is none."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._cache: dict[PersonId, bytes] = {}

    @classmethod
    def open(cls, data_dir: Path) -> "PersonKeys":
        """Open ``<data_dir>/identity.sqlite3`` (mode 0600), or make it."""
        return cls(connect(data_dir, _SCHEMA))

    def key_of(self, person: PersonId) -> bytes:
        """The key of a person, made now if there is none."""
        return self.keys_of((person,))[person]

    def keys_of(self, persons: Iterable[PersonId]) -> dict[PersonId, bytes]:
        """The keys of several persons; those that are missing are made in one transaction."""
        wanted = set(persons)
        if missing := wanted - self._cache.keys():
            self._cache |= self._fetch_or_make(missing)
        return {person: self._cache[person] for person in wanted}

    def existing(self, person: PersonId) -> bytes | None:
        """The key of a person if there is one; never makes one."""
        row = self._database.execute("SELECT key FROM person_keys WHERE person = ?", (person,)).fetchone()
        return bytes(row[0]) if row else None

    def destroy(self, person: PersonId) -> None:
        """Destroy a person's key. If the person comes again, they get a new one."""
        with self._database:
            self._database.execute("DELETE FROM person_keys WHERE person = ?", (person,))
        self._cache.pop(person, None)

    def keep_only(self, persons: Collection[str]) -> None:
        """Destroy the keys of all others."""
        rows = self._database.execute("SELECT person FROM person_keys").fetchall()
        for (person,) in rows:
            if person not in persons:
                self.destroy(PersonId(person))

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _fetch_or_make(self, persons: set[PersonId]) -> dict[PersonId, bytes]:
        fresh = [(person, secrets.token_bytes(KEY_BYTES)) for person in sorted(persons)]
        with self._database:  # committed, and durable, before anything is returned
            self._database.executemany(
                "INSERT INTO person_keys (person, key) VALUES (?, ?) ON CONFLICT DO NOTHING", fresh
            )
        found = {person: self.existing(person) for person in persons}
        return {person: key for person, key in found.items() if key is not None}


def pseudonym(key: bytes, group: str | None, day: str) -> str:
    """Who somebody is in one group on one day (UTC, "2026-11-24", the day of the record's `t`).

    "p" and 16 letters: the first 80 bits of HMAC-SHA256(key, group || 0x00 || day) in base32, lower case.
    Records of no group count as the group "".
    """
    digest = hmac.digest(key, f"{group or ''}\0{day}".encode(), "sha256")
    return "p" + b32encode(digest[:_PSEUDONYM_BYTES]).decode().lower()


def open_for_reading(data_dir: Path) -> PersonKeys | None:
    """The store without the right to change it, for commands beside a running bot; None if there is none."""
    path = data_dir / FILE
    if not path.exists():
        return None
    return PersonKeys(connect_for_reading(path))


def connect_for_reading(path: Path) -> sqlite3.Connection:
    """A database that is there, without the right to change it."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10, check_same_thread=False)


def connect(data_dir: Path, *schema: str) -> sqlite3.Connection:
    """The database with these tables, made where they are missing. For one caller at a time, in whichever thread."""
    path = data_dir / FILE
    if not path.exists():
        disk.make_folder(data_dir)
        disk.create_once(path, b"", disk.SECRET_MODE)  # SQLite takes an empty file for an empty database
        disk.sync_directory(data_dir)
    # asyncio.to_thread uses whichever thread is free: one at a time, but not always the same one.
    database = sqlite_refused.connect(path, check_same_thread=False, timeout=10)
    database.execute("PRAGMA synchronous = FULL")
    database.execute("PRAGMA secure_delete = ON")
    for statement in schema:
        with closing(database.execute(statement)):
            database.commit()
    return database
