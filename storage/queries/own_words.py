"""The bot's own messages and their rooms, so that they can be redacted."""

from collections.abc import Collection, Iterable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import EventId, RoomId, UserId
from storage import schema

_MANY = 500


async def said_in_direct_rooms(db: AsyncConnection, bot: UserId, users: Collection[UserId]) -> set[str]:
    """Return the events of everything the bot said in direct rooms with these people."""
    direct = select(schema.rooms.c.room).where(
        schema.rooms.c.purpose == "direct", schema.rooms.c.direct_with.in_(users)
    )
    e = schema.events.c
    return set(await db.scalars(select(e.event).where(e.sender == bot, e.kind == "posted", e.room.in_(direct))))


async def rooms_of_words(db: AsyncConnection, bot: UserId, events: Iterable[str]) -> list[tuple[RoomId, EventId]]:
    """Return those of these events that are known and the bot's own, each with its room, the oldest first."""
    wanted, e = sorted(events), schema.events.c
    found: list[tuple[int, str, str]] = []
    for start in range(0, len(wanted), _MANY):
        these = (e.sender == bot, e.event.in_(wanted[start : start + _MANY]))
        found += [tuple(row) for row in await db.execute(select(e.record, e.room, e.event).where(*these))]
    return [(RoomId(room), EventId(event)) for _, room, event in sorted(found)]


async def said_alone_in(db: AsyncConnection, bot: UserId, records: range) -> set[str]:
    """Return the events of what the bot said in direct rooms, among those recorded in `records`."""
    direct = select(schema.rooms.c.room).where(schema.rooms.c.purpose == "direct")
    e = schema.events.c
    these = (e.record >= records.start, e.record < records.stop, e.sender == bot, e.kind == "posted")
    return set(await db.scalars(select(e.event).where(*these, e.room.in_(direct))))


async def in_rooms_of_ours(
    db: AsyncConnection, words: Collection[tuple[RoomId, EventId]]
) -> list[tuple[RoomId, EventId]]:
    """Return those that were said in desks and direct rooms."""
    rooms = set(await db.scalars(select(schema.rooms.c.room).where(schema.rooms.c.purpose.in_(("desk", "direct")))))
    return [each for each in words if each[0] in rooms]
