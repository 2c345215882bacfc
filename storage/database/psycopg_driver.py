"""Statements of SQLAlchemy on a psycopg connection, with as few round trips as possible.

Rules kept here:
- The rows of a statement are fetched with it, and nothing of it stays open.
- Statements needed at once go in one pipeline (`rows_of`), and so does one that is run for many rows.
- A transaction begins in the pipeline of its first statement, with what must hold in each (the fence). Changes in it
  are put off until its next query or its commit (`put_off.py`).
- Text and changes of tables, which are rare, are left to SQLAlchemy.
- Values are as on SQLite: whole numbers of any kind are `int`; a text cannot hold U+0000 here, which becomes U+FFFD.

Left to others: compiling (`statements.py`), settings of the session (`server.py`), transactions (`database.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import psycopg
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8Dumper
from sqlalchemy import Insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from . import postgresql_types
from .engine import TableConnection, TableEngine
from .put_off import PutOff
from .rows import Asked, Rows
from .statements import MOST, Result, Statements

T = TypeVar("T")

STATEMENTS = Statements(postgresql_types.StatementDialect(paramstyle="numeric_dollar"))  # type: ignore[no-untyped-call]
Step = tuple[str, Sequence[object]]  # a statement and its values
_TO_CLEAN = """SELECT quote_ident(schemaname) || '.' || quote_ident(relname) FROM pg_stat_user_tables
    WHERE (schemaname IN (current_schema(), 'answerable_shared') OR starts_with(schemaname, current_schema() || '$'))
    AND (n_dead_tup > 0 OR %s) ORDER BY schemaname, relname"""  # the state, what machines share, the small stores
_STILL_SEEN = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"""
_NUL, _REPLACEMENT = b"\0", "\N{REPLACEMENT CHARACTER}".encode()


class _TextDumper(Dumper):
    """A dumper of texts. It leaves their type to the server, since the statement says which it is."""

    def dump(self, obj: str) -> bytes:
        return obj.encode().replace(_NUL, _REPLACEMENT)


class _NumberLoader(Loader):
    """A loader of sums of 64-bit numbers, and of averages."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data)
        return float(text) if b"." in text or b"N" in text else int(text)


class AdaptedConnection(psycopg.AsyncConnection[Any]):
    """A connection whose values are as on SQLite, and that prepares all our statements."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.prepared_max = MOST
        self.adapters.register_dumper(str, _TextDumper)
        self.adapters.register_dumper(int, Int8Dumper)
        self.adapters.register_loader("numeric", _NumberLoader)


class PostgresqlConnection(TableConnection):
    """A connection that runs statements itself."""

    def __init__(self, engine: "PostgresqlEngine", beginning: Sequence[Step] = ()) -> None:
        """Prepare a connection. `beginning` begins each transaction; without it every statement is one of its own."""
        super().__init__(engine)
        self._each = beginning
        self._put_off: PutOff[Step] = PutOff()
        self._turn = asyncio.Lock()  # of a pipeline

    async def execute(self, statement: Any, parameters: Any = None, **more: Any) -> Any:
        """Run a statement, for each of several parameters if they are a list, and return its whole result."""
        filled = STATEMENTS.filled(statement, parameters)
        if filled is None:
            await self._begin()
            return await super().execute(statement, parameters, **more)
        steps = [(filled.sql, values) for values in filled.values]
        if filled.is_change and self._each:
            await self._put_these_off(steps)
            return Result(filled.columns)
        return Result(filled.columns, [row for rows in await self._run(steps) for row in rows])

    async def exec_driver_sql(self, statement: str, *arguments: Any, **more: Any) -> Any:
        """Run a statement of PostgreSQL's own."""
        await self._begin()
        return await super().exec_driver_sql(statement, *arguments, **more)

    async def rows_of(self, asked: Sequence[Asked]) -> list[Rows]:
        """Run statements in one round trip, and return the rows of each, in order."""
        ready = [STATEMENTS.ready(each) for each in asked]
        steps = [(each.sql, each.values(values)) for each, (_, values) in zip(ready, asked, strict=True)]
        if self._each and all(isinstance(each.statement, Insert) for each in ready):
            await self._put_these_off(steps)
            return [[] for _ in ready]
        done = await self._run(steps)
        return [[each.row(*row) for row in rows] for each, rows in zip(ready, done, strict=True)]

    async def rows_then(
        self, asked: Sequence[Asked], then: Callable[[list[Rows]], Sequence[Asked]]
    ) -> tuple[list[Rows], list[Rows]]:
        """Run statements, then those that `then` makes of their rows; return the rows of both."""
        found = await self.rows_of(asked)
        return found, await self.rows_of(then(found))

    async def commit(self) -> None:
        """End the transaction, if there is one. Raises PendingRollbackError if a change in it could not be made."""
        self._put_off.refuse_to_commit()
        if self._put_off:
            await self._run([("COMMIT", ())])
        if self.in_transaction():  # begun by SQLAlchemy
            await super().commit()
        if not self.invalidated:
            with _as_of_sqlalchemy():
                await self._driver.commit()

    async def rollback(self) -> None:
        """Undo the transaction; that of a connection that is lost is undone by the server."""
        self._put_off.forget()
        await super().rollback()
        if self.invalidated or self._driver.closed:
            return
        try:
            await self._driver.rollback()
        except psycopg.Error:
            await self._driver.close()

    def is_idle(self) -> bool:
        """Tell whether it has no transaction and has not been lost."""
        if self.closed or self.invalidated or self.in_transaction() or self._put_off:
            return False
        return not self._driver.closed and self._driver.info.transaction_status == TransactionStatus.IDLE

    @property
    def _driver(self) -> "psycopg.AsyncConnection[Any]":
        return cast("psycopg.AsyncConnection[Any]", cast(Any, self._proxied).connection.driver_connection)

    def _beginning(self) -> Sequence[Step]:
        """Return what begins a transaction, if there is none."""
        has_none = self.invalidated or self._driver.info.transaction_status == TransactionStatus.IDLE
        return self._each if has_none else ()

    async def _begin(self) -> None:
        if self._beginning() or self._put_off:
            await self._run([])

    async def begin_snapshot(self) -> None:
        """Begin a transaction whose first query says which state it sees."""
        await self.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    async def after_changes(self, work: Callable[[], T]) -> T:
        """Make the changes that were put off, then do `work` in some thread."""
        if self._put_off:
            await self._run([])
        return await asyncio.get_running_loop().run_in_executor(None, work)

    async def _put_these_off(self, steps: Sequence[Step]) -> None:
        if self._put_off.add(steps):
            await self._run([])

    async def _run(self, steps: Sequence[Step]) -> list[Sequence[Any]]:
        """Run statements one after the other, in one round trip; the rest is not run after one that fails."""
        async with self._turn:
            if self.invalidated:
                await self.get_raw_connection()  # opens it again
            driver = self._driver
            beginning = self._beginning()
            with self._put_off.taken() as waiting, _as_of_sqlalchemy():
                before = [*beginning, *waiting]
                if not before and len(steps) == 1:
                    return [await _done(await _asked(driver, steps[0]))]
                async with driver.pipeline():
                    cursors = [await _asked(driver, step) for step in (*before, *steps)]
                return [await _done(cursor) for cursor in cursors[len(before) :]]


async def _asked(driver: "psycopg.AsyncConnection[Any]", step: Step) -> "psycopg.AsyncRawCursor[Any]":
    """Run one statement, or in a pipeline hand it over."""
    return await psycopg.AsyncRawCursor(driver).execute(*step)


async def _done(cursor: "psycopg.AsyncRawCursor[Any]") -> Sequence[Any]:
    return await cursor.fetchall() if cursor.description else ()


@contextmanager
def _as_of_sqlalchemy() -> Iterator[None]:
    """Raise the driver's errors as SQLAlchemy does, without values, which may be words of people."""
    try:
        yield
    except psycopg.Error as error:
        raise DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True) from error


class PostgresqlEngine(TableEngine):
    """An engine that makes such connections."""

    patience_ms = 60_000

    def __init__(self, sync_engine: Any, first: str | None = None) -> None:
        """Prepare an engine. `first` is a statement that begins each transaction of the writer."""
        super().__init__(sync_engine)
        self._first = first

    def connect(self) -> PostgresqlConnection:
        """Return a connection, to be opened by `async with`."""
        return PostgresqlConnection(self)

    async def opened(self) -> PostgresqlConnection:
        """Return an open connection."""
        return cast(PostgresqlConnection, await self.connect())

    async def writer(self) -> PostgresqlConnection:
        """Return an open connection whose statements are in transactions."""
        first = [(self._first, ())] if self._first else []
        return cast(PostgresqlConnection, await PostgresqlConnection(self, [("BEGIN", ()), *first]))

    async def clean(self, db: AsyncConnection, patience_ms: int) -> bool:
        """Free the space of deleted rows, unless somebody may still see them; without patience, only where many are.

        The server overwrites that space when it writes there again, and keeps its own log as long as its settings say.
        """
        found = await db.exec_driver_sql(_TO_CLEAN % bool(patience_ms))
        await db.exec_driver_sql(f"SET statement_timeout = {patience_ms or self.patience_ms}")
        for (name,) in found.all():
            await db.exec_driver_sql(f"VACUUM (SKIP_LOCKED) {name}")
        await db.exec_driver_sql("RESET statement_timeout")
        return not (await db.exec_driver_sql(_STILL_SEEN)).scalar_one()


def new_engine(
    opened: "Callable[[], Awaitable[psycopg.AsyncConnection[Any]]]", first: str | None = None
) -> PostgresqlEngine:
    """Return an engine whose sessions `opened` gives, of the kind `AdaptedConnection`.

    `first` begins each transaction of the writer.
    """
    made = create_async_engine(
        f"postgresql+{postgresql_types.STATEMENTS}://",
        async_creator=opened,
        poolclass=NullPool,
        hide_parameters=True,
        use_native_hstore=False,
    )
    return PostgresqlEngine(made.sync_engine, first)
