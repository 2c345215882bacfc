"""Sanctions in force, and what the bot holds in rooms on account of them."""

from sqlalchemy import func, or_, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.context import InForce
from moderation.ids import RoomId, UserId
from moderation.sanctions import Hold

from .. import tables as t

_LASTING = ("mute", "demote", "ban")


async def sanctions_of(db: AsyncConnection, person: str) -> tuple[InForce, ...]:
    """The lasting sanctions in force against a person."""
    s = t.sanctions.c
    rows = await db.execute(
        select(t.sanctions).where(s.person == person, s.ended == 0, s.kind.in_(_LASTING)).order_by(s.record)
    )
    return tuple(_in_force(row) for row in rows)


async def sanctions_in(db: AsyncConnection, room: RoomId) -> tuple[InForce, ...]:
    """The lasting sanctions in force in a room, against anybody."""
    s = t.sanctions.c
    rows = await db.execute(
        select(t.sanctions)
        .where(or_(s.room == room, s.room == ""), s.ended == 0, s.kind.in_(_LASTING))
        .order_by(s.record)
    )
    return tuple(_in_force(row) for row in rows)


async def sanctions_due(db: AsyncConnection, now_ms: int) -> tuple[InForce, ...]:
    """The lasting sanctions whose time is over."""
    s = t.sanctions.c
    rows = await db.execute(
        select(t.sanctions)
        .where(s.ended == 0, s.until > 0, s.until <= now_ms, s.kind.in_(_LASTING))
        .order_by(s.until, s.record)
    )
    return tuple(_in_force(row) for row in rows)


async def all_in_force(db: AsyncConnection) -> tuple[InForce, ...]:
    """The lasting sanctions in force against anybody."""
    s = t.sanctions.c
    rows = await db.execute(select(t.sanctions).where(s.ended == 0, s.kind.in_(_LASTING)).order_by(s.record))
    return tuple(_in_force(row) for row in rows)


async def next_due(db: AsyncConnection) -> int | None:
    """When the next lasting sanction ends, milliseconds since 1970."""
    s = t.sanctions.c
    found = await db.scalar(select(func.min(s.until)).where(s.ended == 0, s.until > 0, s.kind.in_(_LASTING)))
    return int(found) if found is not None else None


async def holds_in(db: AsyncConnection, room: RoomId) -> dict[tuple[UserId, str], Hold]:
    """What the bot holds in a room on account of sanctions."""
    rows = await db.execute(select(t.holds).where(t.holds.c.room == room))
    return {
        (UserId(row.user), row.what): Hold(UserId(row.user), row.what, row.step, row.prior, row.held, row.corrections)
        for row in rows
    }


def _in_force(row: Row[tuple[object, ...]]) -> InForce:
    return InForce(
        record=row.record,
        kind=row.kind,
        room=RoomId(row.room) if row.room else None,
        subject=UserId(row.subject),
        until=row.until,
        basis=row.basis,
        n=row.n,
    )
