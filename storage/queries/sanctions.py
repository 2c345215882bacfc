"""Sanctions in force, and the levels that the bot keeps in rooms for them."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    ScalarSelect,
    Select,
    String,
    and_,
    bindparam,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import InForce
from moderation.model.facts import LASTING, OF_ROOMS, SanctionKind
from moderation.rooms.align_people import KeptLevel
from moderation.values.ids import RoomId, UserId
from storage import schema
from storage.sqlite_driver import rows_of

from .linked_accounts import accounts_of_all

LASTING_KINDS = tuple(sorted(LASTING))
ASKED_OF_PEOPLE: SanctionKind = "rectify"  # its time is given to people to do something


def holding_in(room: BindParameter[str], community: BindParameter[str] | ScalarSelect[str]) -> ColumnElement[bool]:
    """Return the condition that a sanction holds in a room of this community, whether or not it has ended.

    `moderation/model/reach.py` defines it.
    """
    s = schema.sanctions.c
    return or_(s.room == "", s.room == room, and_(s.reach != "", s.reach == community))


def _holding(whose: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    s = schema.sanctions.c
    return select(schema.sanctions).where(whose, s.ended == 0, s.kind.in_(LASTING_KINDS)).order_by(s.record)


AGAINST = _holding(schema.sanctions.c.person == bindparam("person"))
_ROOM = bindparam("room", type_=String)
_COMMUNITY = select(schema.rooms.c.community).where(schema.rooms.c.room == _ROOM).scalar_subquery()
_IN_ROOM = _holding(holding_in(_ROOM, _COMMUNITY))
_s = schema.sanctions.c
_OF_ROOM = (
    select(schema.sanctions).where(_s.room == _ROOM, _s.ended == 0, _s.kind.in_(sorted(OF_ROOMS))).order_by(_s.record)
)
_OVER = or_(and_(_s.kind != ASKED_OF_PEOPLE, _s.until <= bindparam("now")), _s.until <= bindparam("people"))
_DUE = (
    select(schema.sanctions)
    .where(_s.ended == 0, _s.until > 0, _OVER, _s.kind.in_(LASTING_KINDS))
    .order_by(_s.until, _s.record)
)


async def sanctions_of_accounts(db: AsyncConnection, accounts: Iterable[UserId]) -> tuple[InForce, ...]:
    """Return the lasting sanctions in force that were imposed on one of these accounts."""
    return read_in_force(await db.execute(_holding(schema.sanctions.c.subject.in_(sorted(accounts)))))


async def sanctions_in(db: AsyncConnection, room: RoomId) -> tuple[InForce, ...]:
    """Return the lasting sanctions in force in a room, against anybody.

    Each is repeated for every account of its person, so that nobody evades one by another account.
    """
    [rows] = await rows_of(db, (_IN_ROOM, {"room": room}))
    found = read_in_force(rows)
    people = {each.subject for each in found if each.subject and each.kind not in OF_ROOMS}
    accounts = await accounts_of_all(db, people) if people else {}
    return tuple(
        each if user == each.subject else replace(each, subject=user)
        for each in found
        for user in (
            accounts[each.subject] if each.subject in people and each.kind not in OF_ROOMS else (each.subject,)
        )
    )


async def measures_of_room(db: AsyncConnection, room: RoomId) -> tuple[InForce, ...]:
    """Return the measures in force against a room itself."""
    [rows] = await rows_of(db, (_OF_ROOM, {"room": room}))
    return read_in_force(rows)


async def sanctions_due(db: AsyncConnection, now_ms: int, people_ms: int) -> tuple[InForce, ...]:
    """Return the lasting sanctions whose time is over; those that ask people to act, at `people_ms`."""
    [rows] = await rows_of(db, (_DUE, {"now": now_ms, "people": min(now_ms, people_ms)}))
    return read_in_force(rows)


async def all_in_force(db: AsyncConnection) -> tuple[InForce, ...]:
    """Return the lasting sanctions in force against anybody."""
    return read_in_force(await db.execute(_holding(true())))


async def was_removed(db: AsyncConnection, n: int, user: UserId) -> bool:
    """Return whether somebody was removed or banned because of a case."""
    s = schema.sanctions.c
    found = await db.scalar(select(s.record).where(s.n == n, s.subject == user, s.kind.in_(("kick", "ban"))).limit(1))
    return found is not None


async def orders_against(db: AsyncConnection, by: UserId, subject: UserId, since_ms: int) -> int:
    """Count the measures that `by` has ordered against `subject` since `since_ms`."""
    s = schema.sanctions.c
    counted = select(func.count()).where(s.subject == subject, s.by == by, s.basis == "command", s.at >= since_ms)
    return int(await db.scalar(counted) or 0)


async def holds_in(db: AsyncConnection, room: RoomId) -> dict[tuple[UserId, str], KeptLevel]:
    """Return the levels that the bot keeps in a room for sanctions."""
    h = schema.holds.c
    rows = await db.execute(select(h.user, h.what, h.step, h.prior, h.held, h.corrections).where(h.room == room))
    return {(row.user, row.what): KeptLevel(*row) for row in rows}


def read_in_force(rows: Iterable[Any]) -> tuple[InForce, ...]:
    """Read sanctions from rows of their table."""
    return tuple(
        InForce(
            record=row.record,
            kind=row.kind,
            room=RoomId(row.room) if row.room else None,
            subject=UserId(row.subject),
            until=row.until,
            basis=row.basis,
            n=row.n,
            every=row.every,
            reach=row.reach,
        )
        for row in rows
    )
