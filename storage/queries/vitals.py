"""Numbers for monitoring: how much waits, and for whom."""

from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import schema

from .cases import WAITS
from .reports import LATE


@dataclass(frozen=True, slots=True)
class VitalNumbers:
    """Counts of what waits. `waiting`: rows of the outbox.

    `queued`: when the first row was queued that could be sent (None: none can).
    """

    waiting: int
    queued: int | None
    gaps: int
    cases_open: int
    cases_overdue: int


async def vital_numbers(db: AsyncConnection, now_ms: int, steady_ms: int) -> VitalNumbers:
    """Count what waits now; `steady_ms` is the time by the clock of the outbox."""
    o, c = schema.outbox.c, schema.cases.c
    waiting = int(await db.scalar(select(func.count()).select_from(schema.outbox)) or 0)
    queued = await db.scalar(select(func.min(o.queued)).where(or_(o.not_before <= steady_ms, o.attempts > 0)))
    late = and_(WAITS, or_(c.state.in_(LATE), and_(c.due > 0, c.due < now_ms)))
    counts = select(func.count().filter(WAITS), func.count().filter(late)).select_from(schema.cases)
    cases_open, overdue = (await db.execute(counts)).one()
    gaps = int(await db.scalar(select(func.count()).select_from(schema.gaps)) or 0)
    return VitalNumbers(waiting, queued, gaps, int(cases_open), int(overdue))
