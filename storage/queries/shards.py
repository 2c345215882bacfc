"""Queries about the logs of other shards."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.shards.crossing import LogPlace
from moderation.values.ids import PersonId, RoomId
from storage import schema

from .rooms import ACTIVE_GROUP

_t = schema.learnt.c


async def known_log(db: AsyncConnection, origin: str) -> Any | None:
    """Return up to where another log was learnt, in its newest era, with the size and root that proved it."""
    newest = select(_t.era).where(_t.origin == origin).order_by(_t.record.desc()).limit(1).scalar_subquery()
    last = select(_t.era, _t.position, _t.size, _t.root).where(_t.origin == origin, _t.era == newest)
    return (await db.execute(last.order_by(_t.position.desc(), _t.record.desc()).limit(1))).first()


async def pinned_key(db: AsyncConnection, origin: str) -> str | None:
    """Return the key of another log, as it was first seen."""
    keys = schema.shard_keys.c
    key = await db.scalar(select(keys.vkey).where(keys.origin == origin))
    return str(key) if key is not None else None


async def orders_in_force(
    db: AsyncConnection, now_ms: int, *, person: PersonId | None = None, n: int | None = None
) -> Sequence[Any]:
    """Return the orders for all rooms of all shards that are in force now, about a person or of a case.

    An order is in force until it is recalled or its time is over.
    """
    o = schema.orders.c
    whose = [o.person == person] if person is not None else []
    case = [o.n == n] if n is not None else []
    lasts = or_(o.until == 0, o.until > now_ms)
    return (await db.execute(select(schema.orders).where(o.ended == 0, lasts, *whose, *case).order_by(o.record))).all()


async def begun_elsewhere(db: AsyncConnection, record: int) -> LogPlace | None:
    """Return where, in another log, the record stands of which ours at `record` tells; None if it tells of none."""
    known = select(_t.origin, _t.era, _t.idx).where(_t.record == record)
    o = schema.orders.c
    order = select(o.origin, o.era, o.idx).where(o.record == record, o.origin != "-")
    row = (await db.execute(known)).first() or (await db.execute(order)).first()
    return LogPlace(row.origin, row.idx, 0, 0, "", row.era) if row is not None else None


async def communities_here(db: AsyncConnection) -> dict[str, list[RoomId]]:
    """Return the communities of the groups served now, each with these groups."""
    r = schema.rooms.c
    found: dict[str, list[RoomId]] = {}
    for row in await db.execute(select(r.community, r.room).where(ACTIVE_GROUP).order_by(r.entered)):
        found.setdefault(row.community, []).append(RoomId(row.room))
    return found


async def spaces_listing(db: AsyncConnection, room: RoomId) -> frozenset[str]:
    """Return the spaces that list a room."""
    listed = schema.space_rooms.c
    return frozenset(await db.scalars(select(listed.space).where(listed.room == room)))
