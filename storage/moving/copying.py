"""Copying tables from one engine to the other, compared at the end.

Rules kept here:
- A copy counts only if the target, read again, has the same rows in the same order as what was read from the source.
- A value of a kind that the column does not have ends the copy: SQLite keeps such values, PostgreSQL does not.
- Memory does not grow with the number of rows.

Left to others: which tables (`parts.py`), the transaction around it (`to_server.py`, `to_files.py`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from moderation.values.errors import Broken

from .fingerprint import Fingerprint, Row, RowDigest
from .server_tables import storable
from .shapes import TableShape

Progress = Callable[[int, int], None]  # rows done, all rows


def unheard(_done: int, _total: int) -> None:
    """Take a report that nobody waits for."""


_CLASSES = {"INTEGER": int, "TEXT": str, "BLOB": bytes}


class Source(Protocol):
    """Tables that are read."""

    def has(self, shape: TableShape) -> bool:
        """Tell whether there is this table."""

    def count(self, shape: TableShape) -> int:
        """Return the number of rows."""

    def portions(self, shape: TableShape) -> Iterator[list[Row]]:
        """Yield all rows in the order of their key."""


class Target(Source, Protocol):
    """Tables that are filled."""

    def put(self, shape: TableShape, portions: Iterable[list[Row]]) -> None:
        """Add rows."""


class Counter:
    """Counts the rows of several tables, and reports the sum."""

    def __init__(self, total: int, report: Progress) -> None:
        self._done = 0
        self._total = total
        self._report = report

    def add(self, rows: int) -> None:
        """Count rows in."""
        self._done += rows
        self._report(self._done, self._total)


def copy_tables(
    source: Source, target: Target, shapes: Sequence[TableShape], counter: Counter
) -> dict[str, Fingerprint]:
    """Copy tables, and compare. Return what each has. Raises `Broken` if a copy differs from what was read."""
    found = {}
    for shape in shapes:
        if source.has(shape):
            found[shape.name] = _copied(source, target, shape, counter)
    return found


def _copied(source: Source, target: Target, shape: TableShape, counter: Counter) -> Fingerprint:
    read, written = RowDigest(), RowDigest()
    target.put(shape, _noted(source.portions(shape), shape, read, counter))
    for rows in target.portions(shape):
        written.add(rows)
    if read.fingerprint != written.fingerprint:
        raise Broken(f"the copy of the table {shape.name} is not what was read: {written.rows} of {read.rows} rows")
    return read.fingerprint


def _noted(
    portions: Iterable[list[Row]], shape: TableShape, reading: RowDigest, counter: Counter
) -> Iterator[list[Row]]:
    classes = [_CLASSES[kind] for kind in shape.kinds]
    for portion in portions:
        rows = [storable(tuple(row)) for row in portion]
        for row in rows:
            for value, expected, column in zip(row, classes, shape.columns, strict=True):
                if value is not None and type(value) is not expected:
                    raise Broken(f"the table {shape.name} has a {type(value).__name__} in its column {column}")
        reading.add(rows)
        yield rows
        counter.add(len(rows))
