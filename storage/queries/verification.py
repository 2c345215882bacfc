"""Verifications, when people were first seen, what they were told, and what may be due.

Rules kept here:
- A person's verifications count for all of their accounts.
- A revoked verification ended when it was revoked.

Left to others: what follows (`moderation/people/verification.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.builtin_rules import UNVERIFIED, UNVERIFIED_MANAGER
from moderation.model.context import InForce, VerificationInForce
from moderation.people.verification import WARNED_BEFORE, Asks, Guest
from moderation.values.durations import HOUR_MS
from moderation.values.ids import PersonId, RoomId, UserId
from storage import schema
from storage.database.dialect import least
from storage.database.rows import rows_of
from storage.projections import REMOVED

from .sanctions import all_in_force

_v, _p = schema.verifications.c, schema.pointed.c


def _end() -> ColumnElement[int]:
    """Return the time at which a verification ends, or ended."""
    revoked = func.coalesce(func.nullif(_v.revoked, 0), _v.until)
    return least(_v.until, revoked).label("end")


PROOFS = (
    select(_v.method, _v.level, _end(), _v.reach, _v.room).where(_v.person == bindparam("person")).order_by(_v.record)
)
# Whether a member came into the room after the bot had begun to record it.
CAME_AFTER = and_(schema.rooms.c.begun > 0, schema.members.c.seen > schema.rooms.c.begun)
SINCE = (
    select(schema.members.c.room, schema.members.c.since, schema.members.c.joined, CAME_AFTER.label("came_after"))
    .outerjoin(schema.rooms, schema.rooms.c.room == schema.members.c.room)
    .where(schema.members.c.user == bindparam("user"))
)
TOLD = select(_p.room, _p.step, _p.at).where(_p.user == bindparam("user"))
_VERIFIED = select(_v.user).where(_v.user != "", _v.revoked == 0, _v.until > bindparam("now"))
_PINNED = select(schema.pinned_keys.c.user, schema.pinned_keys.c.key)
_TO_PIN = select(
    select(func.max(_v.record)).scalar_subquery().label("newest"),
    select(func.count()).select_from(schema.pinned_keys).scalar_subquery().label("pinned"),
)


def counting_in(room: str) -> ColumnElement[bool]:
    """Return the condition that a verification counts in a room, as `moderation/model/reach.py` defines it."""
    v = schema.verifications.c
    community = select(schema.rooms.c.community).where(schema.rooms.c.room == room).scalar_subquery()
    return or_(v.reach == "", v.reach == community, v.room == room)


def read_proofs(rows: Iterable[Any]) -> tuple[VerificationInForce, ...]:
    """Return all verifications of a person that are kept, in force or over."""
    return tuple(
        VerificationInForce(row.method, row.level, row.end, row.reach, RoomId(row.room) if row.room else None)
        for row in rows
    )


def read_since(rows: Iterable[Any]) -> dict[RoomId, int]:
    """Return when an account was first seen in each room."""
    return {RoomId(row.room): row.since for row in rows}


def read_came(rows: Iterable[Any]) -> dict[RoomId, int]:
    """Return when an account was first seen in each room in which the bot was before."""
    return {RoomId(row.room): row.since for row in rows if row.came_after and row.since}


def read_joined(rows: Iterable[Any]) -> dict[RoomId, int]:
    """Return when an account last came into each room."""
    return {RoomId(row.room): row.joined for row in rows}


def read_told(rows: Iterable[Any]) -> dict[tuple[RoomId, str], int]:
    """Return the notices about verification that somebody was given, with the last time of each."""
    return {(RoomId(row.room), row.step): row.at for row in rows}


async def state_of_pins(db: AsyncConnection) -> tuple[int, int]:
    """Return what changes whenever an account comes to be verified, or to have no pinned key."""
    [[row]] = await rows_of(db, (_TO_PIN, {}))
    return row.newest or 0, row.pinned


async def pinned_keys(db: AsyncConnection, now_ms: int) -> tuple[dict[UserId, str], set[UserId]]:
    """Return the pinned master keys of verified accounts, and the accounts that are verified themselves."""
    pinned, verified = await rows_of(db, (_PINNED, {}), (_VERIFIED, {"now": now_ms}))
    return {row.user: row.key for row in pinned}, {row.user for row in verified}


async def verifications_of(db: AsyncConnection, user: UserId, now_ms: int) -> tuple[VerificationInForce, ...]:
    """Return the verifications in force of one account, the newest of each method."""
    v = schema.verifications.c
    holding = (v.user == user, v.revoked == 0, v.until > now_ms)
    rows = await db.execute(select(v.method, v.level, v.until).where(*holding).order_by(v.record))
    return tuple({row.method: VerificationInForce(row.method, row.level, row.until) for row in rows}.values())


async def verified_by(db: AsyncConnection, person: PersonId, method: str, now_ms: int) -> tuple[UserId, ...]:
    """Return the accounts of a person that a method verifies now, the newest verification first."""
    v = schema.verifications.c
    held = (v.person == person, v.method == method, v.revoked == 0, v.until > now_ms)
    found = await db.scalars(select(v.user).where(*held).order_by(v.record.desc()))
    return tuple(dict.fromkeys(UserId(user) for user in found if user))


async def verifications_with(
    db: AsyncConnection, user: UserId, link: int
) -> tuple[tuple[int, VerificationInForce], ...]:
    """Return the verifications in force of an account that came with this link, each with its record."""
    v = schema.verifications.c
    at = select(schema.links.c.at).where(schema.links.c.record == link).scalar_subquery()
    came = (v.user == user, v.revoked == 0, v.at == at, v.record > link)
    rows = await db.execute(select(v.record, v.method, v.level, v.until).where(*came).order_by(v.record))
    return tuple((row.record, VerificationInForce(row.method, row.level, row.until)) for row in rows)


async def members_below(
    db: AsyncConnection, room: RoomId, needed: int, asks: Asks, now_ms: int, *, managers: bool = False
) -> tuple[Guest, ...]:
    """Return who is in a room and below a level, except those exempted by a decision or being removed."""
    m = schema.members.c
    rule = UNVERIFIED_MANAGER if managers else UNVERIFIED
    query = (
        _members(room, asks, needed, now_ms)
        .where(m.room == room, m.membership == "join")
        .where((m.role == "manager") if managers else (m.role == "member"))
        .where(~_let_be(room, rule), ~_under_way(room))
        .having(_level(now_ms) < needed)
    )
    rows = (await db.execute(query)).all()
    told = await _told_in(db, room, [row.user for row in rows])
    return tuple(Guest(UserId(row.user), row.since, row.lapsed or 0, told.get(row.user, {})) for row in rows)


async def knocking_people(db: AsyncConnection, room: RoomId) -> dict[UserId, int]:
    """Return who asks to enter a room, and when they were last answered; 0 if not yet."""
    m, p = schema.members.c, schema.pointed.c
    answered = and_(p.room == m.room, p.user == m.user, p.step == "knocked")
    rows = await db.execute(
        select(m.user, func.coalesce(p.at, 0).label("at"))
        .outerjoin(schema.pointed, answered)
        .where(m.room == room, m.membership == "knock")
        .order_by(m.user)
    )
    return dict(rows.all())


async def outside(db: AsyncConnection, room: RoomId, code: str) -> tuple[UserId, ...]:
    """Return who is in the lobby of a room but not in the room, or was removed from it as unverified.

    People invited since then are left out: coming in is their own choice.
    """
    m, p, inside = schema.members.c, schema.pointed.c, schema.members.alias("inside")
    lobby = select(schema.rooms.c.room).where(
        schema.rooms.c.purpose == "lobby", schema.rooms.c.served == code, schema.rooms.c.condition != "left"
    )
    in_lobby = select(m.user.label("user")).where(m.room.in_(lobby), m.membership == "join")
    removed = select(p.user.label("user")).where(p.room == room, p.step == REMOVED)
    candidates = in_lobby.union(removed).subquery()
    there = select(inside.c.user).where(inside.c.room == room, inside.c.membership.in_(("join", "invite", "ban")))
    invited = select(p.user).where(p.room == room, p.step == "admitted", p.at > _last_removed(room))
    user = candidates.c.user
    query = select(user).where(user.not_in(there), user.not_in(invited)).order_by(user)
    return tuple(await db.scalars(query))


def _last_removed(room: RoomId) -> ColumnElement[int]:
    again = schema.pointed.alias("again")
    query = select(func.coalesce(func.max(again.c.at), 0)).where(
        again.c.room == room, again.c.step == REMOVED, again.c.user == schema.pointed.c.user
    )
    return query.correlate(schema.pointed).scalar_subquery()


async def demoted_unverified(db: AsyncConnection) -> tuple[InForce, ...]:
    """Return the demotions for lack of verification."""
    return tuple(each for each in await all_in_force(db) if each.kind == "demote" and each.basis == "verification")


@dataclass(frozen=True, slots=True)
class Ending:
    """A verification that ends, or ended lately, with no other to replace it."""

    user: UserId
    at: int
    until: int
    told: int  # when its holder was last told that one ends
    told_over: int  # when they were last told that one has ended


async def endings(db: AsyncConnection, now_ms: int) -> tuple[Ending, ...]:
    """Return the verifications whose holders may have to be told that they end soon or ended lately."""
    v, other = schema.verifications.c, schema.verifications.alias("other")
    better = (
        select(other.c.record)
        .where(
            other.c.person == v.person,
            other.c.record != v.record,
            other.c.revoked == 0,
            other.c.level >= v.level,
            or_(other.c.until > v.until, and_(other.c.until == v.until, other.c.record > v.record)),
        )
        .exists()
    )
    query = (
        select(v.user, v.at, v.until, _told_ending("expires"), _told_ending("lapsed"))
        .where(v.user != "", v.revoked == 0, v.until.between(now_ms - WARNED_BEFORE, now_ms + WARNED_BEFORE + HOUR_MS))
        .where(~better)
        .order_by(v.until, v.record)
    )
    return tuple(Ending(*row) for row in await db.execute(query))


def _told_ending(step: str) -> ColumnElement[int]:
    p = schema.pointed.c
    query = select(func.coalesce(func.max(p.at), 0)).where(
        p.user == schema.verifications.c.user, p.room == "", p.step == step
    )
    return query.correlate(schema.verifications).scalar_subquery()


async def with_lobby(db: AsyncConnection) -> tuple[RoomId, ...]:
    """Return the groups that have a lobby, even if they are no longer served."""
    lobby = schema.rooms.alias("lobby")
    query = (
        select(schema.rooms.c.room)
        .join(lobby, lobby.c.served == schema.rooms.c.code)
        .where(lobby.c.purpose == "lobby", lobby.c.condition != "left")
    )
    return tuple(await db.scalars(query))


async def in_a_lobby(db: AsyncConnection, user: UserId) -> bool:
    """Return whether somebody is in a lobby."""
    m, r = schema.members.c, schema.rooms.c
    found = await db.scalar(
        select(m.room)
        .join(schema.rooms, r.room == m.room)
        .where(m.user == user, m.membership == "join", r.purpose == "lobby")
        .limit(1)
    )
    return found is not None


# Pieces.


def _members(room: str, asks: Asks, needed: int, now_ms: int) -> Select[tuple[object, ...]]:
    """Select members with the verifications of the persons behind them."""
    m, a, v = schema.members.c, schema.accounts.c, schema.verifications.c
    person = func.coalesce(a.person, m.user)
    counted = and_(v.person == person, v.method.in_(sorted(asks.methods)), counting_in(room))
    over = and_(v.level >= needed, _end() <= now_ms)
    return (
        select(m.user, m.since, func.max(case((over, _end()), else_=0)).label("lapsed"))
        .select_from(
            schema.members.outerjoin(schema.accounts, a.user == m.user).outerjoin(schema.verifications, counted)
        )
        .group_by(m.user, m.since)
        .order_by(m.user)
    )


def _level(now_ms: int) -> ColumnElement[int]:
    """Return the highest level in force of each member."""
    return func.coalesce(func.max(case((_end() > now_ms, schema.verifications.c.level), else_=0)), 0)


def _let_be(room: RoomId, rule: str) -> ColumnElement[bool]:
    """Return the condition that people decided about a member before."""
    c = schema.cases.c
    dismissed = select(c.n).where(
        c.room == room, c.rule == rule, c.outcome == "dismissed", c.subject == schema.members.c.user
    )
    return dismissed.correlate(schema.members).exists()


def _under_way(room: RoomId) -> ColumnElement[bool]:
    p = schema.pointed.c
    removed = select(p.record).where(p.room == room, p.step == REMOVED, p.user == schema.members.c.user)
    return removed.correlate(schema.members).exists()


async def _told_in(db: AsyncConnection, room: RoomId, users: Iterable[str]) -> dict[str, dict[str, int]]:
    p, wanted = schema.pointed.c, set(users)
    found: dict[str, dict[str, int]] = {}
    for row in await db.execute(select(p.user, p.step, p.at).where(p.room == room)):
        if row.user in wanted:
            found.setdefault(row.user, {})[row.step] = row.at
    return found
