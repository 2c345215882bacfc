"""Work on the journal between units of work, so that nobody writes meanwhile: its checkpoints, its days, its data."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from bot.runtime.clock import Clock
from moderation.model.facts import Fact
from storage.journal.journal import Journal

from .process_facts import FactProcessor
from .unit_of_work import Answer, UnitOfWork
from .writer import Writer

T = TypeVar("T")


class JournalAccess:
    """The journal, for one piece of work at a time."""

    def __init__(
        self,
        journal: Journal,
        writer: Writer,
        processor: FactProcessor,
        clock: Clock,
        woken_by: Callable[[UnitOfWork], None],
    ) -> None:
        self._journal = journal
        self._writer = writer
        self._processor = processor
        self._clock = clock
        self._woken_by = woken_by

    async def use(self, work: Callable[[Journal], T], *facts: Fact, signed: bool = False) -> T:
        """Record `facts`, then do `work` on the journal, in a thread and before anybody else writes.

        With `signed`, a checkpoint of all that is recorded is signed first.
        """

        async def in_turn() -> T:
            if facts:
                async with self._writer.unit_of_work() as unit:
                    await self._processor.process(unit, Answer(facts), cause=unit.next_index, at_ms=self._clock())
                self._woken_by(unit)
            if signed:
                await asyncio.to_thread(self._journal.checkpoint, self._clock())
            return await asyncio.to_thread(work, self._journal)

        return await self._writer.run_exclusive(in_turn())

    async def mend_future_day(self) -> str | None:
        """Move an open day that was begun while the clock was ahead to its place; see `Journal.mend_future`."""

        async def in_turn() -> str | None:
            async with self._writer.unit_of_work():
                return await asyncio.to_thread(self._journal.mend_future, self._clock())

        return await self._writer.run_exclusive(in_turn())

    async def checkpoint(self) -> None:
        """Sign a checkpoint of the journal, if one is due."""

        async def in_turn() -> None:
            now = self._clock()
            if self._journal.due_for_checkpoint(now):
                await asyncio.to_thread(self._journal.checkpoint, now)

        await self._writer.run_exclusive(in_turn())

    async def close_day(self) -> None:
        """Close the journal's open day once it is over, so that a quiet log has its closing checkpoint too."""

        async def in_turn() -> None:
            await asyncio.to_thread(self._journal.close_day, self._clock())

        await self._writer.run_exclusive(in_turn())
