"""The lines of a log in a table of PostgreSQL: `LineLog` on `answerable_shared.log`.

Rules kept here:
- Whatever is written is durable when the call returns, and was written in the epoch that the writer holds.
- A new line costs one round trip: the check of the epoch, that of the place and the insertion are one statement.
- Calls from several threads take turns.
- A line is returned, or written at another place, only if its MAC holds.
- Errors of the server are raised as SQLAlchemy raises them, so that they are handled as those of the state tables.
Left to others: what the lines are (`line_format.py`), the tables (`storage/database/shared_tables.py`).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from threading import RLock
from typing import Any, Final

import psycopg
from sqlalchemy.exc import DBAPIError

from moderation.values.errors import Broken
from storage.database.fence import Epoch, is_superseded

from .line_log import PlacedLine, SharedCheckpoint
from .line_mac import LineKey

_AT_ONCE: Final = 1_000  # lines in one statement; a line has some 500 bytes

_END: Final = "SELECT coalesce(max(idx) + 1, 0) FROM answerable_shared.log WHERE shard = %(shard)s"
_APPEND: Final = """
WITH led AS MATERIALIZED (SELECT answerable_shared.must_lead(%(shard)s, %(epoch)s, %(holder)s))
INSERT INTO answerable_shared.log (shard, idx, day, line, mac)
SELECT %(shard)s, %(start)s + given.n - 1, given.day, given.line, given.mac
FROM led, unnest(%(days)b::text[], %(lines)b::bytea[], %(macs)b::bytea[]) WITH ORDINALITY AS given (day, line, mac, n)
WHERE %(start)s = (SELECT coalesce(max(idx) + 1, 0) FROM answerable_shared.log WHERE shard = %(shard)s)
"""
_READ: Final = """
SELECT idx, day, line, mac FROM answerable_shared.log WHERE shard = %s AND idx >= %s ORDER BY idx LIMIT %s
"""
_READ_THESE: Final = """
SELECT idx, day, line, mac FROM answerable_shared.log WHERE shard = %s AND idx = ANY(%s::bigint[])
"""
_REWRITE: Final = """
UPDATE answerable_shared.log AS l SET day = given.day, line = given.line, mac = given.mac
FROM unnest(%(indices)b::bigint[], %(days)b::text[], %(lines)b::bytea[], %(macs)b::bytea[])
    AS given (idx, day, line, mac)
WHERE l.shard = %(shard)s AND l.idx = given.idx
"""
_ERASED: Final = """
INSERT INTO answerable_shared.erased (shard, below) VALUES (%s, %s)
ON CONFLICT (shard) DO UPDATE SET below = excluded.below
"""
_CLOSED_AGAIN: Final = """
DELETE FROM answerable_shared.checkpoints WHERE shard = %(shard)s AND day = %(day)s AND day <> '' AND size <> %(size)s
"""
_CHECKPOINT: Final = """
INSERT INTO answerable_shared.checkpoints AS c (shard, day, size, number, note, stamp)
VALUES (%(shard)s, %(day)s, %(size)s,
    (SELECT coalesce(max(number), 0) + 1 FROM answerable_shared.checkpoints WHERE shard = %(shard)s),
    %(note)s, %(stamp)s)
ON CONFLICT (shard, day, size) DO UPDATE SET number = excluded.number, note = excluded.note,
    stamp = coalesce(excluded.stamp, c.stamp)
WHERE c.note <> excluded.note OR c.stamp IS DISTINCT FROM coalesce(excluded.stamp, c.stamp)
"""
_SUPERSEDED: Final = """
DELETE FROM answerable_shared.checkpoints WHERE shard = %(shard)s AND day = '' AND %(day)s <> '' AND size <
    (SELECT max(size) FROM answerable_shared.checkpoints WHERE shard = %(shard)s AND day <> '' AND size < %(size)s)
"""
_CHECKPOINTS: Final = """
SELECT number, day, size, note, stamp FROM answerable_shared.checkpoints
WHERE shard = %s AND number > %s AND (size > %s OR day <> '') ORDER BY number
"""
_NEWEST: Final = """
SELECT number, day, size, note, stamp FROM answerable_shared.checkpoints
WHERE shard = %s ORDER BY size DESC, day DESC LIMIT 1
"""
_REMOVE: Final = "DELETE FROM answerable_shared.log WHERE shard = %s AND idx < %s"
_ERASED_TO: Final = "SELECT coalesce(max(below), 0) FROM answerable_shared.erased WHERE shard = %s"
_OPEN_DAY: Final = """
SELECT idx, day, line, mac FROM answerable_shared.log WHERE shard = %(shard)s AND day = %(day)s AND idx >=
    (SELECT coalesce(max(size), 0) FROM answerable_shared.checkpoints WHERE shard = %(shard)s AND day <> '')
ORDER BY idx LIMIT %(most)s
"""


class PostgresLines:
    """The lines of one log. Without an epoch they can only be read, and without a key only counted."""

    def __init__(
        self,
        connection: "psycopg.Connection[Any]",
        shard: str,
        epoch: Epoch | None = None,
        key: LineKey | None = None,
    ) -> None:
        """Take a connection in autocommit; it is closed with this."""
        self._line_key = key
        self._db = connection
        self._shard = shard
        self._epoch = epoch
        self._turn = RLock()

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def end(self) -> int:
        """Return the number of lines there have been."""
        return int(self._one(_END, {"shard": self._shard})[0])

    def append(self, start: int, lines: Sequence[tuple[str, bytes]]) -> None:
        """Add lines, each with its day. Raises `Broken` if `start` is not the end, `Superseded`, `DBAPIError`."""
        epoch, mac = self._must_write(), self._key.mac
        given = {
            "days": [day for day, _ in lines],
            "lines": [line for _, line in lines],
            "macs": [mac(index, day, line) for index, (day, line) in enumerate(lines, start)],
            "start": start,
        }
        with self._turned() as db:
            led = {"shard": self._shard, "epoch": epoch.number, "holder": epoch.holder}
            done = db.execute(_APPEND, led | given)
            if done.rowcount != len(lines):
                db.execute(epoch.check_sql)  # the usual reason: another process leads, and has written
                raise Broken(f"the table of the log does not end before record {start}")

    def read(self, start: int, most: int = _AT_ONCE) -> list[PlacedLine]:
        """Return at most `most` lines from `start` on, in order. Raises `Unproved`."""
        with self._turned() as db:
            return self._checked(db.execute(_READ, (self._shard, start, most), binary=True).fetchall())

    def rewrite(self, lines: Iterable[tuple[int, bytes]], erased_to: int) -> None:
        """Replace lines, then note that all erasures below `erased_to` are applied. Raises `Unproved`."""
        left = iter(lines)
        while some := dict(islice(left, _AT_ONCE)):
            with self._writing() as db:
                old = self._checked(db.execute(_READ_THESE, (self._shard, list(some)), binary=True).fetchall())
                new = [PlacedLine(each.index, each.day, some[each.index]) for each in old]
                self._put(db, [each for each in new if each not in old])
        self._write((_ERASED, (self._shard, erased_to)))

    def erased_to(self) -> int:
        """Return the index up to which all erasures are applied to the table."""
        return int(self._one(_ERASED_TO, (self._shard,))[0])

    def remove_below(self, index: int) -> None:
        """Remove the lines before `index`, which a purge removed from the files. Checkpoints that close days stay."""
        self._write((_REMOVE, (self._shard, index)))

    def move_day(self, old: str, new: str) -> None:
        """Move all lines of the open day `old` to another one. Raises `Unproved`."""
        given = {"shard": self._shard, "day": old, "most": _AT_ONCE}
        with self._writing() as db:
            while lines := self._checked(db.execute(_OPEN_DAY, given, binary=True).fetchall()):
                self._put(db, [PlacedLine(each.index, new, each.line) for each in lines])

    def put_checkpoint(self, day: str, size: int, note: str, stamp: bytes | None = None) -> None:
        """Keep a checkpoint; a later one of the same day replaces it.

        When a day is closed, the checkpoints from before the day ahead of it go, except those that closed a day.
        """
        given = {"shard": self._shard, "day": day, "size": size, "note": note, "stamp": stamp}
        self._write((_CLOSED_AGAIN, given), (_CHECKPOINT, given), (_SUPERSEDED, given))

    def checkpoints(self, after: int, above: int) -> list[SharedCheckpoint]:
        """Return what was added or changed after number `after`, in that order: of sizes over `above`, or of days."""
        with self._turned() as db:
            rows = db.execute(_CHECKPOINTS, (self._shard, after, above)).fetchall()
        return [SharedCheckpoint(*row) for row in rows]

    def newest(self) -> SharedCheckpoint | None:
        """Return the checkpoint of the largest size."""
        row = self._one(_NEWEST, (self._shard,))
        return SharedCheckpoint(*row) if row else None

    @property
    def _key(self) -> LineKey:
        if self._line_key is None:
            raise Broken("this log was opened without the key of its lines")
        return self._line_key

    def _checked(self, rows: Iterable[tuple[int, str, bytes, bytes]]) -> list[PlacedLine]:
        """Return the lines of rows. Raises `Unproved` unless each was written with the log's key."""
        lines, check = [], self._key.check
        for index, day, line, mac in rows:
            check(index, day, line, mac)
            lines.append(PlacedLine(index, day, line))
        return lines

    def _put(self, db: "psycopg.Connection[Any]", lines: Sequence[PlacedLine]) -> None:
        """Write other days and texts of lines that are there."""
        given = {
            "indices": [each.index for each in lines],
            "days": [each.day for each in lines],
            "lines": [each.line for each in lines],
            "macs": [self._key.mac(each.index, each.day, each.line) for each in lines],
        }
        db.execute(_REWRITE, {"shard": self._shard, **given})

    def _must_write(self) -> Epoch:
        if self._epoch is None:
            raise Broken("this log was opened for reading only")
        return self._epoch

    def _one(self, sql: str, values: Any) -> Any:
        with self._turned() as db:
            return db.execute(sql, values).fetchone()

    def _write(self, *statements: tuple[str, Any]) -> None:
        """Run statements in one transaction of the epoch."""
        with self._writing() as db:
            for sql, values in statements:
                db.execute(sql, values)

    @contextmanager
    def _writing(self) -> Iterator["psycopg.Connection[Any]"]:
        """Yield the connection in a transaction of the epoch."""
        epoch = self._must_write()
        with self._turned() as db, db.transaction():
            db.execute(epoch.check_sql)
            yield db

    @contextmanager
    def _turned(self) -> Iterator["psycopg.Connection[Any]"]:
        with self._turn:
            try:
                yield self._db
            except psycopg.Error as error:
                if self._epoch is not None and is_superseded(error):
                    raise self._epoch.superseded() from error
                raise DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True) from error
