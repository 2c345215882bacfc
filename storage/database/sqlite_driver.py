"""Statements of SQLAlchemy in the thread of an aiosqlite connection, with one hand-over each.

SQLAlchemy builds and compiles statements. Letting it run them, too, is slow: its asyncio hands over creating a cursor,
the statement, fetching its rows and closing one by one, while our statements take some ten microseconds. Decision 0025.

Rules kept here:
- Nothing of SQLite is done on the event loop.
- The rows of a statement are fetched with it, and nothing of it stays open.
- Many statements needed at once are handed over together (`rows_of`), also if some follow from others (`rows_then`).
- Changes of the writer are put off until its next query or its commit, and go with it (`put_off.py`).
- Text and changes of tables, which are rare, are left to SQLAlchemy.

Left to others: compiling (`statements.py`), settings of the connection (`sqlite.py`), transactions (`database.py`).
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast

from sqlalchemy import Insert
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from .engine import TableConnection, TableEngine
from .put_off import PutOff
from .rows import Asked, Rows
from .statements import Ready, Result, Statements

_FREE_SHARE = 10  # more than each tenth page is given back, if that is worth while
_FREE_PAGES = 1_000
_GIVEN_AT_ONCE = 250
BUSY_MS = 5_000
STATEMENTS = Statements(SQLiteDialect_aiosqlite())
T = TypeVar("T")


class _Change(NamedTuple):
    """A change that waits."""

    many: bool
    sql: str
    values: Any


def _do(connection: sqlite3.Connection, many: bool, sql: str, values: Any) -> Sequence[Any]:
    """Run one statement; called in the thread of the connection."""
    cursor = (connection.executemany if many else connection.execute)(sql, values)
    try:
        return cursor.fetchall() if cursor.description else ()
    finally:
        cursor.close()


def _with_truths(rows: Sequence[Any], places: Sequence[int]) -> list[list[Any]]:
    """Return rows with truths instead of numbers at these places; NULL stays None."""
    found = [list(row) for row in rows]
    for row in found:
        for n in places:
            row[n] = None if row[n] is None else bool(row[n])
    return found


class SqliteConnection(TableConnection):
    """A connection that hands statements to its thread itself."""

    def __init__(self, engine: "SqliteEngine", *, is_writer: bool = False) -> None:
        """Prepare a connection. Only that of the writer puts changes off."""
        super().__init__(engine)
        self._is_writer = is_writer
        self._put_off: PutOff[_Change] = PutOff()

    async def execute(self, statement: Any, parameters: Any = None, **more: Any) -> Any:
        """Run a statement, for each of several parameters if they are a list, and return its whole result."""
        filled = STATEMENTS.filled(statement, parameters)
        if filled is None:
            await self.make_changes()
            return await super().execute(statement, parameters, **more)
        step = _Change(filled.many, filled.sql, filled.values if filled.many else filled.values[0])
        if filled.is_change and self._is_writer:
            await self._put_these_off([step])
            return Result(filled.columns)
        rows = await self.hand_over(_do, *step)
        return Result(filled.columns, _with_truths(rows, filled.truths) if filled.truths else rows)

    async def exec_driver_sql(self, statement: str, *arguments: Any, **more: Any) -> Any:
        """Run a statement of SQLite's own."""
        await self.make_changes()
        return await super().exec_driver_sql(statement, *arguments, **more)

    async def commit(self) -> None:
        """End the transaction, if there is one. Raises PendingRollbackError if a change in it could not be made.

        If the caller gives up before the thread comes to it, nothing is committed.
        """
        self._put_off.refuse_to_commit()
        if self.in_transaction():  # begun by SQLAlchemy
            await self.make_changes()
            await super().commit()
        elif self._put_off or self._driver.in_transaction:
            given_up = threading.Event()
            try:
                await self.hand_over(_commit_unless, given_up)
            except asyncio.CancelledError:
                given_up.set()
                raise

    async def rollback(self) -> None:
        """Undo the transaction, even one that begins only when a statement given up before its turn is run."""
        self._put_off.forget()
        await super().rollback()
        await self.hand_over(sqlite3.Connection.rollback)

    def is_idle(self) -> bool:
        """Tell whether it has no transaction and has not been thrown away."""
        return not (self.invalidated or self.in_transaction() or self._put_off or self._driver.in_transaction)

    async def give_back(self) -> None:
        """Give free space that deleted rows left back to the disk, if it is much."""
        await self.hand_over(_give_back)

    @property
    def _driver(self) -> Any:
        return self._proxied.connection.driver_connection  # aiosqlite's connection

    async def hand_over(self, work: Callable[..., Any], *values: Any) -> Any:
        """Call `work` in the thread of the connection, with SQLite's own connection, after the changes put off."""
        if self.invalidated:
            await self.get_raw_connection()  # opens it again
        driver = self._driver
        with self._put_off.taken() as changes:
            if changes:
                values, work = (changes, work, *values), _change_and
            try:
                return await driver._execute(work, driver._conn, *values)
            except sqlite3.Error as error:
                raise DBAPIError.instance(None, None, error, sqlite3.Error, hide_parameters=True) from error

    async def _put_these_off(self, changes: Sequence[_Change]) -> None:
        if self._put_off.add(changes):
            await self.make_changes()

    async def make_changes(self) -> None:
        """Make the changes that were put off now."""
        if self._put_off:
            await self.hand_over(_nothing_more)

    async def begin_snapshot(self) -> None:
        """Begin a transaction whose first query says which state it sees."""
        await self.hand_over(_do, False, "BEGIN", ())

    async def after_changes(self, work: Callable[[], T]) -> T:
        """Make the changes that were put off, then do `work`, in one hand-over."""
        done: T = await self.hand_over(_only, work)
        return done

    async def rows_of(self, asked: Sequence[Asked]) -> list[Rows]:
        """Run statements in one hand-over, and return the rows of each, in order."""
        if self._is_writer and all(isinstance(statement, Insert) for statement, _ in asked):
            ready = [(STATEMENTS.ready(each), each[1]) for each in asked]
            await self._put_these_off([_Change(False, each.sql, each.values(values)) for each, values in ready])
            return [[] for _ in ready]
        found: list[Rows] = await self.hand_over(_do_all, asked)
        return found

    async def rows_then(
        self, asked: Sequence[Asked], then: Callable[[list[Rows]], Sequence[Asked]]
    ) -> tuple[list[Rows], list[Rows]]:
        """Run statements, then those that `then`, called in the thread of the connection, makes of their rows."""

        def both(connection: sqlite3.Connection) -> tuple[list[Rows], list[Rows]]:
            first = _do_all(connection, asked)
            return first, _do_all(connection, then(first))

        found: tuple[list[Rows], list[Rows]] = await self.hand_over(both)
        return found


class SqliteEngine(TableEngine):
    """An engine that makes such connections."""

    patience_ms = BUSY_MS

    def connect(self) -> SqliteConnection:
        """Return a connection, to be opened by `async with`."""
        return SqliteConnection(self)

    async def opened(self) -> SqliteConnection:
        """Return an open connection."""
        return cast(SqliteConnection, await self.connect())

    async def writer(self) -> SqliteConnection:
        """Return an open connection for the one writer."""
        return cast(SqliteConnection, await SqliteConnection(self, is_writer=True))

    async def clean(self, db: AsyncConnection, patience_ms: int) -> bool:
        """Empty the WAL, which may still contain what was erased or deleted.

        A caller who is cancelled waits until SQLite has ended: until then nobody else can write.
        """
        emptying = asyncio.create_task(cast(SqliteConnection, db).hand_over(_empty_wal, patience_ms))
        try:
            is_empty: bool = await asyncio.shield(emptying)
        except asyncio.CancelledError:
            await asyncio.wait({emptying})
            raise
        return is_empty


def _change_and(
    connection: sqlite3.Connection, changes: Sequence[_Change], work: Callable[..., Any], *values: Any
) -> Any:
    """Make changes, then call `work`; called in the thread of the connection."""
    for change in changes:
        _do(connection, *change)
    return work(connection, *values)


def _nothing_more(_: sqlite3.Connection) -> None:
    """Do nothing after the changes."""


def _only(_: sqlite3.Connection, work: Callable[[], T]) -> T:
    """Do what needs no connection."""
    return work()


def _commit_unless(connection: sqlite3.Connection, given_up: threading.Event) -> None:
    """Commit, unless the caller has given up meanwhile; called in the thread of the connection."""
    if not given_up.is_set():
        connection.commit()


def _empty_wal(connection: sqlite3.Connection, patience_ms: int) -> bool:
    """Empty the WAL. Return False if somebody still reads what is in it; called in the thread of the connection."""
    connection.execute(f"PRAGMA busy_timeout = {patience_ms}")
    try:
        ((is_busy, *_),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    return not is_busy


def _give_back(connection: sqlite3.Connection) -> None:
    """Give some of the pages that deleted rows left back to the disk, if they are many; new rows use the others.

    A file that was made before this was possible, and never migrated since, keeps them all for new rows.
    """
    ((free,),) = connection.execute("PRAGMA freelist_count").fetchall()
    ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
    if free > max(_FREE_PAGES, pages // _FREE_SHARE):
        connection.executescript(f"PRAGMA incremental_vacuum({_GIVEN_AT_ONCE})")  # `execute` gives back only one


def new_engine(path: str = "", **more: Any) -> SqliteEngine:
    """Return an engine for a database; for one in memory without `path`.

    Each connection is opened and closed as asked: a pool of SQLAlchemy's would refuse more than some at the same time.
    """
    more = {"poolclass": NullPool, **more}
    return SqliteEngine(create_async_engine(f"sqlite+aiosqlite:///{path}", **more).sync_engine)


def _do_all(connection: sqlite3.Connection, asked: Sequence[Asked]) -> list[Rows]:
    """Run several statements; called in the thread of the connection."""
    return [_done(connection, STATEMENTS.ready(each), each[1]) for each in asked]


def _done(connection: sqlite3.Connection, ready: Ready, values: Mapping[str, object]) -> Rows:
    return [ready.row(*row) for row in connection.execute(ready.sql, ready.values(values))]
