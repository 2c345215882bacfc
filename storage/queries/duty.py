"""People who run a room: roles and presence, absences, and the roster."""

import json
from collections.abc import Collection, Mapping

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.duty.duty import Duty
from moderation.model.builtin_rules import NOBODY
from moderation.model.context import RoomView
from moderation.values.durations import DAY_MS
from moderation.values.ids import RoomId, UserId
from storage import schema

from .cases import WAITS
from .linked_accounts import accounts_of_all
from .rooms import ACTIVE_GROUP, desk_of


async def duty_of(
    db: AsyncConnection, room: RoomView, operators: tuple[str, ...], now_ms: int, *, at_most: int = 0
) -> Duty:
    """Return who runs `room` at `now_ms`; `at_most`: how many cases a day one of them is asked about (0: no limit)."""
    m = schema.members.c
    joined = {
        UserId(row.user): row.role
        for row in await db.execute(
            select(m.user, m.role).where(m.room == room.room, m.membership == "join", m.role != "member")
        )
    }
    suspended = {user: joined.pop(user) for user in room.suspended if user in joined}
    operating = tuple(UserId(user) for user in operators)
    several = await accounts_of_all(db, (*joined, *operating))
    last = await db.scalar(
        select(func.max(schema.cases.c.opened)).where(
            schema.cases.c.room == room.room, schema.cases.c.rule == NOBODY, schema.cases.c.outcome != "dismissed"
        )
    )
    desk = await _in_desk(db, room)
    took_it_on = await _took_on(db, room, several) if joined else frozenset()
    return Duty(
        owners=tuple(sorted(user for user, role in joined.items() if role == "owner")),
        managers=tuple(sorted(user for user, role in joined.items() if role == "manager")),
        suspended_owners=tuple(sorted(user for user, role in suspended.items() if role == "owner")),
        operators=operating,
        away=frozenset(await away_now(db, now_ms)),
        roster={user: hours for user, hours in (await roster_of(db, room.room)).items() if user in joined},
        desk=desk,
        offered=frozenset(joined) - took_it_on,
        full=await _full(db, room, now_ms, at_most) if at_most else frozenset(),
        nobody_ms=int(last or 0),
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
    here = select(schema.rooms.c.created, schema.rooms.c.invited_by).where(schema.rooms.c.room == room.room)
    row = (await db.execute(here)).one()
    founder = json.loads(row.created).get("sender", "") if row.created else ""
    took = {*await _came_into_desk(db, room), UserId(founder), UserId(row.invited_by), *await _acted(db, room.room)}
    return frozenset(user for user, own in accounts.items() if not took.isdisjoint(own))


async def _acted(db: AsyncConnection, room: RoomId) -> set[UserId]:
    """Return those who have done something in a room that managers do."""
    cases = select(schema.cases.c.n).where(schema.cases.c.room == room)
    acts = (
        select(schema.decisions.c.by).where(schema.decisions.c.n.in_(cases)),
        select(schema.case_notes.c.by).where(schema.case_notes.c.n.in_(cases)),
        select(schema.cases.c.by).where(schema.cases.c.room == room),
        select(schema.sanctions.c.by).where(schema.sanctions.c.room == room, schema.sanctions.c.basis == "command"),
        select(schema.room_rules.c.by).where(schema.room_rules.c.room == room),
        select(schema.room_settings.c.by).where(schema.room_settings.c.room == room),
        select(schema.verifications.c.by).where(schema.verifications.c.room == room),
        select(schema.duty_accepted.c.user).where(schema.duty_accepted.c.room == room),
    )
    return {UserId(by) for act in acts for by in await db.scalars(act.distinct()) if by}


async def _full(db: AsyncConnection, room: RoomView, now_ms: int, at_most: int) -> frozenset[UserId]:
    """Return those who were asked about as many cases of this community within a day as one person can decide."""
    a, c, r = schema.assignments.c, schema.cases.c, schema.rooms.c
    query = (
        select(a.user)
        .join(schema.cases, c.n == a.n)
        .join(schema.rooms, r.room == c.room)
        .where(a.at > now_ms - DAY_MS, r.community == room.community)
        .group_by(a.user)
        .having(func.count(a.n.distinct()) >= at_most)
    )
    return frozenset(await db.scalars(query))


async def _in_desk(db: AsyncConnection, room: RoomView) -> frozenset[UserId]:
    desk = await desk_of(db, room.code)
    there = select(schema.members.c.user).where(schema.members.c.room == desk, schema.members.c.membership == "join")
    return frozenset(await db.scalars(there)) if desk else frozenset()


async def _came_into_desk(db: AsyncConnection, room: RoomView) -> frozenset[UserId]:
    """Return the people in the desk of a room who came after the room did, so that they knew what they came for."""
    d, m, r = schema.desk_groups.c, schema.members.c, schema.rooms.c
    desk = select(r.room).where(r.code == d.desk, r.condition != "left").scalar_subquery()
    used = select(r.desk).where(r.room == room.room).scalar_subquery()
    came = (m.room == desk, m.membership == "join", m.since >= d.at, d.served == room.code, d.desk == used)
    return frozenset(await db.scalars(select(m.user).where(*came)))


async def away_now(db: AsyncConnection, now_ms: int) -> dict[UserId, int]:
    """Return who is away, by all of their accounts, and until when."""
    a = schema.away.c
    rows = await db.execute(select(a.user, a.until).where(a.until > now_ms).order_by(a.until))
    away = {UserId(row.user): row.until for row in rows}
    people = await accounts_of_all(db, away) if away else {}
    return {account: until for user, until in away.items() for account in people[user]}


async def roster_of(db: AsyncConnection, room: RoomId) -> dict[UserId, str]:
    """Return the hours of everybody in the roster of a room."""
    r = schema.rosters.c
    return dict((await db.execute(select(r.user, r.hours).where(r.room == room))).all())


async def answers_for(db: AsyncConnection, user: UserId) -> tuple[RoomId, ...]:
    """Return the active groups where somebody is manager or owner, in the order in which the groups came."""
    m = schema.members.c
    runs = (m.user == user, m.membership == "join", m.role != "member", ACTIVE_GROUP)
    query = select(m.room).join(schema.rooms, schema.rooms.c.room == m.room).where(*runs)
    return tuple(await db.scalars(query.order_by(schema.rooms.c.entered)))


async def waiting_for(db: AsyncConnection, user: UserId) -> tuple[int, ...]:
    """Return the cases that wait for somebody's decision now, alone or with others."""
    a, c = schema.assignments.c, schema.cases.c
    theirs = select(c.n).join(schema.assignments, a.n == c.n).where(a.user == user, a.asked == c.asked, WAITS)
    return tuple(sorted(set(await db.scalars(theirs))))
