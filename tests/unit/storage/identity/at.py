"""The place of an identity store, on one engine, and what is kept there beside our own code."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.database.place import DatabasePlace
from storage.database.small_store import open_small_store, open_to_read
from storage.identity import tables
from storage.identity.sealing import Kek
from storage.identity.store import IdentityStore
from storage.journal.record_keys import PERSON_KEYS, PersonKeys, place_of
from tests.postgres.engines import Engine


@dataclass(frozen=True)
class At:
    """One data directory, and the database that goes with it."""

    engine: Engine
    folder: Path

    @property
    def place(self) -> DatabasePlace:
        """Return the place."""
        return self.engine.place(self.folder)

    def identity(self, kek: Kek | None) -> IdentityStore:
        """Open the identity store."""
        return IdentityStore.open(self.place, kek, self.engine.epoch())

    def keys(self) -> PersonKeys:
        """Open the record keys."""
        return PersonKeys.open(self.place, self.engine.epoch())

    def sql(self, statement: str, *values: object) -> list[Any]:
        """Do something in the database as somebody who can write to it; return the rows that were asked for."""
        with self.beside() as sql:
            return sql(statement, *values)

    @contextmanager
    def beside(self) -> Iterator[Callable[..., list[Any]]]:
        """Provide what `sql` does, for many statements in one session, each of which is a transaction."""
        with closing(open_small_store(place_of(self.place), self.engine.epoch())) as store:

            def sql(statement: str, *values: object) -> list[Any]:
                with store.transaction():
                    found = store.execute(statement, values)
                    return found.fetchall() if statement.startswith("SELECT") else []

            yield sql

    def kept(self) -> bytes:
        """Return all that is kept: the files with what was deleted in them, or the rows of all tables."""
        if self.place.url is None:
            return b"".join(path.read_bytes() for path in self.folder.iterdir())
        store = open_to_read(place_of(self.place))
        assert store is not None
        with closing(store):
            made = [table for table in (*tables.ALL, PERSON_KEYS) if store.has(table)]
            rows = [row for table in made for row in store.execute(table.select())]
        return b" ".join(each if isinstance(each, bytes) else str(each).encode() for row in rows for each in row)
