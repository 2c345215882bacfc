"""What the owners of rooms chose for them."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import Choices
from moderation.values.ids import RoomId
from storage import schema


async def choices_of(db: AsyncConnection, room: RoomId) -> Choices:
    """What was chosen for one room."""
    s = schema.room_settings.c
    rows = await db.execute(select(s.setting, s.value).where(s.room == room))
    return chosen((row.setting, row.value) for row in rows)


def chosen(rows: Iterable[tuple[str, str]]) -> Choices:
    """Rows as what they say."""
    values = dict(rows)
    level, _, below = values.get("verify", "0-off").partition("-")
    return Choices(write=int(level), below=below, digest=values.get("digest", "on") == "on")  # type: ignore[arg-type]


async def any_asks(db: AsyncConnection) -> bool:
    """Whether the owner of any room chose to ask its members to be verified."""
    query = select(schema.room_settings.c.room).where(schema.room_settings.c.setting == "verify").limit(1)
    return await db.scalar(query) is not None
