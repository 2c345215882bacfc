"""Choices of owners for their rooms."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, get_args

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import Choices
from moderation.policy import Held
from storage import schema

_s = schema.room_settings.c
CHOICES = select(_s.setting, _s.value).where(_s.room == bindparam("room"))


async def all_choices(db: AsyncConnection, room: str = "") -> dict[str, Choices]:
    """Return the choices for each room that has any, or for one."""
    every = select(_s.room, _s.setting, _s.value)
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for row in await db.execute(every.where(_s.room == room) if room else every):
        found[row.room].append(row)
    return {each: chosen(rows) for each, rows in found.items()}


def chosen(rows: Iterable[Any]) -> Choices:
    """Read choices from rows."""
    values = {row.setting: row.value for row in rows}
    level, _, below = values.get("verify", "0-off").partition("-")
    held = values.get("newcomers", "").split("+")
    return Choices(
        write=int(level),
        below=below,
        digest=values.get("digest", "on") == "on",
        hold=tuple(each for each in get_args(Held) if each in held),
        joins=values.get("joins"),
    )


async def any_asks(db: AsyncConnection) -> bool:
    """Return whether the owner of any room chose to ask its members for verification."""
    query = select(schema.room_settings.c.room).where(schema.room_settings.c.setting == "verify").limit(1)
    return await db.scalar(query) is not None
