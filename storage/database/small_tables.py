"""Tables of the small stores, described once for both engines, with the statements that write their rows.

Rules kept here:
- A description says all that a table has: both engines make the same table of it, and a copy needs nothing else.
- Numbers are whole numbers of 64 bits, texts compare by their bytes, and no column is numbered by the engine.
- Names are quoted wherever they are written: `user` is a word of PostgreSQL's own.

Left to others: which tables there are (each store has its own), the engines (`sqlite_small_store.py`,
`postgresql_small_store.py`).
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["TEXT", "INTEGER", "BLOB"]
Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `more`: its conditions, in SQL that both engines understand."""

    name: str
    kind: Kind
    more: str = "NOT NULL"


def texts(*names: str) -> tuple[Column, ...]:
    """Return columns of text."""
    return tuple(Column(name, "TEXT") for name in names)


def numbers(*names: str) -> tuple[Column, ...]:
    """Return columns of whole numbers."""
    return tuple(Column(name, "INTEGER") for name in names)


def blobs(*names: str) -> tuple[Column, ...]:
    """Return columns of bytes."""
    return tuple(Column(name, "BLOB") for name in names)


@dataclass(frozen=True, slots=True)
class Index:
    """An index of one table. The names of indexes are unique in a store."""

    name: str
    columns: Names
    unique: bool = False

    def create(self, table: "SmallTable") -> str:
        """Return the statement that makes it."""
        unique = "UNIQUE " if self.unique else ""
        return f'CREATE {unique}INDEX IF NOT EXISTS "{self.name}" ON "{table.name}" ({quoted(self.columns)})'


@dataclass(frozen=True, slots=True)
class SmallTable:
    """One table of a small store."""

    name: str
    columns: tuple[Column, ...]
    key: Names
    indexes: tuple[Index, ...] = ()

    @property
    def names(self) -> Names:
        """The names of its columns."""
        return tuple(column.name for column in self.columns)

    @property
    def is_numbered(self) -> bool:
        """True if its key is a single number."""
        return [column.kind for column in self.columns if column.name in self.key] == ["INTEGER"]

    def select(self) -> str:
        """Return the statement that reads all rows, by their key."""
        return f'SELECT {quoted(self.names)} FROM "{self.name}" ORDER BY {quoted(self.key)}'  # noqa: S608 - our words

    def insert(self) -> str:
        """Return the statement that adds a whole row."""
        marks = ", ".join("?" * len(self.columns))
        return f'INSERT INTO "{self.name}" ({quoted(self.names)}) VALUES ({marks})'  # noqa: S608 - our words

    def insert_if_new(self) -> str:
        """Return the statement that adds a whole row unless there is one with its key."""
        return f"{self.insert()} ON CONFLICT DO NOTHING"

    def put(self) -> str:
        """Return the statement that writes a whole row, in place of the one with its key."""
        rest = ", ".join(f'"{name}" = excluded."{name}"' for name in self.names if name not in self.key)
        return f"{self.insert()} ON CONFLICT ({quoted(self.key)}) DO UPDATE SET {rest}"


def quoted(names: Names) -> str:
    """Return names as a statement lists them."""
    return ", ".join(f'"{name}"' for name in names)
