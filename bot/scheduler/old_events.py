"""The leaving of old events from their table, a portion at a time.

Rules kept here:
- Events of a day leave together, once the day is older than anything that reads many events.
- A portion takes a fraction of a second, and the pause after it is longer: judging hardly waits, however many leave.
- While the clock may be wrong, nothing leaves.

Left to others: which events leave (`storage/queries/old_events.py`), how long they stay
(`moderation/rooms/table_horizon.py`).
"""

import asyncio
import time

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.monitoring.trusted_time import Doubts
from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from moderation.policy import Policy
from moderation.rooms.table_horizon import events_stay_ms
from moderation.values.durations import HOUR_MS
from storage import queries
from storage.database.database import Database
from storage.journal.line_format import day_of
from storage.journal.reader import Log
from storage.projections import Leaving, events_left, let_events_leave

log = structlog.get_logger()

AT_ONCE = 500  # events looked at in one portion
PAUSES = 4  # a pause is so many times as long as its portion took
SHORTEST_S = 0.05
LOOK_AGAIN_S = HOUR_MS / 1000


class OldEvents:
    """The leaving of old events."""

    def __init__(self, database: Database, pipeline: Pipeline, policy: Policy, clock: Clock, doubts: Doubts) -> None:
        self._database = database
        self._pipeline = pipeline
        self._stay_ms = events_stay_ms(policy)
        self._clock = clock
        self._doubts = doubts
        self._log = Log(pipeline.writer.journal.folder)

    async def run(self) -> None:
        """Let events leave whenever there are old ones, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_AGAIN_S)

    async def look(self) -> int:
        """Let all events leave that are old now. Return how many."""
        if self._doubts() is not None:
            return 0
        below = await asyncio.to_thread(first_since, self._log, self._clock() - self._stay_ms)
        left = await self._database.fetch(events_left)
        start, count = left.stop if left is not None else 0, 0
        while start < below:
            began = time.monotonic()
            portion = await self._portion(start, below)
            start, count = portion.stop, count + len(portion.events)
            await self._database.give_back()
            await asyncio.sleep(max(SHORTEST_S, PAUSES * (time.monotonic() - began)))
        if count:
            log.info("events_left", events=count, below=below)
        return count

    async def _portion(self, start: int, below: int) -> Leaving:
        found: list[Leaving] = []

        async def leave(db: AsyncConnection) -> None:
            found.append(await queries.events_leaving(db, start, below, self._pipeline.settings.bot, AT_ONCE))
            await let_events_leave(db, found[0])

        await self._pipeline.commit(also=leave)
        return found[0]


def first_since(log: Log, since_ms: int) -> int:
    """Return the first record of the first day that has a time after `since_ms`; 0 if there is none."""
    return next((first for day, first in log.starts() if day.name >= day_of(since_ms)), 0)
