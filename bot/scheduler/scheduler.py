"""The scheduler: does what is due, and sleeps in between.

Due are sanctions and cases (`due_cases.py`), checkpoints to sign, days to close, and notes of people who read records
on the command line (`bot/admin/spool.py`).

Rules kept here:
- There is no fixed beat: the loop sleeps until the next thing is due or it is woken.
- It looks at least once a minute, so that changing the clock does no harm.
- What became due while the bot was down is done on start.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.admin.records import Operations
from bot.admin.spool import Spool
from bot.effects.anchor_day import Closer
from bot.matrix.errors import HomeserverError, Unreachable
from bot.monitoring.trusted_time import Doubt
from bot.pipeline import heartbeat
from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from bot.sync.presence import Presence
from moderation.model.actions.alerts import Alert
from moderation.model.actions.base import NO_ROOM
from moderation.model.actions.telling import TellDesk
from moderation.model.facts import Fact
from moderation.values.durations import HOUR_MS
from moderation.values.notices import line
from storage import queries
from storage.database.database import Database
from storage.export.waiting import remove_waiting

from .balances import Balances
from .digest import Digester
from .due_cases import Due

log = structlog.get_logger()
LOOK_AGAIN_MS = 60_000
DAY_MS = 86_400_000
SHORTEST_MS = 10
UNSURE_MS = 250  # before the homeserver is asked again while it is uncertain that people could act


class Scheduler:
    """The loop that does what is due, until cancelled."""

    def __init__(
        self,
        database: Database,
        pipeline: Pipeline,
        clock: Clock,
        data_dir: Path,
        closer: Closer,
        operations: Operations,
        digester: Digester,
        presence: Presence,
        ask: Callable[[], Awaitable[object]],
        behind: Callable[[], bool],
    ) -> None:
        """Set up.

        `ask`: a request that the homeserver answers at once; `behind`: whether decisions of people may not have been
        read yet.
        """
        self._database = database
        self._pipeline = pipeline
        self._clock = clock
        self._spool = Spool(data_dir, pipeline, clock)
        self._data_dir = data_dir
        self._exports_seen_in = 0  # hours since 1970
        self._closer = closer
        self._operations = operations
        self._digester = digester
        self._presence = presence
        self._ask = ask
        self._behind = behind
        self._balances = Balances(database, pipeline, pipeline.writer.journal, pipeline.settings.policy, clock)
        settings = pipeline.settings
        self._due = Due(pipeline.knowledge, settings.policy, clock, pipeline.matching, settings.policy_user)
        self._done_on = -1  # the day, counted from 1970, of the last daily work
        self._removed_on = -1  # the day on which expired things were last closed and removed
        self._doubted: Doubt | None = None  # what was last said about the clock
        self._overwritten_at = 0
        self._times: queries.NextTimes  # at which something is due, as they were read last
        self._noted_ms: int | None = None  # until when people were heard, likewise
        self._awake = pipeline.wake.scheduler

    async def run(self) -> None:
        """Do, sleep, repeat."""
        while True:
            self._awake.clear()
            await self.do_what_is_due()
            pause_s = self._pause_s()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):  # not wait_for, which in 3.11 can swallow being cancelled
                    await self._awake.wait()

    async def do_what_is_due(self) -> int:
        """Do what is due. Return how many things that were."""
        await self._read_times()
        if count := await self._see_to_it(await self._people_ms()):
            await self._read_times()
        await self._spool.pick_up()
        await self._pipeline.journal.checkpoint()
        await self._closer.look()
        await self._digester.look()
        await self._daily()
        await self._remove_exports()
        await self._overwrite_what_was_sent()
        return count

    async def _daily(self) -> None:
        """Check balances, and close and remove what is over, the latter never while the clock may be wrong."""
        today = self._clock() // DAY_MS
        if today != self._done_on:
            self._done_on = today
            await self._balances.look()
        doubt = self._operations.doubts()
        await self._tell_doubt(doubt)
        if doubt is None and today != self._removed_on:
            self._removed_on = today
            await self._remove_what_is_over()

    async def _remove_what_is_over(self) -> None:
        if day := await self._pipeline.journal.mend_future_day():
            log.warning("day_mended", day=day)
        await self._close_cases()
        await self._operations.identity.drop_expired()
        await self._operations.tidier.look()
        plan = await self._operations.purge("schedule")
        if plan.days:
            log.info("purged", days=len(plan.days), records=plan.records)

    async def _remove_exports(self) -> None:
        """Remove exports that wait for too long, once an hour."""
        now = self._clock()
        if self._exports_seen_in != now // HOUR_MS:
            self._exports_seen_in = now // HOUR_MS
            await asyncio.to_thread(remove_waiting, self._data_dir, now)

    async def _overwrite_what_was_sent(self) -> None:
        """Overwrite the words of deleted rows of the outbox, once a minute, if no words may be kept."""
        now = self._clock()
        if self._pipeline.settings.content == "metadata" and abs(now - self._overwritten_at) >= LOOK_AGAIN_MS:
            self._overwritten_at = now
            await self._database.clean(patience_ms=0)

    async def _tell_doubt(self, doubt: Doubt | None) -> None:
        """Say once in the desks that the clock may be wrong, and that nothing is removed meanwhile."""
        before, self._doubted = self._doubted, doubt
        if doubt is None or doubt == before or doubt == "unheard":
            return
        log.warning("clock_doubted", why=doubt)
        groups = await self._database.fetch(queries.active_groups)
        lines = (line(f"desk.clock.{doubt}"),)
        desks = [TellDesk(room=room, lines=lines, once="clock") for room in groups]
        await self._pipeline.commit(actions=[*desks, Alert(room=NO_ROOM, what="log", code=f"clock-{doubt}")])

    async def _people_ms(self) -> int:
        """Return until when people could act and we know what they did; 0: not known. Record the pauses."""
        if self._presence.lost:
            return 0
        await self._make_sure()
        heard_ms, pauses, last = self._presence.heard_ms, self._presence.pauses(), self._noted_ms
        facts = heartbeat.pause_facts(pauses)
        if facts or last is None or abs(heard_ms - last) >= heartbeat.BEAT_MS:
            await self._pipeline.commit(facts, also=partial(heartbeat.note, heard_ms=heard_ms))
            await self._read_times()
        return 0 if self._behind() else heard_ms

    async def _make_sure(self) -> None:
        """Ask the homeserver whether it is there now, if by the clock something of people is due."""
        asked_ms = self._clock()
        if not self._due.any(self._times, asked_ms):
            return
        try:
            await self._ask()
        except Unreachable:
            self._presence.lose()
        except HomeserverError:  # other answers are left to the listener
            return
        else:
            self._presence.confirmed(asked_ms, self._clock())
        await self._read_times()

    async def _read_times(self) -> None:
        """Read when something is due, and until when people were last heard. A later write wakes us."""
        self._times, noted = await self._database.fetch(queries.next_times_and_meta, heartbeat.ALIVE)
        self._noted_ms = int(noted) if noted else None

    async def _close_cases(self) -> None:
        """Close the cases that can no longer be appealed, some at a time."""
        while await self._pipeline.commit_with(self._due.closings):
            pass

    async def _see_to_it(self, people_ms: int) -> int:
        if not self._due.any(self._times, people_ms):
            return 0

        def groups(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            return self._due.groups(db, people_ms)

        return await self._pipeline.commit_with(groups)

    def _pause_s(self) -> float:
        due = self._due.next(self._times, cases=not self._presence.lost and not self._behind())
        now = self._clock()
        midnight = DAY_MS - now % DAY_MS
        shortest = SHORTEST_MS if due > now else UNSURE_MS
        return min(max(min(due - now, midnight), shortest), self._closer.waits_ms or LOOK_AGAIN_MS) / 1000
