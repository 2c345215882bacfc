"""Rows in a schema of PostgreSQL, to be copied or to be made.

Rules kept here:
- Rows go by the transaction that the caller began on this connection; all that is read is of one moment only if that
  transaction is a snapshot.
- PostgreSQL has no U+0000 in texts: it becomes U+FFFD, as in all that is written there (`psycopg_driver.py`).
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from storage.database.small_tables import quoted

from .file_tables import PORTION
from .fingerprint import Row
from .shapes import TableShape

if TYPE_CHECKING:
    import psycopg

_TYPES = {"INTEGER": "int8", "TEXT": "text", "BLOB": "bytea"}


class ServerTables:
    """The tables of one schema."""

    def __init__(self, database: "psycopg.Connection[Any]", schema: str) -> None:
        self._database = database
        self._schema = schema

    def has(self, shape: TableShape) -> bool:
        """Tell whether there is this table."""
        found = self._database.execute("SELECT to_regclass(%s)::text", [self._name(shape)]).fetchone()
        return found is not None and found[0] is not None

    def count(self, shape: TableShape) -> int:
        """Return the number of rows."""
        row = self._database.execute(f"SELECT count(*) FROM {self._name(shape)}").fetchone()  # noqa: S608
        return int(row[0]) if row else 0

    def portions(self, shape: TableShape) -> Iterator[list[Row]]:
        """Yield all rows in the order of their key."""
        sql = f"SELECT {quoted(shape.columns)} FROM {self._name(shape)} ORDER BY {quoted(shape.key)}"  # noqa: S608
        with self._database.cursor(f"move {shape.name}", binary=True) as cursor:
            cursor.execute(sql)
            while rows := cursor.fetchmany(PORTION):
                yield rows

    def put(self, shape: TableShape, portions: Iterable[list[Row]]) -> None:
        """Add rows."""
        sql = f"COPY {self._name(shape)} ({quoted(shape.columns)}) FROM STDIN (FORMAT BINARY)"
        with self._database.cursor() as cursor, cursor.copy(sql) as copy:
            copy.set_types([_TYPES[kind] for kind in shape.kinds])
            for rows in portions:
                for row in rows:
                    copy.write_row(row)
        if shape.counter:
            self._count_on(shape)

    def clear(self, shape: TableShape) -> None:
        """Remove all rows."""
        self._database.execute(f"DELETE FROM {self._name(shape)}")  # noqa: S608

    def _count_on(self, shape: TableShape) -> None:
        """Let the counter of a table go on after its last row."""
        last = f'(SELECT max("{shape.counter}") FROM {self._name(shape)})'  # noqa: S608
        sql = f"SELECT setval(pg_get_serial_sequence(%s, %s), greatest(1, {last}), {last} IS NOT NULL)"
        self._database.execute(sql, [self._name(shape), shape.counter])

    def _name(self, shape: TableShape) -> str:
        return f'"{self._schema}"."{shape.name}"'


def storable(row: Row) -> Row:
    """Return a row as PostgreSQL can hold it."""
    if any(isinstance(value, str) and "\0" in value for value in row):
        return tuple(value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in row)
    return row
