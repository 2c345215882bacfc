"""Desks: the rooms that show their cases there, and who runs these rooms."""

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import RoomView
from moderation.rooms.desks import DeskView, Staff
from moderation.values.ids import CaseNumber, EventId, GroupCode, RoomId, UserId
from moderation.values.power_levels import Power
from storage import schema
from storage.database.rows import Asked, Rows, rows_of, rows_then, value_of
from storage.projections.upgraded_rooms import MOVED
from storage.schema.case_tables import WAITS

from .people import asking_who_is_there
from .rooms import ACTIVE_GROUP, power_of

_COMING = ("join", "invite", MOVED)
_r, _d = schema.rooms.c, schema.desk_groups.c
_WANTED = select(_r.desk).where(_r.room == bindparam("room"))
_DESK = select(_r.room).where(_r.code == bindparam("code"), _r.purpose == "desk", _r.condition != "left")
_SHOWN = (
    select(_r.room, _r.desk, _r.condition, _r.created, _r.levels)
    .where(_d.desk == bindparam("code"), _d.served == _r.code)
    .order_by(_d.record)
)


async def staff_of(db: AsyncConnection, room: RoomView, bot: UserId) -> Staff:
    """Return the owners and managers of a room who are in it or on their way."""
    [there] = await rows_of(db, _asking_for_staff(room.room, room.power, bot))
    return _staff_among(room.room, room.power, there)


def _asking_for_staff(room: RoomId, power: Power, bot: UserId) -> Asked:
    return asking_who_is_there(room, (power.owners() | power.managers()) - {bot})


def _staff_among(room: RoomId, power: Power, rows: Rows) -> Staff:
    """Return the staff of a room from the rows of `_asking_for_staff`."""
    owners, there = power.owners(), dict(rows)
    people = frozenset(user for user, membership in there.items() if membership in _COMING)
    return Staff(room, owners & people, people, frozenset(user for user in people if there[user] == "join"))


async def desk_used_by(db: AsyncConnection, room: RoomId, bot: UserId) -> DeskView | None:
    """Return the desk that shows the cases of a room; None if there is none yet."""
    code = await wanted_desk(db, room)
    return await desk_view(db, GroupCode(code), bot) if code else None


async def desk_view(db: AsyncConnection, code: GroupCode, bot: UserId) -> DeskView | None:
    """Return the desk with this code, unless the bot has left it."""
    powers: list[Power] = []  # of the rooms it shows

    def about_them(first: list[Rows]) -> list[Asked]:
        desks, shown = first
        powers.extend(power_of(row.created, row.levels, bot) for row in shown if desks)
        staff = [_asking_for_staff(RoomId(row.room), power, bot) for row, power in zip(shown, powers, strict=False)]
        return [*staff, *(asking_who_is_there(RoomId(desk.room)) for desk in desks[:1])]

    (desks, shown), found = await rows_then(db, ((_DESK, {"code": code}), (_SHOWN, {"code": code})), about_them)
    if not desks:
        return None
    users: list[Staff] = []
    former: list[Staff] = []
    *staffs, members = found
    for row, power, rows in zip(shown, powers, staffs, strict=True):
        staff = _staff_among(RoomId(row.room), power, rows)
        (users if row.desk == code and row.condition != "left" else former).append(staff)
    there = dict(members)
    return DeskView(
        RoomId(desks[0].room),
        code,
        tuple(users),
        tuple(former),
        frozenset(user for user, membership in there.items() if membership == "join" and user != bot),
        frozenset(user for user, membership in there.items() if membership == "invite"),
    )


async def wanted_desk(db: AsyncConnection, room: RoomId) -> str:
    """Return the code of the desk of a room; "": none yet; "own": none yet, and not that of other rooms."""
    return str(await value_of(db, _WANTED, {"room": room}) or "")


async def desks_of_owner(db: AsyncConnection, owner: UserId, bot: UserId) -> list[DeskView]:
    """Return the desks of the rooms that somebody owns, in the order in which they were made."""
    m, r = schema.members.c, schema.rooms.c
    owned = select(m.room).where(m.user == owner, m.role == "owner", m.membership == "join")
    used = select(r.desk).where(ACTIVE_GROUP, r.room.in_(owned))
    codes = await db.scalars(select(r.code).where(r.purpose == "desk", r.code.in_(used)).order_by(r.entered))
    views = [await desk_view(db, GroupCode(code), bot) for code in codes.all()]
    return [view for view in views if view is not None]


async def desks_before(db: AsyncConnection, code: GroupCode) -> frozenset[GroupCode]:
    """Return the desks that were made before this one."""
    r = schema.rooms.c
    since = select(r.entered).where(r.code == code).scalar_subquery()
    return frozenset(await db.scalars(select(r.code).where(r.purpose == "desk", r.entered < since)))


async def first_in_desk(db: AsyncConnection) -> dict[RoomId, RoomId]:
    """Return for each group the first of those whose cases are shown in the same desk."""
    r = schema.rooms.c
    rows = (await db.execute(select(r.room, r.desk).where(ACTIVE_GROUP).order_by(r.entered))).all()
    first: dict[str, RoomId] = {}
    alone = ("", "own")
    return {row.room: first.setdefault(row.desk, row.room) if row.desk not in alone else row.room for row in rows}


async def waiting_cards(db: AsyncConnection, room: RoomId) -> list[tuple[CaseNumber, EventId]]:
    """Return the undecided cases of a room that have a card, each with its card."""
    c = schema.cases.c
    rows = await db.execute(select(c.n, c.card).where(c.room == room, WAITS, c.card != "").order_by(c.n))
    return [(CaseNumber(row.n), EventId(row.card)) for row in rows]
