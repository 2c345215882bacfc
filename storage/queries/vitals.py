"""Numbers for monitoring: how much waits, and for whom."""

from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.actions.base import OUTSIDE
from moderation.values.ids import RoomId
from storage import schema
from storage.schema.case_tables import WAITS

from .reports import LATE


@dataclass(frozen=True, slots=True)
class VitalNumbers:
    """Counts of what waits. `waiting`: rows of the outbox.

    `queued`: when the first row was queued that could be sent to the homeserver (None: none can).
    """

    waiting: int
    queued: int | None
    gaps: int
    cases_open: int
    cases_overdue: int


async def vital_numbers(db: AsyncConnection, now_ms: int, steady_ms: int) -> VitalNumbers:
    """Count what waits now; `steady_ms` is the time by the clock of the outbox."""
    o = schema.outbox.c
    waiting = int(await db.scalar(select(func.count()).select_from(schema.outbox)) or 0)
    sendable = or_(o.not_before <= steady_ms, o.attempts > 0)
    queued = await db.scalar(select(func.min(o.queued)).where(o.priority < OUTSIDE, sendable))
    cases_open, overdue = await cases_open_and_overdue(db, now_ms)
    gaps = int(await db.scalar(select(func.count()).select_from(schema.gaps)) or 0)
    return VitalNumbers(waiting, queued, gaps, cases_open, overdue)


async def groups_by_condition(db: AsyncConnection) -> dict[str, int]:
    """Count the groups in each condition."""
    r = schema.rooms.c
    query = select(r.condition, func.count()).where(r.purpose == "group").group_by(r.condition).order_by(r.condition)
    return dict((await db.execute(query)).all())


async def cases_open_and_overdue(db: AsyncConnection, now_ms: int, room: RoomId | None = None) -> tuple[int, int]:
    """Count the cases that wait for a decision, and those of them that are late; of one room, or of all."""
    c = schema.cases.c
    late = and_(WAITS, or_(c.state.in_(LATE), and_(c.due > 0, c.due < now_ms)))
    counts = select(func.count(), func.count().filter(late)).select_from(schema.cases).where(WAITS)
    waits, overdue = (await db.execute(counts if room is None else counts.where(c.room == room))).one()
    return int(waits), int(overdue)
