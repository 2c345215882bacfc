"""The rooms that ask the policy server before they deliver messages."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import RoomId
from storage import schema


@dataclass(frozen=True, slots=True)
class PolicyRoom:
    """A room whose owner chose that it asks; `down_ms`: since when it does not, as nobody would answer (0: it does)."""

    room: RoomId
    since_ms: int
    down_ms: int


async def policy_rooms(db: AsyncConnection) -> dict[RoomId, int]:
    """Return the rooms that ask the policy server, even if not at the moment, and since when (ms)."""
    return {room.room: room.since_ms for room in await rooms_that_ask(db)}


async def rooms_that_ask(db: AsyncConnection) -> list[PolicyRoom]:
    """Return the rooms whose owners chose that they ask the policy server."""
    p = schema.policy_rooms.c
    rows = await db.execute(select(p.room, p.since, p.down).order_by(p.room))
    return [PolicyRoom(RoomId(row.room), int(row.since), int(row.down)) for row in rows]


async def room_that_asks(db: AsyncConnection, room: RoomId) -> PolicyRoom | None:
    """Return how a room asks the policy server; None if its owner did not choose that."""
    return next((each for each in await rooms_that_ask(db) if each.room == room), None)
