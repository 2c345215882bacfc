"""The tables to copy, in words that both engines share.

Rules kept here:
- Every column is a whole number of 64 bits, a text or bytes; what else the tables have (indexes, defaults) is made by
  their owners.

Left to others: rows (`file_tables.py`, `server_tables.py`).
"""

from dataclasses import dataclass

from sqlalchemy import Integer, Table

from storage.database.small_tables import Kind, SmallTable
from storage.schema import metadata


@dataclass(frozen=True, slots=True)
class TableShape:
    """One table: its columns in order, and those by which its rows are in order."""

    name: str
    columns: tuple[str, ...]
    kinds: tuple[Kind, ...]
    key: tuple[str, ...]
    counter: str = ""  # the column that counts up by itself


def state_shapes() -> tuple[TableShape, ...]:
    """Return the tables of the state database; a table comes after those that it refers to."""
    return tuple(map(_of_state, metadata.sorted_tables))


def small_shape(table: SmallTable) -> TableShape:
    """Return a table of a small store."""
    return TableShape(table.name, table.names, tuple(column.kind for column in table.columns), table.key)


def _of_state(table: Table) -> TableShape:
    columns = tuple(table.columns)
    kinds: tuple[Kind, ...] = tuple("INTEGER" if isinstance(each.type, Integer) else "TEXT" for each in columns)
    counters = [each.name for each in columns if each.autoincrement is True]
    key = tuple(each.name for each in table.primary_key)
    return TableShape(table.name, tuple(each.name for each in columns), kinds, key, "".join(counters))
