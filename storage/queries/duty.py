"""People who run a room: roles and presence, absences, and their hours."""

import json
from collections.abc import Collection, Mapping

from sqlalchemy import String, bindparam, func, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.duty.duty import Duty
from moderation.model.builtin_rules import NOBODY
from moderation.model.context import RoomView
from moderation.values.durations import DAY_MS
from moderation.values.ids import RoomId, UserId
from storage import schema
from storage.database.rows import rows_of
from storage.schema.case_tables import WAITS

from .linked_accounts import accounts_of_all
from .rooms import ACTIVE_GROUP, desk_of

_ROOM = bindparam("room", type_=String)
_m, _r, _d, _c = schema.members.c, schema.rooms.c, schema.desk_groups.c, schema.cases.c
_RUNNING = select(_m.user, _m.role).where(_m.room == _ROOM, _m.membership == "join", _m.role != "member")
_NOBODY = select(func.max(_c.opened).label("opened")).where(
    _c.room == _ROOM, _c.rule == NOBODY, _c.outcome != "dismissed"
)
_ROSTER = select(schema.rosters.c.user, schema.rosters.c.hours).where(schema.rosters.c.room == _ROOM)
_BEGUN = select(_r.created, _r.invited_by).where(_r.room == _ROOM)
# The people in the desk of a room who came after the room did, so that they knew what they came for.
_CAME = select(_m.user).where(
    _m.room == select(_r.room).where(_r.code == _d.desk, _r.condition != "left").scalar_subquery(),
    _m.membership == "join",
    _m.since >= _d.at,
    _d.served == bindparam("code"),
    _d.desk == select(_r.desk).where(_r.room == _ROOM).scalar_subquery(),
)
_a = schema.assignments.c
_FULL = (
    select(_a.user)
    .join(schema.cases, _c.n == _a.n)
    .join(schema.rooms, _r.room == _c.room)
    .where(_a.at > bindparam("since"), _r.community == bindparam("community"))
    .group_by(_a.user)
    .having(func.count(_a.n.distinct()) >= bindparam("most"))
)
_THERE = select(_m.user).where(_m.room == _ROOM, _m.membership == "join")
_AWAY = select(schema.away.c.user, schema.away.c.until)
_AWAY = _AWAY.where(schema.away.c.until > bindparam("now")).order_by(schema.away.c.until)
_CASES = select(_c.n).where(_c.room == _ROOM)
_ACTED = union(  # those who have done something in a room that managers do
    select(schema.decisions.c.by).where(schema.decisions.c.n.in_(_CASES)),
    select(schema.case_notes.c.by).where(schema.case_notes.c.n.in_(_CASES)),
    select(_c.by).where(_c.room == _ROOM),
    select(schema.sanctions.c.by).where(schema.sanctions.c.room == _ROOM, schema.sanctions.c.basis == "command"),
    select(schema.room_rules.c.by).where(schema.room_rules.c.room == _ROOM),
    select(schema.room_settings.c.by).where(schema.room_settings.c.room == _ROOM),
    select(schema.verifications.c.by).where(schema.verifications.c.room == _ROOM),
    select(schema.duty_accepted.c.user).where(schema.duty_accepted.c.room == _ROOM),
)


async def duty_of(
    db: AsyncConnection, room: RoomView, operators: tuple[str, ...], now_ms: int, *, at_most: int = 0
) -> Duty:
    """Return who runs `room` at `now_ms`; `at_most`: how many cases a day one of them is asked about (0: no limit)."""
    one = {"room": room.room}
    running, last, hours = await rows_of(db, (_RUNNING, one), (_NOBODY, one), (_ROSTER, one))
    joined = {UserId(row.user): row.role for row in running}
    suspended = {user: joined.pop(user) for user in room.suspended if user in joined}
    operating = tuple(UserId(user) for user in operators)
    several = await accounts_of_all(db, (*joined, *operating))
    desk = await _in_desk(db, room)
    took_it_on = await _took_on(db, room, several) if joined else frozenset()
    return Duty(
        owners=tuple(sorted(user for user, role in joined.items() if role == "owner")),
        managers=tuple(sorted(user for user, role in joined.items() if role == "manager")),
        suspended_owners=tuple(sorted(user for user, role in suspended.items() if role == "owner")),
        operators=operating,
        away=frozenset(await away_now(db, now_ms)),
        roster={row.user: row.hours for row in hours if row.user in joined},
        desk=desk,
        offered=frozenset(joined) - took_it_on,
        full=await _full(db, room, now_ms, at_most) if at_most else frozenset(),
        nobody_ms=last[0].opened or 0,
        accounts={user: frozenset(accounts) for user, accounts in several.items() if len(accounts) > 1},
    )


async def owners_of(db: AsyncConnection, room: RoomView) -> frozenset[UserId]:
    """Return the owners of `room` by their level who have accepted it, whether they are in the room or not."""
    several = await accounts_of_all(db, tuple(room.power.owners()))
    return await _took_on(db, room, several)


async def _took_on(
    db: AsyncConnection, room: RoomView, accounts: Mapping[UserId, Collection[UserId]]
) -> frozenset[UserId]:
    """Return those who have accepted the duty, by any of their accounts.

    They founded the room or invited the bot, came into the desk when it was that of the room already, said so, or acted
    there.
    """
    one = {"room": room.room}
    [row], came, acted = await rows_of(db, (_BEGUN, one), (_CAME, {**one, "code": room.code}), (_ACTED, one))
    founder = json.loads(row.created).get("sender", "") if row.created else ""
    took = {UserId(founder), UserId(row.invited_by), *(each.user for each in came), *(each.by for each in acted)} - {""}
    return frozenset(user for user, own in accounts.items() if not took.isdisjoint(own))


async def _full(db: AsyncConnection, room: RoomView, now_ms: int, at_most: int) -> frozenset[UserId]:
    """Return those who were asked about as many cases of this community within a day as one person can decide."""
    values = {"since": now_ms - DAY_MS, "community": room.community, "most": at_most}
    return frozenset(await db.scalars(_FULL, values))


async def _in_desk(db: AsyncConnection, room: RoomView) -> frozenset[UserId]:
    desk = await desk_of(db, room.code)
    return frozenset(await db.scalars(_THERE, {"room": desk})) if desk else frozenset()


async def away_now(db: AsyncConnection, now_ms: int) -> dict[UserId, int]:
    """Return who is away, by all of their accounts, and until when."""
    rows = await db.execute(_AWAY, {"now": now_ms})
    away = {UserId(row.user): row.until for row in rows}
    people = await accounts_of_all(db, away) if away else {}
    return {account: until for user, until in away.items() for account in people[user]}


async def answers_for(db: AsyncConnection, user: UserId) -> tuple[RoomId, ...]:
    """Return the active groups where somebody is manager or owner, in the order in which the groups came."""
    m = schema.members.c
    runs = (m.user == user, m.membership == "join", m.role != "member", ACTIVE_GROUP)
    query = select(m.room).join(schema.rooms, schema.rooms.c.room == m.room).where(*runs)
    return tuple(await db.scalars(query.order_by(schema.rooms.c.entered)))


async def waiting_for(db: AsyncConnection, user: UserId) -> dict[RoomId, list[int]]:
    """Return the cases that wait for somebody's decision now, alone or with others, by room."""
    a, c = schema.assignments.c, schema.cases.c
    theirs = select(c.room, c.n).distinct().join(schema.assignments, a.n == c.n)
    found: dict[RoomId, list[int]] = {}
    for row in await db.execute(theirs.where(a.user == user, a.asked == c.asked, WAITS).order_by(c.n)):
        found.setdefault(RoomId(row.room), []).append(row.n)
    return found
