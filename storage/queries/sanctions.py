"""Sanctions in force, and the levels that the bot keeps in rooms for them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Join,
    Select,
    String,
    and_,
    bindparam,
    exists,
    func,
    not_,
    or_,
    select,
    true,
    union,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import InForce
from moderation.model.facts import LASTING, OF_ROOMS, SanctionKind
from moderation.rooms.align_people import KeptLevel
from moderation.rooms.server_acl import KEPT
from moderation.values.ids import RoomId, UserId
from storage import schema
from storage.database.dialect import each_of, sql_list, sql_list_value
from storage.database.rows import rows_of
from storage.projections import person_of

from .linked_accounts import LINKED, accounts_among

LASTING_KINDS = tuple(sorted(LASTING))
ASKED_OF_PEOPLE: SanctionKind = "rectify"  # its time is given to people to do something


def holding_in(room: ColumnElement[str], community: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a sanction holds in a room of this community, whether or not it has ended.

    `moderation/model/reach.py` defines it.
    """
    s = schema.sanctions.c
    return or_(s.room == "", s.room == room, and_(s.reach != "", s.reach == community))


def _holding(whose: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    s = schema.sanctions.c
    return select(schema.sanctions).where(whose, s.ended == 0, s.kind.in_(LASTING_KINDS)).order_by(s.record)


def of_people(name: str) -> Join:
    """Return the sanctions of the persons behind some accounts, the parameter `name` (`sql_list_value`)."""
    a, each = schema.accounts.c, each_of(name)
    known = each.outerjoin(schema.accounts, a.user == each.c.value)
    return known.join(schema.sanctions, schema.sanctions.c.person == func.coalesce(a.person, each.c.value))


AGAINST = _holding(schema.sanctions.c.person == bindparam("person"))
_ROOM = bindparam("room", type_=String)
_COMMUNITY = select(schema.rooms.c.community).where(schema.rooms.c.room == _ROOM).scalar_subquery()
_s, _m, _a = schema.sanctions.c, schema.members.c, schema.accounts.c
_h = schema.holds.c


def _is_out(user: ColumnElement[str], room: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that somebody with one account is banned from a room, and nothing is being changed."""
    m, h, a = schema.members.alias("out").c, schema.holds.alias("begun").c, schema.accounts.alias("linked").c
    banned = select(m.user).where(m.room == room, m.user == user, m.membership == "ban")
    begun = select(h.user).where(h.room == room, h.user == user, h.what == "ban", h.step == "intended")
    several = select(a.user).where(a.user != a.person).union(select(a.person).where(a.user != a.person))
    return and_(exists(banned), ~exists(begun), user.not_in(several))


def _to_do(room: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that something may follow from a sanction: a ban that is carried out needs nothing more."""
    return not_(and_(_s.kind == "ban", _is_out(_s.subject, room)))


def _kept_to_do(room: ColumnElement[str], community: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that something may follow from what is kept in a room."""
    bans = select(_s.record).where(_s.person == _h.user, _s.ended == 0, _s.kind == "ban", holding_in(room, community))
    return and_(_h.room == room, not_(and_(_h.what == "ban", _is_out(_h.user, room), exists(bans))))


def _concerning(whose: ColumnElement[bool]) -> Select[tuple[object, ...]]:
    return _holding(and_(whose, _to_do(_ROOM)))


_HERE = _concerning(_s.room == _ROOM)
# Found by the people of a room: however many are banned everywhere, a room costs as much as it has people.
_OF_MEMBERS = (
    _concerning(holding_in(_ROOM, _COMMUNITY))
    .select_from(
        schema.members.outerjoin(schema.accounts, _a.user == _m.user).join(
            schema.sanctions, _s.person == func.coalesce(_a.person, _m.user)
        )
    )
    .where(_m.room == _ROOM, _s.room != _ROOM)
)
_OF_OTHERS = _concerning(holding_in(_ROOM, _COMMUNITY)).where(_s.room != _ROOM).select_from(of_people("others"))
_KEPT = select(_h.user, _h.what, _h.step, _h.prior, _h.held, _h.corrections).where(_kept_to_do(_ROOM, _COMMUNITY))
_OF_ROOM = (
    select(schema.sanctions).where(_s.room == _ROOM, _s.ended == 0, _s.kind.in_(sorted(OF_ROOMS))).order_by(_s.record)
)
_by_account = schema.sanctions.join(schema.members, _m.user == _s.person)
_by_other_account = (schema.accounts.join(schema.sanctions, and_(_s.person == _a.person, _a.user != _a.person))).join(
    schema.members, _m.user == _a.user
)
_r = schema.rooms.c
_CONCERNED = union(
    select(_r.room).select_from(schema.rooms.join(schema.holds, _kept_to_do(_r.room, _r.community))),
    select(_s.room).where(_s.room != "", _s.ended == 0, _s.kind.in_(LASTING_KINDS), _to_do(_s.room)),
    *(
        select(_m.room)
        .select_from(found.join(schema.rooms, _r.room == _m.room))
        .where(_s.ended == 0, _s.kind.in_(LASTING_KINDS), holding_in(_m.room, _r.community), _to_do(_m.room))
        for found in (_by_account, _by_other_account)
    ),
)
_BAN_HERE = AGAINST.where(holding_in(_ROOM, _COMMUNITY), _s.kind == "ban").limit(1)
_OVER = or_(and_(_s.kind != ASKED_OF_PEOPLE, _s.until <= bindparam("now")), _s.until <= bindparam("people"))
_DUE = (
    select(schema.sanctions)
    .where(_s.ended == 0, _s.until > 0, _OVER, _s.kind.in_(LASTING_KINDS))
    .order_by(_s.until, _s.record)
)


async def sanctions_of_accounts(db: AsyncConnection, accounts: Iterable[UserId]) -> tuple[InForce, ...]:
    """Return the lasting sanctions in force that were imposed on one of these accounts."""
    return read_in_force(await db.execute(_holding(schema.sanctions.c.subject.in_(sorted(accounts)))))


async def sanctions_in(db: AsyncConnection, room: RoomId, others: Iterable[UserId] = ()) -> tuple[InForce, ...]:
    """Return the lasting sanctions in force from which something may follow for a room.

    These are those imposed there, and of those that hold in several rooms, those against people who are or were in this
    one, and against the `others`; but no bans that are carried out. Each is repeated for every account of its person,
    so that nobody evades one by another account.
    """
    one = {"room": room}
    here, members, rest, linked = await rows_of(
        db, (_HERE, one), (_OF_MEMBERS, one), (_OF_OTHERS, one | {"others": sql_list_value(others)}), (LINKED, {})
    )
    rows = {row.record: row for row in (*here, *members, *rest)}
    found = read_in_force(rows[record] for record in sorted(rows))
    people = {each.subject for each in found if each.subject and each.kind not in OF_ROOMS}
    accounts = accounts_among(linked, people)
    return tuple(
        each if user == each.subject else replace(each, subject=user)
        for each in found
        for user in (
            accounts[each.subject] if each.subject in people and each.kind not in OF_ROOMS else (each.subject,)
        )
    )


async def rooms_with_sanctions(db: AsyncConnection) -> frozenset[RoomId]:
    """Return the rooms that may have to be aligned, for sanctions that hold there, or for what is kept of others."""
    return frozenset(await db.scalars(_CONCERNED))


async def measures_of_room(db: AsyncConnection, room: RoomId) -> tuple[InForce, ...]:
    """Return the measures in force against a room itself."""
    [rows] = await rows_of(db, (_OF_ROOM, {"room": room}))
    return read_in_force(rows)


@dataclass(frozen=True, slots=True)
class DeniedServer:
    """A server that a room lets in no longer: who ordered it, when, why and until when (0: no end).

    If a policy list brought it, nobody ordered it, and case `n` says why.
    """

    server: str
    by: UserId
    at: int
    until: int
    reason: str
    step: str  # of what the bot keeps for it; "": it stands in the room without the bot, or not yet
    n: int = 0


async def denied_servers(db: AsyncConnection, room: RoomId) -> tuple[DeniedServer, ...]:
    """Return the servers that a room lets in no longer, in the order in which they were denied."""
    s, h = schema.sanctions, schema.holds
    kept = and_(h.c.room == s.c.room, h.c.user == "", h.c.what == KEPT + s.c.server)
    rows = await db.execute(
        select(s.c.server, s.c.by, s.c.at, s.c.until, s.c.reason, func.coalesce(h.c.step, ""), s.c.n)
        .select_from(s.outerjoin(h, kept))
        .where(s.c.room == room, s.c.ended == 0, s.c.kind == "server")
        .order_by(s.c.record)
    )
    return tuple(DeniedServer(*row) for row in rows)


async def patterns_denied(db: AsyncConnection, rooms: Collection[RoomId]) -> dict[RoomId, frozenset[str]]:
    """Return the servers, or patterns of them, that each of these rooms lets in no longer."""
    sql = select(_s.room, _s.server).where(sql_list(_s.room, rooms), _s.kind == "server", _s.ended == 0)
    found: dict[RoomId, set[str]] = {}
    for room, pattern in await db.execute(sql):
        found.setdefault(room, set()).add(pattern)
    return {room: frozenset(patterns) for room, patterns in found.items()}


async def rooms_with_servers(db: AsyncConnection, *rooms: RoomId) -> frozenset[RoomId]:
    """Return the rooms, of these or of all, whose server ACL may have to be aligned."""
    h = schema.holds.c
    denied = select(_s.room).where(_s.ended == 0, _s.kind == "server")
    kept = select(h.room).where(h.what.startswith(KEPT))
    if rooms:
        denied, kept = denied.where(sql_list(_s.room, rooms)), kept.where(sql_list(h.room, rooms))
    return frozenset(await db.scalars(union(denied, kept)))


async def sanctions_due(db: AsyncConnection, now_ms: int, people_ms: int) -> tuple[InForce, ...]:
    """Return the lasting sanctions whose time is over; those that ask people to act, at `people_ms`."""
    [rows] = await rows_of(db, (_DUE, {"now": now_ms, "people": min(now_ms, people_ms)}))
    return read_in_force(rows)


async def all_in_force(db: AsyncConnection) -> tuple[InForce, ...]:
    """Return the lasting sanctions in force against anybody."""
    return read_in_force(await db.execute(_holding(true())))


async def ground_of_ban(db: AsyncConnection, room: RoomId, user: UserId) -> tuple[int, str, UserId] | None:
    """Return the case, the rule and the decider of the first ban that holds against somebody in a room."""
    given = {"room": room, "person": await person_of(db, user)}
    row = (await db.execute(_BAN_HERE, given)).first()
    return (row.n, row.rule, UserId(row.by)) if row is not None else None


async def was_removed(db: AsyncConnection, n: int, user: UserId, room: RoomId) -> bool:
    """Return whether somebody was removed from a room or banned there because of a case.

    In rooms other than that of the case it counts only if they had ever been in: a ban may have come before them.
    """
    s, m, c = schema.sanctions.c, schema.members.c, schema.cases.c
    removed = (s.n == n, s.subject == user, s.kind.in_(("kick", "ban")))
    been = exists().where(m.room == room, m.user == user, m.since > 0)
    own = exists().where(c.n == n, c.room == room)
    there = or_(s.room == "", s.reach != "", and_(s.room == room, or_(been, own)))  # a reach has the rooms asked about
    return await db.scalar(select(s.record).where(*removed, there).limit(1)) is not None


async def orders_against(db: AsyncConnection, by: UserId, subject: UserId, since_ms: int) -> int:
    """Count the orders that `by` has given against `subject` since `since_ms`: each once, for however many rooms."""
    s = schema.sanctions.c
    counted = select(func.count(s.n.distinct())).where(
        s.subject == subject, s.by == by, s.basis == "command", s.at >= since_ms
    )
    return int(await db.scalar(counted) or 0)


async def holds_in(db: AsyncConnection, room: RoomId) -> dict[tuple[UserId, str], KeptLevel]:
    """Return what the bot keeps in a room for sanctions, except bans that are carried out and still hold."""
    rows = await db.execute(_KEPT, {"room": room})
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
            server=row.server,
        )
        for row in rows
    )
