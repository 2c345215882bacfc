"""An aiosqlite driver for SQLAlchemy's asyncio, with one hand-over to its thread per statement instead of four.

SQLAlchemy's own dialect hands over creating a cursor, the statement, fetching its rows and closing one by one. Our
statements take some ten microseconds, so most of the bot's work was handing them over. Decision 0025.

Rules kept here:
- Nothing of SQLite is done on the event loop.
- The rows of a statement are fetched with it, and nothing of it stays open.
- Many statements needed at once are handed over together (`rows_of`).

Left to others: settings of the connection (`database.py`).
"""

import collections
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import CompoundSelect, Insert, Select
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_dbapi,
    SQLiteDialect_aiosqlite,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import LRUCache
from sqlalchemy.util.concurrency import await_

DRIVER = "sqlite+one_hop"


class _Done(NamedTuple):
    """The whole result of one statement."""

    rows: "collections.deque[Any]"
    description: Any
    rowcount: int
    lastrowid: int | None


def _do(connection: sqlite3.Connection, many: bool, sql: str, parameters: Any) -> _Done:
    """Run one statement; called in the thread of the connection."""
    cursor = connection.cursor()
    try:
        (cursor.executemany if many else cursor.execute)(sql, parameters)
        rows = cursor.fetchall() if cursor.description else ()
        return _Done(collections.deque(rows), cursor.description, cursor.rowcount, cursor.lastrowid)
    finally:
        cursor.close()


class _Cursor:
    """A cursor for one statement at a time, its rows in memory (PEP 249, "Cursor Objects")."""

    server_side = False
    arraysize = 1

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection
        self._done = _Done(collections.deque(), None, -1, None)

    @property
    def description(self) -> Any:
        return self._done.description

    @property
    def rowcount(self) -> int:
        return self._done.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._done.lastrowid

    def execute(self, sql: str, parameters: Any = ()) -> None:
        self._hand_over(False, sql, parameters or ())

    def executemany(self, sql: str, parameters: Any) -> None:
        self._hand_over(True, sql, parameters)

    def _hand_over(self, many: bool, sql: str, parameters: Any) -> None:
        driver = self._connection.driver_connection
        try:
            self._done = await_(driver._execute(_do, driver._conn, many, sql, parameters))
        except Exception as error:
            self._connection._handle_exception(error)

    def fetchone(self) -> Any:
        return self._done.rows.popleft() if self._done.rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        rows = self._done.rows
        return [rows.popleft() for _ in range(min(self.arraysize if size is None else size, len(rows)))]

    def fetchall(self) -> list[Any]:
        rows = list(self._done.rows)
        self._done.rows.clear()
        return rows

    def __iter__(self) -> Iterator[Any]:
        while self._done.rows:
            yield self._done.rows.popleft()

    def close(self) -> None:
        self._done.rows.clear()

    async def _async_soft_close(self) -> None:
        """Do nothing: SQLAlchemy calls it while rows may still be wanted, and nothing is open."""


class _Connection(AsyncAdapt_aiosqlite_connection):
    """A connection that uses these cursors."""

    __slots__ = ()

    _cursor_cls = _Cursor  # type: ignore[assignment]

    def rollback(self) -> None:
        """Roll back only if there is something to roll back: every connection that was only read from comes here.

        After a statement that was cancelled while it waited SQLAlchemy does not ask: it throws the connection away.
        """
        if self.driver_connection.in_transaction:
            super().rollback()


class _Driver(AsyncAdapt_aiosqlite_dbapi):
    def connect(self, *args: Any, **more: Any) -> _Connection:
        return _Connection(self, super().connect(*args, **more).driver_connection)


class Dialect(SQLiteDialect_aiosqlite):
    """Dialect `sqlite+one_hop://`, for `create_async_engine`."""

    driver = "one_hop"
    supports_statement_cache = True
    supports_server_side_cursors = False

    def __eq__(self, other: object) -> bool:
        """Be the same as every other: none has settings of its own, so that what one compiled is good for all."""
        return isinstance(other, Dialect)

    def __hash__(self) -> int:
        return hash(Dialect)

    @classmethod
    def import_dbapi(cls) -> _Driver:
        return _Driver(__import__("aiosqlite"), sqlite3)


registry.register("sqlite.one_hop", __name__, "Dialect")
_COMPILED: LRUCache[Any, Any] = LRUCache(1_000)  # statements, compiled once a process


def new_engine(path: str = "", **more: Any) -> AsyncEngine:
    """Return an engine for a database; for one in memory without `path`."""
    options = {"compiled_cache": _COMPILED}
    return create_async_engine(f"{DRIVER}:///{path}", execution_options=options, **more)


# Several statements in one hand-over.

Query = Select[Any] | CompoundSelect[Any] | Insert
Asked = tuple[Query, Mapping[str, object]]  # a statement built once, with named parameters; and their values
Rows = Sequence[Any]  # with the names of the columns


@dataclass(frozen=True, slots=True)
class _Ready:
    """A statement in the form that SQLite takes."""

    statement: Query  # held, so that no other can get its id
    sql: str
    names: tuple[str, ...]  # of its parameters, in order
    fixed: Mapping[str, object]  # values that are part of the statement itself
    row: Callable[..., Any]


_READY: dict[int, _Ready] = {}


async def rows_of(db: AsyncConnection, *asked: Asked) -> list[Rows]:
    """Run statements, and return the rows of each, in order. Values and columns must be numbers and texts."""
    ready = [(_READY.get(id(statement)) or _make_ready(statement, values, db), values) for statement, values in asked]
    driver: Any = (await db.get_raw_connection()).driver_connection
    work = [(each.sql, [{**each.fixed, **values}[name] for name in each.names]) for each, values in ready]
    try:
        found = await driver._execute(_do_all, driver._conn, work)
    except sqlite3.Error as error:
        raise OperationalError("several statements", None, error) from error
    return [[each.row(*row) for row in rows] for (each, _), rows in zip(ready, found, strict=True)]


def _make_ready(statement: Query, values: Mapping[str, object], db: AsyncConnection) -> _Ready:
    whole = statement.compile(dialect=db.dialect).construct_expanded_state(dict(values))
    columns = () if isinstance(statement, Insert) else statement.selected_columns
    row = collections.namedtuple("row", [column.key for column in columns])  # type: ignore[misc]
    names = tuple(whole.positiontup or ())
    _READY[id(statement)] = ready = _Ready(statement, whole.statement, names, whole.parameters, row)
    return ready


def _do_all(connection: sqlite3.Connection, work: Sequence[tuple[str, Sequence[object]]]) -> list[list[Any]]:
    """Run several statements; called in the thread of the connection."""
    return [connection.execute(sql, values).fetchall() for sql, values in work]
