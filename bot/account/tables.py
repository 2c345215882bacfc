"""The small store of what the machines of one deployment share; without PostgreSQL there is one machine, and no store.

Left to others: the session (`kept_session.py`), the key files (`key_files.py`).
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from storage.database.fence import Epoch
from storage.database.place import DatabasePlace
from storage.database.small_store import SmallPlace, SmallStore, open_small_store, open_to_read
from storage.database.small_tables import Column, SmallTable, blobs, texts

SESSION = SmallTable("session", (Column("one", "INTEGER", "NOT NULL CHECK (one = 1)"), *blobs("sealed")), ("one",))
KEY_FILES = SmallTable("key_files", texts("file", "fingerprint"), ("file",))
ALL = (SESSION, KEY_FILES)


def place_of(place: DatabasePlace) -> SmallPlace:
    """Return the place of the store."""
    return SmallPlace(place, Path("account.sqlite3"), "account")


@contextmanager
def reading(place: DatabasePlace) -> Iterator[SmallStore | None]:
    """Yield the store to read; None if there is none yet. Raises `OSError`."""
    store = open_to_read(place_of(place)) if place.url is not None else None
    if store is None:
        yield None
        return
    with closing(store):
        yield store


@contextmanager
def writing(place: DatabasePlace, epoch: Epoch) -> Iterator[SmallStore]:
    """Yield the store in one transaction of the leader. Raises `OSError`, `Superseded`."""
    with closing(open_small_store(place_of(place), epoch)) as store, store.transaction():
        store.create(ALL)
        yield store
