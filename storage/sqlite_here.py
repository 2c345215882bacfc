"""SQLite for SQLAlchemy's asyncio without a thread: each statement is done where it is asked for, in the event loop.

A statement of ours takes some ten microseconds; handing it to a thread and back took four times that in work and, when
the machine is busy, milliseconds of waiting, many times for each message. Rules kept here: rows are fetched at once, so
that nothing of a statement is left open; whoever has held the loop for longer than `LONGEST_S` with statements gives
way to others before the next. Left to others: settings of the connection (`database.py`). Decision 0024.
"""

import asyncio
import sqlite3
import time
from collections.abc import Generator, Iterator
from typing import Any

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.interfaces import ConnectArgsType
from sqlalchemy.engine.url import URL
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool
from sqlalchemy.util.concurrency import await_, in_greenlet

DRIVER = "sqlite+here"
LONGEST_S = 0.005


class _Way:
    """Awaited before each statement."""

    def __init__(self) -> None:
        self._began: float | None = None  # the first statement since others had their turn

    def __await__(self) -> Generator[None, None, None]:
        now = time.monotonic()
        if self._began is None:
            self._began = now
            asyncio.get_running_loop().call_soon(self._others_had_it)
        elif now - self._began > LONGEST_S:
            yield

    def _others_had_it(self) -> None:
        self._began = None


class _Cursor(sqlite3.Cursor):
    """One statement, its rows in memory."""

    def __init__(self, connection: "_Connection") -> None:
        super().__init__(connection)
        self._way = connection.way
        self._rows: list[Any] = []  # the next one last

    def execute(self, sql: str, parameters: Any = (), /) -> "_Cursor":
        self._give_way()
        super().execute(sql, parameters)
        self._rows = super().fetchall()[::-1] if self.description else []
        return self

    def executemany(self, sql: str, parameters: Any, /) -> "_Cursor":
        self._give_way()
        super().executemany(sql, parameters)
        return self

    def fetchone(self) -> Any:
        return self._rows.pop() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        return [self._rows.pop() for _ in range(min(self.arraysize if size is None else size, len(self._rows)))]

    def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows[::-1], []
        return rows

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        while self._rows:
            yield self._rows.pop()

    def _give_way(self) -> None:
        if in_greenlet():  # not while a connection is made or closed
            await_(self._way)

    async def _async_soft_close(self) -> None:
        """SQLAlchemy asks for it: nothing is open."""


class _Connection(sqlite3.Connection):
    """A connection whose cursors are these."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.way = _Way()

    def cursor(self, *_: Any) -> _Cursor:  # type: ignore[override]
        return _Cursor(self)


class Dialect(SQLiteDialect_pysqlite):
    """`sqlite+here://`, for `create_async_engine`."""

    driver = "here"
    is_async = True
    supports_statement_cache = True

    @classmethod
    def get_pool_class(cls, url: URL) -> type[Pool]:  # noqa: ARG003 - SQLAlchemy gives it
        return AsyncAdaptedQueuePool

    def create_connect_args(self, url: URL) -> ConnectArgsType:
        arguments, options = super().create_connect_args(url)
        return arguments, {**options, "factory": _Connection}


registry.register("sqlite.here", __name__, "Dialect")
