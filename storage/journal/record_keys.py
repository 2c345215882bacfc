"""The record keys: one random key for each account, from which its pseudonyms in the records are derived.

Rules kept here:
- A key is durably stored before its first use, so that every written pseudonym can be computed again.
- Keys exist only here, so that destroying one unlinks that person's days in the records for good.
- The file is readable by its owner only, and deleted keys are overwritten in it (`storage/database/small_store.py`).
- Recording must go on without the key-wrapping key, so these keys are stored unwrapped (`wrapped_by` is NULL,
  decision 0020).
- All calls are synchronous and are made in the journal's worker thread, by one thread at a time.
Left to others: names and other claims about a person, in the same database under wrapped keys
(`storage/identity/store.py`); who may ask.
"""

import hmac
import secrets
from base64 import b32encode
from collections.abc import Collection, Iterable
from pathlib import Path

from moderation.values.ids import PersonId
from storage.database.fence import Epoch
from storage.database.place import DatabasePlace
from storage.database.small_store import SmallPlace, SmallStore, open_small_store, open_to_read
from storage.database.small_tables import Column, SmallTable, blobs, texts

FILE = "identity.sqlite3"
KEY_BYTES = 32
_PSEUDONYM_BYTES = 10  # 80 bits: two of a million people meet on one day with a chance below 10^-12
PERSON_KEYS = SmallTable(
    "person_keys", (*texts("person"), *blobs("key"), Column("wrapped_by", "TEXT", "")), ("person",)
)


class PersonKeys:
    """The keys of all persons. `open` creates the store if there is none."""

    def __init__(self, store: SmallStore) -> None:
        self._store = store
        self._cache: dict[PersonId, bytes] = {}

    @classmethod
    def open(cls, place: DatabasePlace, epoch: Epoch | None = None) -> "PersonKeys":
        """Open ``<data_dir>/identity.sqlite3`` (mode 0600), or create it."""
        store = open_small_store(place_of(place), epoch)
        with store.transaction():
            store.create((PERSON_KEYS,))
        return cls(store)

    def key_of(self, person: PersonId) -> bytes:
        """Return the key of a person; create it if there is none."""
        return self.keys_of((person,))[person]

    def keys_of(self, persons: Iterable[PersonId]) -> dict[PersonId, bytes]:
        """Return the keys of several persons; create the missing ones in one transaction."""
        wanted = set(persons)
        if missing := wanted - self._cache.keys():
            self._cache |= self._fetch_or_make(missing)
        return {person: self._cache[person] for person in wanted}

    def existing(self, person: PersonId) -> bytes | None:
        """Return the key of a person, or None if there is none; never create one."""
        row = self._store.execute("SELECT key FROM person_keys WHERE person = ?", (person,)).fetchone()
        return bytes(row[0]) if row else None

    def destroy(self, person: PersonId) -> None:
        """Destroy a person's key. If the person returns, they get a new one."""
        with self._store.transaction():
            self._store.execute("DELETE FROM person_keys WHERE person = ?", (person,))
        self._cache.pop(person, None)

    def keep_only(self, persons: Collection[str]) -> None:
        """Destroy the keys of everybody else."""
        rows = self._store.execute("SELECT person FROM person_keys").fetchall()
        for (person,) in rows:
            if person not in persons:
                self.destroy(PersonId(person))

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _fetch_or_make(self, persons: set[PersonId]) -> dict[PersonId, bytes]:
        fresh = [(person, secrets.token_bytes(KEY_BYTES)) for person in sorted(persons)]
        with self._store.transaction():  # committed, and durable, before anything is returned
            self._store.executemany("INSERT INTO person_keys (person, key) VALUES (?, ?) ON CONFLICT DO NOTHING", fresh)
        found = {person: self.existing(person) for person in persons}
        return {person: key for person, key in found.items() if key is not None}


def place_of(place: DatabasePlace) -> SmallPlace:
    """Return where the record keys are, and what members proved."""
    return SmallPlace(place, Path(FILE), "identity")


def pseudonym(key: bytes, group: str | None, day: str) -> str:
    """Return a person's pseudonym in one group on one day (UTC, "2026-11-24", the day of the record's `t`).

    It is "p" and 16 letters: the first 80 bits of HMAC-SHA256(key, group || 0x00 || day) in base32, lower case.
    Records without a group count as of the group "".
    """
    digest = hmac.digest(key, f"{group or ''}\0{day}".encode(), "sha256")
    return "p" + b32encode(digest[:_PSEUDONYM_BYTES]).decode().lower()


def open_for_reading(place: DatabasePlace) -> PersonKeys | None:
    """Open the store read-only, for commands while the bot runs; return None if there is no store."""
    store = open_to_read(place_of(place))
    return PersonKeys(store) if store else None
