"""Progress of anchoring the closing checkpoints of the days, and the groups each concerns.

Rules kept here:
- The mark only moves forward.
- It is set in the transaction that queues a day's anchors, and by their records, so that it is right again after the
  database was rebuilt.
"""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import GroupCode, RoomId
from storage import schema
from storage.database.dialect import upsert

_MARK = "anchored"


async def last_day(db: AsyncConnection) -> str | None:
    """Return the last day whose closing checkpoint was handled; None before the first."""
    found = await db.scalar(select(schema.meta.c.value).where(schema.meta.c.key == _MARK))
    return str(found) if found is not None else None


async def advance(db: AsyncConnection, day: str) -> None:
    """Note that all days up to `day` were handled."""
    mark = upsert(schema.meta).values(key=_MARK, value=day)
    await db.execute(
        mark.on_conflict_do_update(index_elements=["key"], set_={"value": day}, where=schema.meta.c.value < day)
    )


class Group(NamedTuple):
    """A group, by its names and its community."""

    room: RoomId
    code: GroupCode
    community: str


async def groups_within(db: AsyncConnection, size: int) -> tuple[Group, ...]:
    """Return the groups served now that had been entered when there were `size` records."""
    r = schema.rooms.c
    served = (r.purpose == "group", r.condition.in_(("observing", "protected")), r.entered < size)
    rows = await db.execute(select(r.room, r.code, r.community).where(*served).order_by(r.entered))
    return tuple(Group(*row) for row in rows)
