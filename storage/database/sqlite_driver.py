"""Statements of SQLAlchemy in the thread of an aiosqlite connection, with one hand-over each.

SQLAlchemy builds and compiles statements. To let it run them, too, is dear: its asyncio hands over creating a cursor,
the statement, fetching its rows and closing one by one, while our statements take some ten microseconds. Decision 0025.

Rules kept here:
- Nothing of SQLite is done on the event loop.
- The rows of a statement are fetched with it, and nothing of it stays open.
- Many statements needed at once are handed over together (`rows_of`), also if some follow from others (`rows_then`).
- Text and changes of tables, which are rare, are left to SQLAlchemy.

Left to others: settings of the connection, transactions (`database.py`).
"""

import collections
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Insert
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.util import LRUCache

from .rows import Asked, Query, Rows

_DIALECT = SQLiteDialect_aiosqlite()
_COMPILED: LRUCache[Any, Any] = LRUCache(1_000)  # statements, compiled once a process


class _Done(NamedTuple):
    """The whole result of one statement."""

    rows: Sequence[Any]
    rowcount: int


def _do(connection: sqlite3.Connection, many: bool, sql: str, values: Any) -> _Done:
    """Run one statement; called in the thread of the connection."""
    cursor = (connection.executemany if many else connection.execute)(sql, values)
    try:
        return _Done(cursor.fetchall() if cursor.description else (), cursor.rowcount)
    finally:
        cursor.close()


class _Plan(NamedTuple):
    """A compiled statement."""

    columns: SimpleResultMetaData
    defaults: Sequence[tuple[str, object]]  # for columns that an INSERT does not name


_PLANS: WeakKeyDictionary[Any, _Plan | None] = WeakKeyDictionary()


def _plan_of(compiled: Any) -> _Plan | None:
    """Return the plan of a statement; None if only SQLAlchemy knows how to run it."""
    if compiled not in _PLANS:
        _PLANS[compiled] = _new_plan(compiled) if isinstance(compiled, SQLCompiler) else None
    return _PLANS[compiled]


def _new_plan(compiled: SQLCompiler) -> _Plan | None:
    columns = compiled._result_columns
    converted = any(column.type._cached_result_processor(_DIALECT, None) for column in columns)
    if converted or compiled.isplaintext or compiled._bind_processors or compiled.update_prefetch:
        return None
    defaults: list[Any] = [each.default for each in compiled.insert_prefetch]
    names = [compiled._within_exec_param_key_getter(each) for each in compiled.insert_prefetch]
    values = [each.arg for each in defaults]
    return _Plan(SimpleResultMetaData([each.keyname for each in columns]), list(zip(names, values, strict=True)))


class _Result(IteratorResult[Any]):
    """The rows of a statement, and how many it changed."""

    def __init__(self, columns: SimpleResultMetaData, done: _Done) -> None:
        super().__init__(columns, iter(done.rows))
        self.rowcount = done.rowcount


class Connection(AsyncConnection):
    """A connection that hands statements to its thread itself."""

    async def execute(self, statement: Any, parameters: Any = None, **more: Any) -> Any:
        """Run a statement, for each of several parameters if they are a list, and return its whole result."""
        given = parameters if isinstance(parameters, list) else [parameters]
        many, keys = len(given) > 1, sorted(given[0] or ()) if given else []
        compiled, extracted, collected, _ = statement._compile_w_cache(
            _DIALECT, compiled_cache=_COMPILED, column_keys=keys, for_executemany=many
        )
        plan = _plan_of(compiled)
        if plan is None:
            return await super().execute(statement, parameters, **more)
        filled = [
            compiled.construct_params(
                each, extracted_parameters=extracted, escape_names=False, _collected_params=collected
            )
            | dict(plan.defaults)
            for each in given or [None]
        ]
        sql, names = compiled.string, compiled.positiontup
        if compiled.post_compile_params:  # lists, of which each value has a mark
            expanded = compiled._process_parameters_for_postcompile(filled[0])
            sql, names, filled = expanded.statement, expanded.positiontup, [{**filled[0], **expanded.parameters}]
        values = [[each[name] for name in names] for each in filled]
        return _Result(plan.columns, await self.hand_over(_do, many, sql, values if many else values[0]))

    async def commit(self) -> None:
        """End the transaction, if there is one."""
        if self.in_transaction():  # begun by SQLAlchemy
            await super().commit()
        elif self._driver.in_transaction:
            await self.hand_over(sqlite3.Connection.commit)

    async def rollback(self) -> None:
        """Undo the transaction, even one that begins only when a statement given up before its turn is run."""
        await super().rollback()
        await self.hand_over(sqlite3.Connection.rollback)

    def is_idle(self) -> bool:
        """Tell whether it has no transaction and has not been thrown away."""
        return not (self.invalidated or self.in_transaction() or self._driver.in_transaction)

    @property
    def _driver(self) -> Any:
        return self._proxied.connection.driver_connection  # aiosqlite's connection

    async def hand_over(self, work: Callable[..., Any], *values: Any) -> Any:
        """Call `work` in the thread of the connection, with SQLite's own connection."""
        if self.invalidated:
            await self.get_raw_connection()  # opens it again
        driver = self._driver
        try:
            return await driver._execute(work, driver._conn, *values)
        except sqlite3.Error as error:
            raise DBAPIError.instance(None, None, error, sqlite3.Error, hide_parameters=True) from error

    async def rows_of(self, asked: Sequence[Asked]) -> list[Rows]:
        """Run statements in one hand-over, and return the rows of each, in order."""
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


class Engine(AsyncEngine):
    """An engine that makes such connections."""

    def connect(self) -> Connection:
        """Return a connection, to be opened by `async with`."""
        return Connection(self)

    async def opened(self) -> Connection:
        """Return an open connection."""
        return cast(Connection, await self.connect())


def new_engine(path: str = "", **more: Any) -> Engine:
    """Return an engine for a database; for one in memory without `path`."""
    return Engine(create_async_engine(f"sqlite+aiosqlite:///{path}", **more).sync_engine)


# Several statements in one hand-over.


@dataclass(frozen=True, slots=True)
class _Ready:
    """A statement in the form that SQLite takes."""

    statement: Query  # held, so that no other can get its id
    sql: str
    names: tuple[str, ...]  # of its parameters, in order
    fixed: Mapping[str, object]  # values that are part of the statement itself
    row: Callable[..., Any]


_READY: dict[int, _Ready] = {}


def _make_ready(statement: Query, values: Mapping[str, object]) -> _Ready:
    whole = statement.compile(dialect=_DIALECT).construct_expanded_state(dict(values))
    columns = () if isinstance(statement, Insert) else statement.selected_columns
    row = collections.namedtuple("row", [column.key for column in columns])  # type: ignore[misc]
    names = tuple(whole.positiontup or ())
    _READY[id(statement)] = ready = _Ready(statement, whole.statement, names, whole.parameters, row)
    return ready


def _do_all(connection: sqlite3.Connection, asked: Sequence[Asked]) -> list[Rows]:
    """Run several statements; called in the thread of the connection."""
    return [_done(connection, _READY.get(id(each)) or _make_ready(each, values), values) for each, values in asked]


def _done(connection: sqlite3.Connection, ready: _Ready, values: Mapping[str, object]) -> Rows:
    given = {**ready.fixed, **values} if ready.fixed else values
    return [ready.row(*row) for row in connection.execute(ready.sql, [given[name] for name in ready.names])]
