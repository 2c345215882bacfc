"""Waves of people who come into a room: who came, what was done before, who of them wrote something."""

from collections.abc import Sequence

from sqlalchemy import bindparam, func, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.builtin_rules import JOIN_WAVE
from moderation.rooms.join_waves import Coming
from moderation.values.ids import EventId, PersonId, RoomId, UserId
from storage import schema
from storage.database.dialect import sql_list
from storage.database.rows import rows_of, value_of
from storage.projections import POSTED, WAVE

from .standing import STANDS

_p, _s = schema.pointed.c, schema.sanctions.c
_LAST = select(_p.at).where(_p.room == bindparam("room"), _p.user == "", _p.step == WAVE)
_REMOVED_FROM = select(_s.room).where(
    _s.person == bindparam("person"),
    _s.kind.in_(("kick", "ban")),
    _s.at >= bindparam("since"),
    _s.why_ended != "reversed",
)


async def comings(db: AsyncConnection, room: RoomId, most: int) -> list[Coming]:
    """Return the last people who came into a room for the first time, or were invited, since the bot is there."""
    m, e, r = schema.members.c, schema.events.c, schema.rooms.c
    there = schema.members.join(schema.events, e.record == m.seen).join(schema.rooms, r.room == m.room)
    query = select(m.user, e.at, e.sender, e.event).select_from(there)
    rows = await db.execute(
        query.where(m.room == room, r.begun > 0, m.seen > r.begun).order_by(m.seen.desc()).limit(most)
    )
    return [Coming(UserId(user), at, UserId(by), EventId(event)) for user, at, by, event in rows][::-1]


async def inviter_of(db: AsyncConnection, room: RoomId, user: UserId) -> UserId | None:
    """Return who last invited somebody to a room; None if nobody did, or that was erased."""
    m, e = schema.members.c, schema.events.c
    there = schema.members.join(schema.events, e.record == m.invited)
    found = await db.scalar(select(e.sender).select_from(there).where(m.room == room, m.user == user, m.invited > 0))
    return UserId(found) if found else None


async def last_wave(db: AsyncConnection, room: RoomId) -> int | None:
    """Return when a wave was last noticed in a room."""
    found = await value_of(db, _LAST, {"room": room})
    return int(found) if found is not None else None


async def shut_by_waves(db: AsyncConnection, room: RoomId, since_ms: int) -> int:
    """Return how often a room was gated or closed because of a wave since a time."""
    s = schema.sanctions.c
    counted = select(func.count()).where(s.room == room, s.rule == JOIN_WAVE, s.at >= since_ms)
    return int(await db.scalar(counted) or 0)


async def removed_lately(db: AsyncConnection, room: RoomId, person: PersonId, since_ms: int) -> bool:
    """Return whether somebody was removed from a room, or banned, since a time, and that was not reversed."""
    [rows] = await rows_of(db, (_REMOVED_FROM, {"person": person, "since": since_ms}))
    return not {room, ""}.isdisjoint(row.room for row in rows)


async def who_stands(db: AsyncConnection, room: RoomId, users: Sequence[UserId]) -> frozenset[UserId]:
    """Return those of these people of whom a message stands in a room, that no measure removed."""
    e, s = schema.events.c, schema.spoke.c
    said = select(e.sender).distinct().where(e.room == room, e.kind == POSTED, sql_list(e.sender, users))
    before = select(s.user).where(s.room == room, sql_list(s.user, users), s.messages > 0)
    return frozenset(await db.scalars(union(said.where(*STANDS), before)))
