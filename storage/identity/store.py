"""The identity store: what verified members proved about themselves, readable only with a key kept elsewhere.

Rules kept here:
- Names, addresses and numbers are sealed under a key of the person before they reach the database, and that key is
  wrapped by the key-wrapping key, so no file on the disk contains them.
- One identifier belongs to one person (`claims.blind` is unique).
- A seal binds every value to its person, method, field and claim, so that data moved or changed in the database is
  refused.
- Forgetting somebody destroys their key.
- Without the key-wrapping key everything can still be counted, forgotten and dropped when its time is over, but nothing
  added, found or read.

It is synchronous, to be called in worker threads, by any number of them: each call is atomic. Left to others: where the
key comes from (`bot/config/identity_key.py`), who may read and the record of it (`bot/admin/identity.py`), what a
method proves (`docs/verification.md`), pseudonyms (`storage/journal/record_keys.py`).
"""

import secrets
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

from moderation.values.errors import Broken, Refused
from moderation.values.ids import PersonId
from storage.database.fence import Epoch
from storage.database.place import DatabasePlace
from storage.database.small_store import SmallStore, open_small_store, open_to_read
from storage.journal.record_keys import place_of

from .blind_index import blinds
from .claim_rows import ClaimRows
from .claims import Claim, HeldClaim, IdentityStoreState, NewClaim, Row, Taken, check
from .keyring import INDEX, Keyring, Locked
from .sealing import Kek
from .tables import ALL, FORGOTTEN

__all__ = [
    "Claim",
    "HeldClaim",
    "IdentityStore",
    "IdentityStoreState",
    "Kek",
    "Locked",
    "NewClaim",
    "Taken",
    "open_for_reading",
]

Progress = Callable[[int, int], None]  # done, all


class IdentityStore:
    """All claims. `open` creates the store if there is none."""

    def __init__(self, database: SmallStore, kek: Kek | None) -> None:
        self._database = database
        self._mutex = threading.RLock()
        self._given = kek
        self._keyring = Keyring(database, kek)
        self._claims = ClaimRows(database, self._keyring)
        self.changed_from = ""  # the id of the previous key, if opening has finished an interrupted change

    @classmethod
    def open(cls, place: DatabasePlace, kek: Kek | None, epoch: Epoch | None = None) -> "IdentityStore":
        """Open ``<data_dir>/identity.sqlite3``, or create it.

        With the new key it continues an interrupted change. Without a key, with another key than it needs, or if its
        own keys were changed, it stays locked; `state` says why.
        """
        database = open_small_store(place_of(place), epoch)
        with database.transaction():
            database.create(ALL)
        store = cls(database, kek)
        if kek is not None and store._keyring.lock == "open":
            store._begin(kek)
        return store

    def close(self) -> None:
        """Close the database."""
        with self._mutex:
            self._database.close()

    # Claims.

    def add_claim(self, claim: NewClaim) -> str:
        """Store a claim durably, replacing one of the same person with the same identifier. Returns its id.

        Raises `Taken` if the identifier is somebody else's, `Locked`, `Invalid` for a field that cannot be one.
        """
        check(claim)
        with self._whole():
            index = self._index()
            marks = blinds(index, claim.method, claim.issuer, claim.identifier)
            earlier = [row for each in marks for row in self._claims.marked(each)]
            for row in earlier:
                if row.person != claim.person:
                    raise Taken(PersonId(row.person))
            for row in earlier:
                self._claims.drop(row.id)
            key = self._keyring.get_or_make(claim.person)
            number = secrets.token_hex(16)
            row = Row(number, claim.person, claim.method, claim.issuer, marks[0], claim.created_ms, claim.expires_ms)
            self._claims.insert(row, claim.record, key, claim.fields)
            return number

    def note_record(self, claim: str, record: int) -> None:
        """Note the record of the verification."""
        with self._whole():
            self._database.execute("UPDATE claims SET record = ? WHERE id = ?", (record, claim))

    def find(self, method: str, issuer: str, identifier: str) -> PersonId | None:
        """Return whose identifier this is; None if nobody used it.

        Raises `Locked`, or `Broken` if the row was changed.
        """
        with self._mutex:
            self._keyring.must_be_open()
            index = self._keyring.get(INDEX)
            if index is None:
                return None
            for mark in blinds(index, method, issuer, identifier):
                for row in self._claims.marked(mark):
                    self._claims.must_be_sealed(row)
                    return PersonId(row.person)
            return None

    def claims_of(self, person: PersonId) -> tuple[Claim, ...]:
        """Return all claims of a person, opened, oldest first. Raises `Locked`, or `Broken` if anything was changed."""
        with self._mutex:
            self._keyring.must_be_open()
            return tuple(map(self._claims.opened, self._claims.of_person(person)))

    def held_of(self, person: PersonId) -> tuple[HeldClaim, ...]:
        """Return a person's claims unopened, oldest first; the store need not be open."""
        with self._mutex:
            return tuple(map(self._claims.held, self._claims.of_person(person)))

    def expired(self, now_ms: int) -> tuple[HeldClaim, ...]:
        """Return the claims whose time is over; the store need not be open."""
        with self._mutex:
            return tuple(map(self._claims.held, self._claims.ended_by(now_ms)))

    def must_be_open(self) -> None:
        """Raise `Locked` unless the store is open; to be called before anything that needs the key is begun."""
        with self._mutex:
            self._keyring.must_be_open()

    def persons(self) -> frozenset[PersonId]:
        """Return everybody with claims; the store need not be open."""
        with self._mutex:
            return frozenset(PersonId(row[0]) for row in self._database.execute("SELECT person FROM claims"))

    # Forgetting; the store need not be open.

    def forget(self, person: PersonId) -> int:
        """Destroy a person's claims and their key. Returns how many claims there were."""
        with self._whole():
            return self._forget(person)

    def keep_marks(self, person: PersonId) -> int:
        """Destroy the content of a person's claims, leaving only marks that their identifiers were used.

        Returns how many. The marks reveal a second account of somebody who may not come back. A new key replaces the
        old one. Without the key-wrapping key the marks stay under the old one.
        """
        with self._whole():
            held = [each for each in self.held_of(person) if each.fields]
            if held and self._keyring.lock == "open":
                self._seal_again(person)
            self._claims.strip(each.id for each in held)
            return len(held)

    def keep_only(self, persons: Collection[str]) -> int:
        """Forget all others: an older copy of the database may have brought them back. Returns how many persons."""
        with self._whole():
            gone = sorted(self.persons() - set(persons))
            for person in gone:
                self._forget(person)
            return len(gone)

    def drop(self, claims: Collection[str], stripped: Collection[str] = ()) -> None:
        """Drop claims, and the keys of persons who have none left; of the `stripped` keep the marks."""
        with self._whole():
            before = self.persons()
            for claim in claims:
                self._claims.drop(claim)
            self._claims.strip(stripped)
            for person in before - self.persons():
                self._keyring.destroy(person)
                self._note_forgotten()

    def move(self, person_from: PersonId, person_to: PersonId, *, only: str | None = None) -> int:
        """Move one person's claims to another: both accounts belong to one person. Returns how many. Raises `Locked`.

        With `only`, the id of a claim, the others stay: that they belong to one person was a mistake.
        """
        if person_from == person_to:
            return 0
        with self._whole():
            every = self._claims.of_person(person_from)
            rows = [row for row in every if only in (None, row.id)]
            if rows:
                self._keyring.must_be_open()
                self._claims.hand_over(rows, person_to)
            if len(rows) == len(every):
                self._keyring.destroy(person_from)
            return len(rows)

    # Other data in the same database, under keys that belong to no person.

    @contextmanager
    def apart(self, owner: str) -> Iterator[tuple[SmallStore, bytes]]:
        """Yield the database in one transaction, and the key of an owner that is no person. Raises `Locked`."""
        with self._whole():
            yield self._database, self._keyring.get_or_make(owner)

    # The key-wrapping key.

    def may_rotate(self, new: Kek) -> str:
        """Return the id of the key that `new` may replace. Raises what `rotate` would, before anything is begun."""
        with self._mutex:
            return self._keyring.may_change(new)

    def rotate(self, new: Kek, progress: Progress = lambda _done, _of: None) -> int:
        """Wrap all keys by `new`; others are served in between. Returns how many keys.

        Can be interrupted anywhere, and called again with the same key: then it continues. After the first step `new`
        opens everything; after the last the old key opens nothing. Raises `Refused`, `Locked`.
        """
        with self._mutex:
            with self._whole():
                self._keyring.note_change(new)
            self._keyring.take_up(new)
            left = total = self._keyring.left_to_change()
        progress(0, total)
        while left:
            with self._whole():
                left = self._keyring.change_some()
            progress(total - left, total)
        with self._whole():
            self._keyring.end_change()
            self._database.execute("DELETE FROM forgotten")
        self._keyring.drop_old()
        return total

    def reset(self) -> int:
        """Destroy everything that a lost key would open, and start again with the given key, if any.

        Returns how many claims there were. Raises `Refused` if the store is open: then nothing is lost.
        """
        with self._mutex:
            if self._keyring.lock == "open":
                raise Refused("identity.not-lost")
            with self._whole():
                count = self._count("SELECT count(*) FROM claims")
                for table in ALL:  # the roster is sealed under a key that is destroyed, too
                    self._database.execute(f"DELETE FROM {table.name}")  # noqa: S608 - our words
            self._keyring = Keyring(self._database, self._given)
            self._claims = ClaimRows(self._database, self._keyring)
            if self._given is not None:
                self._begin(self._given)
            return count

    def state(self) -> IdentityStoreState:
        """Return the state of the store."""
        with self._mutex:
            ring, count = self._keyring, self._count
            return IdentityStoreState(
                lock=ring.lock,
                key=ring.current,
                used=ring.used,
                changing_to=ring.changing_to,
                left=ring.left_to_change() if ring.changing_to else 0,
                persons=count("SELECT count(DISTINCT person) FROM claims"),
                claims=count("SELECT count(*) FROM claims"),
                forgotten=count("SELECT coalesce(sum(count), 0) FROM forgotten"),
            )

    # Pieces.

    def _begin(self, kek: Kek) -> None:
        try:
            with self._whole():
                self._index()  # made now, so that another key is recognised from the first day
        except Broken:
            self._keyring.is_damaged()
            return
        if self._keyring.changing_to:
            with suppress(Broken):  # the key of one person was changed: the others can still be read
                was = self.may_rotate(kek)
                self.rotate(kek)
                self.changed_from = was

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Run one transaction, in one thread at a time; afterwards all of it is durable, or nothing."""
        with self._mutex, self._database.transaction():
            yield

    def _index(self) -> bytes:
        return self._keyring.get_or_make(INDEX)

    def _seal_again(self, person: PersonId) -> None:
        rows = self._claims.of_person(person)
        for row in rows:
            self._claims.must_be_sealed(row)
        self._keyring.destroy(person)
        self._note_forgotten()
        self._claims.seal_again(rows, person)

    def _forget(self, person: PersonId) -> int:
        rows = self._claims.of_person(person)
        for row in rows:
            self._claims.drop(row.id)
        self._keyring.destroy(person)
        if rows:
            self._note_forgotten()
        return len(rows)

    def _note_forgotten(self) -> None:
        more = " ON CONFLICT (one) DO UPDATE SET count = forgotten.count + 1"
        self._database.execute(FORGOTTEN.insert() + more, (1, 1))

    def _count(self, query: str) -> int:
        return int(self._database.execute(query).fetchone()[0])


def open_for_reading(place: DatabasePlace, kek: Kek | None) -> IdentityStore | None:
    """Open the store without the right to change it, for commands while a bot runs; None if there is none yet."""
    database = open_to_read(place_of(place))
    if database is None:
        return None
    if not database.has(FORGOTTEN):  # made by a bot of an earlier version, or no bot has finished starting
        database.close()
        return None
    return IdentityStore(database, kek)
