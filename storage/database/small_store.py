"""The small stores: few tables that are read and written synchronously, such as keys.

A small store is a file of SQLite in the data directory, or a schema of its own in PostgreSQL. Its statements mean the
same on both: values stand for `?`, and tables are described by `small_tables.py`.

Rules kept here:
- Changes are made in `transaction` only. They are durable when it ends, and undone as a whole if it raises.
- What fails because of a disk, a server or a connection raises `OSError`, with the driver's error as its cause. Any
  other error of a driver is a defect of ours.
- In PostgreSQL only the leader of an epoch makes changes.
- A store of a newer program is not opened by its owner: `version` tells.

Left to others: one caller at a time, and the contents (`bot/crypto/store.py`, `storage/journal/record_keys.py`,
`storage/identity/store.py`).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from moderation.values.errors import Broken

from .fence import Epoch
from .place import DatabasePlace
from .server_seen import ServerSeen
from .small_tables import SmallTable
from .sqlite_small_store import SqliteSmallStore

if TYPE_CHECKING:
    from .postgresql_small_store import PostgresqlSmallStore


class Rows(Protocol):
    """The rows that a statement found."""

    @property
    def rowcount(self) -> int:
        """The number of rows that were written."""

    def fetchone(self) -> Any:
        """Return the next row, or None."""

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows that are left."""


class SmallStore(Protocol):
    """An open store. Open it with `open_small_store` or `open_to_read`."""

    def execute(self, sql: str, values: Sequence[object] = ()) -> Rows:
        """Execute one statement. Raises `OSError`."""

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute one statement for each row. Raises `OSError`."""

    def transaction(self) -> AbstractContextManager[None]:
        """Return the block in which changes are made. Raises `OSError`."""

    def create(self, tables: Iterable[SmallTable]) -> None:
        """Create those of the tables that are missing."""

    def has(self, table: SmallTable) -> bool:
        """Tell whether this table exists."""

    @property
    def version(self) -> int:
        """The version of the tables; 0 in a new store, and in one without versions."""

    def set_version(self, version: int) -> None:
        """Note the version of the tables."""

    def server(self) -> ServerSeen | None:
        """Return the server, inside of `transaction`; None for a file, or if it is not known. Raises `OSError`."""

    def close(self) -> None:
        """Close the store."""


@dataclass(frozen=True, slots=True)
class SmallPlace:
    """The place of one small store. `file`: relative to the data directory; `name`: in PostgreSQL."""

    place: DatabasePlace
    file: Path
    name: str

    @property
    def path(self) -> Path:
        """The file of the store if it is SQLite's."""
        return self.place.data_dir / self.file

    @property
    def schema(self) -> str:
        """The schema of the store in PostgreSQL. No shard is called so: `$` is in no shard's name."""
        return f"{self.place.schema}${self.name}"

    def __str__(self) -> str:
        return str(self.path) if self.place.url is None else f"{self.name} in {self.place}"


def is_there(where: SmallPlace) -> bool:
    """Tell whether there is a store. Raises `OSError`."""
    if where.place.url is None:
        return where.path.exists()
    store = open_to_read(where)
    if store is not None:
        store.close()
    return store is not None


def open_small_store(where: SmallPlace, epoch: Epoch | None = None, *, often: bool = False) -> SmallStore:
    """Open a store, or create it, readable for its owner only. Any thread may use it, one at a time.

    `epoch`: that of the leader, who alone may change what is in PostgreSQL. `often`: it is written many times a minute.
    Raises `OSError`, `Superseded`.
    """
    if where.place.url is not None:
        if epoch is None:
            raise Broken(f"only its leader may open {where} to change it")
        return _postgresql().open(where.place, where.schema, epoch)
    return SqliteSmallStore.open(where.path, wal=often)


def open_to_read(where: SmallPlace) -> SmallStore | None:
    """Open a store without the right to change it; return None if there is none. Raises `OSError`."""
    if where.place.url is not None:
        return _postgresql().open_to_read(where.place, where.schema)
    return SqliteSmallStore.open_to_read(where.path) if where.path.exists() else None


def names_in(place: DatabasePlace) -> list[str]:
    """Return the names of the stores that a place in PostgreSQL has. Raises `OSError`."""
    return _postgresql().names_in(place, f"{place.schema}$")


def _postgresql() -> "type[PostgresqlSmallStore]":
    """Return the engine, loaded only where it is used: without PostgreSQL there is no driver."""
    from .postgresql_small_store import PostgresqlSmallStore

    return PostgresqlSmallStore
