"""Wrapped keys: one identity key per person, and the key of the index, each sealed by the key-wrapping key.

Rules kept here:
- A key is durably stored before it is first used.
- Every row names the key that wraps it, so that a wrong key is recognised before it is tried.
- No key is made while some rows belong to a key that is missing, or there could be two keys of the index.
- The key-wrapping key is changed some rows at a time: a row in `key_change` says so, with the old key sealed by the new
  one, and is deleted with the last row that the old key wrapped. Meanwhile the new key opens everything, and nothing
  leads from the old key to the new one. After a crash the holder of the new key can continue.

Left to others: one caller at a time, transactions (`store.py`).
"""

import secrets
from typing import Literal

from moderation.values.errors import Broken, Refused
from moderation.values.ids import PersonId
from storage.database.small_store import SmallStore

from .sealing import KEY_BYTES, Kek, seal, unseal
from .tables import KEY_CHANGE, WRAPPED_KEYS

INDEX = "index"  # no person has this name
AT_ONCE = 500  # keys wrapped again in one transaction: some milliseconds

Lock = Literal["open", "no_key", "other_key", "unfinished", "damaged"]


class Locked(Refused):
    """The store cannot be opened with the given key, if any; `why` gives the reason."""

    def __init__(self, why: Lock) -> None:
        super().__init__("identity.locked")
        self.why = why


class Keyring:
    """The wrapped keys of one database, and the keys that open them."""

    def __init__(self, database: SmallStore, kek: Kek | None) -> None:
        self._database = database
        self._keks: dict[str, Kek] = {}
        self._current = kek.id if kek else ""
        self.lock: Lock = "no_key"
        if kek is not None:
            self._keks[kek.id] = kek
            try:
                self.lock = self._try(kek)
            except Broken:
                self.lock = "damaged"

    @property
    def current(self) -> str:
        """The id of the key that wraps new keys; "" without a key."""
        return self._current

    @property
    def used(self) -> tuple[str, ...]:
        """The ids of the keys that wrap what is there."""
        rows = self._database.execute("SELECT DISTINCT wrapped_by FROM wrapped_keys ORDER BY wrapped_by")
        return tuple(row[0] for row in rows)

    @property
    def changing_to(self) -> str:
        """The id of the key to which the store is being changed; "" if it is not."""
        row = self._change()
        return row[1] if row else ""

    def is_damaged(self) -> None:
        """Give no more keys: one of those that are kept cannot be opened."""
        self.lock = "damaged"

    def must_be_open(self) -> None:
        """Raise `Locked` unless the store is open."""
        if self.lock != "open":
            raise Locked(self.lock)

    def get(self, owner: PersonId | str) -> bytes | None:
        """Return an existing key, or None. Raises `Locked`, or `Broken` if it was changed."""
        self.must_be_open()
        row = self._database.execute("SELECT wrapped, wrapped_by FROM wrapped_keys WHERE owner = ?", (owner,))
        found = row.fetchone()
        return self._unwrap(owner, *found) if found else None

    def get_or_make(self, owner: PersonId | str) -> bytes:
        """Return a key, made now if there is none; use it only once the transaction is committed."""
        self.must_be_open()
        if found := self.get(owner):
            return found
        key = secrets.token_bytes(KEY_BYTES)
        values = (owner, self._wrap(owner, key), self._current)
        self._database.execute(WRAPPED_KEYS.insert(), values)
        return key

    def destroy(self, owner: PersonId) -> None:
        """Destroy a key, so that what it sealed can no longer be read."""
        self._database.execute("DELETE FROM wrapped_keys WHERE owner = ?", (owner,))

    # Changing the key-wrapping key.

    def may_change(self, new: Kek) -> str:
        """Return the id of the key that `new` may replace.

        Raises `Refused` if `new` is the key in use, or a change to another key is under way; `Locked` if it is not
        open.
        """
        change = self._change()
        if change is not None:
            if change[1] != new.id:
                raise Refused("identity.change-other", new=change[1])
            return change[0]
        self.must_be_open()
        if new.id == self._current:
            raise Refused("identity.same-key", id=new.id)
        return self._current

    def note_change(self, new: Kek) -> None:
        """Write down that the store is being changed to `new`, unless that is noted. Raises as `may_change` does."""
        old = self.may_change(new)
        if self._change() is None:
            sealed = seal(new.secret, self._keks[old].secret, "change", old, new.id)
            self._database.execute(KEY_CHANGE.insert(), (1, old, new.id, sealed))

    def take_up(self, new: Kek) -> None:
        """Wrap by the new key from now on, once the change is durably noted; it leads to the old key."""
        self._keks[new.id] = new
        self._current = new.id
        self.lock = self._try(new)
        self.must_be_open()

    def change_some(self) -> int:
        """Wrap some keys again. Returns how many are left."""
        query = "SELECT owner, wrapped, wrapped_by FROM wrapped_keys WHERE wrapped_by != ? LIMIT ?"
        for owner, wrapped, by in self._database.execute(query, (self._current, AT_ONCE)).fetchall():
            anew = self._wrap(owner, self._unwrap(owner, wrapped, by))
            values = (anew, self._current, owner)
            self._database.execute("UPDATE wrapped_keys SET wrapped = ?, wrapped_by = ? WHERE owner = ?", values)
        return self.left_to_change()

    def left_to_change(self) -> int:
        """Return how many keys are still wrapped by the old key."""
        query = "SELECT count(*) FROM wrapped_keys WHERE wrapped_by != ?"
        return int(self._database.execute(query, (self._current,)).fetchone()[0])

    def end_change(self) -> None:
        """End the change: from now on the old key opens nothing."""
        self._database.execute("DELETE FROM key_change")

    def drop_old(self) -> None:
        """Forget the old key, once the end of the change is durable."""
        self._keks = {self._current: self._keks[self._current]}

    # Pieces.

    def _try(self, kek: Kek) -> Lock:
        """Return whether this key opens everything; while a change is under way the new key leads to the old one."""
        if (change := self._change()) is not None:
            old, new, sealed = change
            if new != kek.id:
                return "unfinished" if old == kek.id else "other_key"
            self._keks[old] = Kek(unseal(kek.secret, sealed, "change", old, new))
        return "open" if self._keks.keys() >= set(self.used) else "other_key"

    def _change(self) -> tuple[str, str, bytes] | None:
        rows = self._database.execute("SELECT old, new, sealed FROM key_change")
        found: tuple[str, str, bytes] | None = rows.fetchone()
        return found

    def _wrap(self, owner: str, key: bytes) -> bytes:
        return seal(self._keks[self._current].secret, key, "key", owner, self._current)

    def _unwrap(self, owner: str, wrapped: bytes, by: str) -> bytes:
        if by not in self._keks:
            raise Locked("other_key")
        return unseal(self._keks[by].secret, wrapped, "key", owner, by)
