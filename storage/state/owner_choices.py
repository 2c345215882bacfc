"""Choices of owners for their rooms."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import Choices
from moderation.values.ids import RoomId
from storage import schema


async def choices_of(db: AsyncConnection, room: RoomId) -> Choices:
    """Return the choices for one room."""
    s = schema.room_settings.c
    rows = await db.execute(select(s.setting, s.value).where(s.room == room))
    return chosen((row.setting, row.value) for row in rows)


def chosen(rows: Iterable[tuple[str, str]]) -> Choices:
    """Read choices from rows."""
    values = dict(rows)
    level, _, below = values.get("verify", "0-off").partition("-")
    return Choices(write=int(level), below=below, digest=values.get("digest", "on") == "on")  # type: ignore[arg-type]


async def any_asks(db: AsyncConnection) -> bool:
    """Return whether the owner of any room chose to ask its members for verification."""
    query = select(schema.room_settings.c.room).where(schema.room_settings.c.setting == "verify").limit(1)
    return await db.scalar(query) is not None
