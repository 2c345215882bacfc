"""Previews of policy lists: how many were asked for, what was shown, and which rooms the bot entered for them."""

from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import RoomId, UserId
from storage import schema


@dataclass(frozen=True, slots=True)
class ListPreview:
    """A preview that was shown: of which list, for which rooms, and what it said."""

    number: int
    room: RoomId  # the group for which it was asked
    list_room: RoomId
    reach: str
    entries: int
    digest: str
    at: int


async def list_preview(db: AsyncConnection, number: int) -> ListPreview | None:
    """Return the preview of this number, if it was shown."""
    t = schema.list_previews
    columns = [t.c[name] for name in ListPreview.__dataclass_fields__]
    row = (await db.execute(select(*columns).where(t.c.number == number, t.c.digest != ""))).first()
    return ListPreview(*row) if row else None


async def previews_asked(db: AsyncConnection, since_ms: int, room: RoomId, by: UserId) -> tuple[int, int]:
    """Return how many previews somebody asked for since a time, and how many were asked for this room."""
    t = schema.list_previews
    counted = select(func.count().filter(t.c.by == by), func.count().filter(t.c.room == room))
    theirs, here = (await db.execute(counted.where(t.c.asked > since_ms, or_(t.c.by == by, t.c.room == room)))).one()
    return int(theirs), int(here)


async def rooms_entered(db: AsyncConnection) -> dict[RoomId, tuple[int, frozenset[RoomId]]]:
    """Return the rooms that the bot entered to read a list: when it was last asked for, and for which groups."""
    t = schema.list_previews
    found: dict[RoomId, tuple[int, frozenset[RoomId]]] = {}
    lists = select(t.c.list_room).where(t.c.entered == 1)
    for row in await db.execute(select(t.c.list_room, t.c.room, t.c.asked).where(t.c.list_room.in_(lists))):
        asked, groups = found.get(row.list_room, (0, frozenset()))
        found[row.list_room] = max(asked, row.asked), groups | {row.room}
    return found
