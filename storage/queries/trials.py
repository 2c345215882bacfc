"""Findings of rules on trial: for the desk, which is shown it once a day, and for `!rule list`."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import EventId, RoomId
from storage import schema


@dataclass(frozen=True, slots=True)
class Trial:
    """The findings of one rule in a room in a time, and the newest of these events."""

    rule: str
    count: int
    people: int
    newest: tuple[EventId, ...]


async def trials_of(db: AsyncConnection, room: RoomId, since_ms: int, until_ms: int, most: int) -> tuple[Trial, ...]:
    """Return what rules on trial would have found in a room since a time and before another, by rule.

    At most `most` events of each; those of people who were erased are counted only.
    """
    t, e = schema.trials.c, schema.events.c
    these = (t.room == room, t.at >= since_ms, t.at < until_ms)
    events = schema.trials.outerjoin(schema.events, e.record == t.message)
    sums = select(t.rule, func.count().label("events"), func.count(e.sender.distinct()).label("people"))
    found: list[Trial] = []
    for row in (await db.execute(sums.select_from(events).where(*these).group_by(t.rule).order_by(t.rule))).all():
        newest = select(e.event).select_from(events).where(*these, t.rule == row.rule, e.event.is_not(None))
        newest = newest.order_by(t.record.desc()).limit(most)
        found.append(Trial(row.rule, row.events, row.people, tuple(map(EventId, await db.scalars(newest)))))
    return tuple(found)
