"""The writer, which runs one unit of work at a time: the journal is written first, then the tables.

Rules kept here:
- One unit of work runs at a time, each to its end: a cancellation does not cut it in two.
- Its transaction is committed only after what was staged in it is in the journal and fsynced.
- If the journal has got ahead of the database, nothing more is written until the next start has brought the database
  up to date.

Left to others: what is written (`pipeline.py`, `process_facts.py`), catching up (`replay.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.errors import Broken
from storage import queries
from storage.database.database import Database
from storage.database.rows import after_changes
from storage.journal.journal import Journal
from storage.journal.record import Draft
from storage.projections import set_all_meta

from .unit_of_work import UnitOfWork

T = TypeVar("T")


class Writer:
    """The only writer of its journal and its database.

    `forget` is called when a unit of work failed: what it left in memory did not happen.
    """

    def __init__(self, journal: Journal, database: Database, forget: Callable[[], Awaitable[None]]) -> None:
        self.journal = journal
        self.database = database
        self._forget = forget
        self._lock = asyncio.Lock()
        self._applied = 0  # records that the database has
        self._refused: OSError | SQLAlchemyError | None = None  # the error of a unit of work that failed half-way

    async def begin(self, db: AsyncConnection) -> None:
        """Read how far the database has come."""
        self._applied = int(await queries.get_meta(db, "applied") or 0)

    def is_catching_up(self) -> None:
        """Note that the next unit of work brings the database up to date."""
        self._applied = self.journal.size

    async def run_exclusive(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` alone and to its end, even if the caller is cancelled while it waits."""

        async def in_turn() -> T:
            try:
                async with self._lock:
                    self._must_be_level()
                    return await work
            except (OSError, SQLAlchemyError) as error:
                self._refused = error
                raise
            finally:
                work.close()  # if it was refused, it has not begun

        task = asyncio.create_task(in_turn())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task})
            raise

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[UnitOfWork]:
        """Open a transaction that commits only after the staged facts are durable in the journal.

        To be used inside `run_exclusive`.
        """
        try:
            async with self.database.write() as db:
                unit = UnitOfWork(db, self.journal.size)
                yield unit
                await unit.flush()
                await self.write_staged(unit)
                await set_all_meta(db, {**unit.meta, "applied": str(self.journal.size)}, unit.counts.statements())
            self._applied = self.journal.size
        except BaseException:
            if self._applied == self.journal.size:
                await self._forget()
            raise

    async def write_staged(self, unit: UnitOfWork) -> None:
        """Write what is staged to the journal now, after all changes before it: one that fails must not follow it."""
        if unit.staged:
            first = await after_changes(unit.db, partial(self._append, unit.staged))
            assert first == unit.first, "somebody else wrote to the journal"
            unit.written()

    async def write(self, drafts: Sequence[Draft], meanwhile: Awaitable[None] | None = None) -> int:
        """Write drafts to the journal and fsync it, while `meanwhile` runs. Returns the index of the first draft."""
        written = asyncio.get_running_loop().run_in_executor(None, self._append, drafts)
        try:
            if meanwhile is not None:
                await meanwhile
        finally:
            first = await written
        return first

    def _append(self, drafts: Sequence[Draft]) -> int:
        first = self.journal.append(drafts)[0]
        self.journal.sync()
        return first

    def _must_be_level(self) -> None:
        """Raise if the database is behind the journal: then nothing may be written until the next start.

        Raises the error of the unit of work that failed half-way, if there was one, else Broken; that error also if
        it made the journal refuse to go on.
        """
        if self._refused is not None and not self.journal.is_usable:
            raise self._refused
        if self._applied != self.journal.size:
            if self._refused is not None:  # it is the reason for all later callers, too
                raise self._refused
            raise Broken("the database is behind the journal; it is brought up to date at the next start")
