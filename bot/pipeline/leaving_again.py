"""Events that leave their table again while it is rebuilt, as they did when time passed: so it never holds all of them.

Rules kept here:
- An event leaves when the records are as far beyond it as the clock was when it left, by the policy of that time.
- At the end those have left that had, in the table that is rebuilt.

Left to others: which events leave (`storage/queries/old_events.py`).
"""

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import Fact, PolicyChanged
from moderation.policy import Policy
from moderation.rooms.table_horizon import events_stay_ms
from storage import queries
from storage.journal.line_format import day_of
from storage.journal.record import Record
from storage.projections import LeftEvents, let_events_leave

AT_ONCE = 2_000


class LeavingAgain:
    """The leaving of events up to where they had left; `had` None: none leave."""

    def __init__(self, had: LeftEvents | None) -> None:
        self._had = had or LeftEvents()
        self._stay_ms: int | None = None  # until a policy is known, nothing leaves
        self._days: list[tuple[str, int]] = []  # the days whose events are there, each with its first record
        self._start = 0

    def learn(self, fact: Fact) -> None:
        """Take the policy from which it follows how long events stay."""
        if isinstance(fact, PolicyChanged):
            try:
                self._stay_ms = events_stay_ms(Policy.model_validate_json(fact.policy))
            except ValidationError:  # of an older version, or erased: what held before goes on
                return

    async def before(self, db: AsyncConnection, record: Record) -> None:
        """Let the events leave that are old when a record is applied."""
        day = day_of(record.at_ms)
        if self._days and day <= self._days[-1][0]:
            return
        self._days.append((day, record.index))
        if self._stay_ms is not None:
            oldest = day_of(record.at_ms - self._stay_ms)
            while self._days[0][0] < oldest:
                del self._days[0]
            await self._leave(db, min(self._days[0][1], self._had.stop))

    async def finish(self, db: AsyncConnection) -> None:
        """Let the rest leave."""
        await self._leave(db, self._had.stop)

    async def _leave(self, db: AsyncConnection, below: int) -> None:
        while self._start < below:
            portion = await queries.events_leaving(db, self._start, below, self._had.bot, AT_ONCE)
            await let_events_leave(db, portion)
            self._start = portion.stop
