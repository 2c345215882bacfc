"""Rooms that are served: their purpose, rights and names, and the bot's own rooms."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import Choices
from moderation.model.reach import Spot
from moderation.values.ids import EventId, GroupCode, RoomId, UserId
from moderation.values.power_levels import Power, founders
from storage import schema
from storage.database.dialect import sql_list, sql_list_param, sql_list_value
from storage.database.rows import rows_of, value_of
from storage.projections import LEAVING, MESSAGE, events_left
from storage.state.owner_choices import chosen

RECORDED = ("observing", "protected")  # the conditions of rooms in which everything is recorded
ACTIVE_GROUP = and_(schema.rooms.c.purpose == "group", schema.rooms.c.condition.in_(RECORDED))

_r, _m, _v = schema.rooms.c, schema.members.c, schema.room_settings.c
_ALL = select(_r.room, _r.code)
_LANGUAGE = select(_r.language).where(_r.room == bindparam("room"))
_ALL_NAMES = select(_r.room, _r.code, _r.name)
_NAMES = _ALL_NAMES.where(sql_list_param(_r.room, "rooms"))
_CODED = select(_r.room).where(_r.code == bindparam("code"))
_COMMUNITY = select(_r.community).where(_r.room == bindparam("room"))
_GROUPS = select(_r.room).where(ACTIVE_GROUP).order_by(_r.entered)
_COMMUNITIES = select(_r.room, _r.community).where(ACTIVE_GROUP).order_by(_r.entered)
_OWN = select(_r.room).where(_r.condition != "left")
_desk_named = select(_r.desk).where(_r.code == bindparam("code")).scalar_subquery()
_DESK = _OWN.where(_r.purpose == "desk", _r.code == _desk_named)
_LOBBY = _OWN.where(_r.purpose == "lobby", _r.served == bindparam("code"))
_DIRECT = _OWN.where(_r.purpose == "direct", _r.direct_with == bindparam("user"))
_CODES = select(_r.room, _r.code).where(sql_list_param(_r.room, "rooms"))
_rooms_of = select(_m.room).where(sql_list_param(_m.user, "users"))
_KNOWN = _GROUPS.where(_r.room.in_(_rooms_of))
_KNOWN_COMMUNITIES = _COMMUNITIES.where(_r.room.in_(_rooms_of))
_JOINED = _GROUPS.where(_r.room.in_(_rooms_of.where(_m.membership == "join")))
_ASKING = (
    select(_r.room, _r.code, _r.community, _v.setting, _v.value)
    .select_from(schema.rooms.outerjoin(schema.room_settings, and_(_v.room == _r.room, _v.setting == "verify")))
    .where(ACTIVE_GROUP)
)


async def created_event(db: AsyncConnection, room: RoomId) -> object:
    """Return the `m.room.create` event of a room, as far as it is kept; None if it is not known."""
    return _json(str(await db.scalar(select(schema.rooms.c.created).where(schema.rooms.c.room == room)) or ""))


async def with_former_rooms(db: AsyncConnection, room: RoomId) -> tuple[RoomId, ...]:
    """Return a room, and the rooms in which its group was before upgrades, the newest first."""
    f, r = schema.former_rooms.c, schema.rooms.c
    query = select(f.room).join(schema.rooms, r.code == f.code).where(r.room == room, f.room != room)
    return (room, *(RoomId(each) for each in await db.scalars(query.order_by(f.record.desc()))))


async def is_former_room(db: AsyncConnection, room: RoomId) -> bool:
    """Tell whether a group was in this room before an upgrade, and is in another now."""
    f, r = schema.former_rooms.c, schema.rooms.c
    query = select(f.room).join(schema.rooms, r.code == f.code).where(f.room == room, r.room != room)
    return (await db.execute(query)).first() is not None


async def upgraded_to(db: AsyncConnection, room: RoomId) -> tuple[RoomId, GroupCode] | None:
    """Return the group that is to continue in this room, as its tombstone says, and its code."""
    r = schema.rooms.c
    query = select(r.room, r.code).where(r.successor == room, r.purpose == "group", r.condition != "left")
    row = (await db.execute(query)).first()
    return (RoomId(row.room), GroupCode(row.code)) if row is not None else None


async def founded_by(db: AsyncConnection, people: frozenset[UserId], *, without: RoomId) -> int:
    """Return how many of the groups served now were founded by one of these accounts."""
    created = await db.execute(select(schema.rooms.c.created).where(ACTIVE_GROUP, schema.rooms.c.room != without))
    return sum(bool(founders(_json(row.created)) & people) for row in created)


async def desk_of(db: AsyncConnection, code: str) -> RoomId | None:
    """Return the desk that shows the cases of the group with this code."""
    found: RoomId | None = await value_of(db, _DESK, {"code": code})
    return found


async def lobby_of(db: AsyncConnection, code: str) -> RoomId | None:
    """Return the lobby of a group with this code."""
    found: RoomId | None = await value_of(db, _LOBBY, {"code": code})
    return found


async def direct_room(db: AsyncConnection, user: UserId) -> RoomId | None:
    """Return the direct room with somebody."""
    found: RoomId | None = await value_of(db, _DIRECT, {"user": user})
    return found


async def direct_with(db: AsyncConnection, room: RoomId) -> UserId:
    """Return the person of a direct room; "" if it is not one."""
    return UserId(await db.scalar(select(schema.rooms.c.direct_with).where(schema.rooms.c.room == room)) or "")


async def are_alone(db: AsyncConnection, room: RoomId, user: UserId, bot: UserId) -> bool:
    """Return whether a room is the direct room of a person, from which they have not gone and to which nobody came.

    The bot does not learn who is in a direct room that it was invited to, but sees who comes and goes after that.
    """
    r, m = schema.rooms.c, schema.members.c
    is_direct = select(r.room).where(
        r.room == room, r.purpose == "direct", r.direct_with == user, r.condition != "left"
    )
    if await db.scalar(is_direct) is None:
        return False
    there = {row.user: row.membership for row in await db.execute(select(m.user, m.membership).where(m.room == room))}
    others = {each for each, membership in there.items() if membership in ("join", "invite")} - {user, bot}
    return there.get(user, "join") == "join" and not others


async def all_rooms(db: AsyncConnection) -> dict[RoomId, GroupCode]:
    """Return every room ever served, and its code."""
    return dict((await db.execute(_ALL)).all())


@dataclass(frozen=True, slots=True)
class RoomLabel:
    """The names of a room: its id, its code, its name."""

    room: RoomId
    code: GroupCode
    name: str


async def room_labels(db: AsyncConnection) -> list[RoomLabel]:
    """Return what every room is called, in the order in which they came."""
    r = schema.rooms.c
    return [RoomLabel(*row) for row in await db.execute(select(r.room, r.code, r.name).order_by(r.entered))]


async def recorded_rooms(db: AsyncConnection) -> set[RoomId]:
    """Return the rooms in which everything said is recorded now."""
    return set(await db.scalars(select(schema.rooms.c.room).where(schema.rooms.c.condition.in_(RECORDED))))


async def own_rooms(db: AsyncConnection) -> set[RoomId]:
    """Return the rooms of the bot's own: desks, lobbies and direct rooms."""
    return set(await db.scalars(select(schema.rooms.c.room).where(schema.rooms.c.purpose.not_in(("group", "space")))))


async def other_rooms(db: AsyncConnection) -> frozenset[RoomId]:
    """Return the rooms that are no groups: those of the bot's own, and spaces."""
    return frozenset(await db.scalars(select(schema.rooms.c.room).where(schema.rooms.c.purpose != "group")))


async def room_language(db: AsyncConnection, room: RoomId) -> str:
    """Return the language chosen for a room; empty if none was chosen."""
    return str(await value_of(db, _LANGUAGE, {"room": room}) or "")


async def followed_spaces(db: AsyncConnection) -> set[RoomId]:
    """Return the spaces whose lists of rooms the bot follows."""
    r = schema.rooms.c
    return set(await db.scalars(select(r.room).where(r.purpose == "space", r.condition == "followed")))


async def listed_in(db: AsyncConnection, space: RoomId) -> set[RoomId]:
    """Return the rooms that a space lists, as far as recorded."""
    return set(await db.scalars(select(schema.space_rooms.c.room).where(schema.space_rooms.c.space == space)))


async def listed_without_bot(db: AsyncConnection, spaces: Collection[RoomId]) -> list[RoomId]:
    """Return the rooms that these spaces list and that are no groups now."""
    listed = schema.space_rooms.c
    rooms = select(listed.room).where(
        sql_list(listed.space, spaces), listed.room.not_in(select(_r.room).where(ACTIVE_GROUP))
    )
    return [RoomId(each) for each in await db.scalars(rooms.distinct().order_by(listed.room))]


async def rooms_of_community(db: AsyncConnection, community: str) -> tuple[RoomId, ...]:
    """Return the groups of a community, in the order in which they came."""
    return tuple(await db.scalars(_GROUPS.where(_r.community == community)))


async def desks_of_community(db: AsyncConnection, community: str) -> list[RoomId]:
    """Return one group of a community for each desk that its groups use."""
    groups = select(_r.room, _r.desk).where(ACTIVE_GROUP, _r.community == community).order_by(_r.entered)
    return list({row.desk: RoomId(row.room) for row in reversed((await db.execute(groups)).all())}.values())


async def direct_rooms(db: AsyncConnection) -> set[RoomId]:
    """Return the rooms of the bot with one person alone."""
    return set(await db.scalars(select(schema.rooms.c.room).where(schema.rooms.c.purpose == "direct")))


async def notices(db: AsyncConnection) -> dict[RoomId, EventId]:
    """Return the event that told the members of each group what is recorded."""
    r = schema.rooms.c
    return dict((await db.execute(select(r.room, r.notice).where(r.notice != ""))).all())


async def introduction(db: AsyncConnection, room: RoomId) -> EventId | None:
    """Return the message in a group's desk that says what the bot can do in the group."""
    r = schema.rooms.c
    return EventId(found) if (found := await db.scalar(select(r.introduced).where(r.room == room))) else None


async def codes_of(db: AsyncConnection, rooms: Collection[RoomId]) -> dict[RoomId, GroupCode]:
    """Return the codes of these rooms."""
    [rows] = await rows_of(db, (_CODES, {"rooms": sql_list_value(rooms)}))
    return dict(rows)


async def has_code(db: AsyncConnection, code: GroupCode) -> bool:
    """Tell whether a room has this code."""
    return await value_of(db, _CODED, {"code": code}) is not None


async def room_names(
    db: AsyncConnection, rooms: Iterable[str] | None = None, *, by_code: Collection[str] = ()
) -> dict[str, str]:
    """Return how these rooms, or all rooms, are named in notices: by name and code; some of them by code alone."""
    some = None if rooms is None else tuple(rooms)
    if some == ():
        return {}
    [rows] = await rows_of(db, (_ALL_NAMES, {}) if some is None else (_NAMES, {"rooms": sql_list_value(some)}))
    return {row.room: f"{row.name} ({row.code})" if row.name and row.room not in by_code else row.code for row in rows}


async def active_groups(db: AsyncConnection) -> tuple[RoomId, ...]:
    """Return the groups that are served now, in the order in which they came."""
    return tuple(await db.scalars(_GROUPS))


async def groups_with(db: AsyncConnection, users: Sequence[UserId], *, joined: bool) -> tuple[RoomId, ...]:
    """Return the active groups that know one of these accounts, in the order in which the groups came.

    With `joined` only those that one of them is in now.
    """
    [rows] = await rows_of(db, (_JOINED if joined else _KNOWN, {"users": sql_list_value(users)}))
    return tuple(row.room for row in rows)


async def communities_with(db: AsyncConnection, users: Sequence[UserId]) -> dict[RoomId, str]:
    """Return the active groups that know one of these accounts, as `groups_with`, with the community of each."""
    [rows] = await rows_of(db, (_KNOWN_COMMUNITIES, {"users": sql_list_value(users)}))
    return {row.room: row.community for row in rows}


@dataclass(frozen=True, slots=True)
class AskingRoom:
    """A group, and what its owner chose that it asks for."""

    room: RoomId
    code: GroupCode
    community: str
    choices: Choices


async def asking_groups(db: AsyncConnection) -> tuple[AskingRoom, ...]:
    """Return what the groups that are served now ask for by their owners' choice, in one query."""
    return tuple(
        AskingRoom(RoomId(row.room), GroupCode(row.code), row.community, chosen([row] if row.setting else ()))
        for row in await db.execute(_ASKING)
    )


@dataclass(frozen=True, slots=True)
class RoomNumbers:
    """Numbers of a room's records, members and open cases."""

    records: int
    members: int
    open_cases: int


_many = select(func.count().label("many"))
_E, _D = schema.events.c, schema.daily.c
_NUMBERS = (  # as `RoomNumbers` has them; of messages that left the table of events, the days are counted
    _many.where(_E.room == bindparam("room"), or_(_E.record >= bindparam("left"), _E.kind.not_in(LEAVING))),
    select(func.coalesce(func.sum(_D.count), 0).label("many")).where(
        _D.room == bindparam("room"), _D.kind == MESSAGE, _D.record < bindparam("left")
    ),
    _many.where(_m.room == bindparam("room"), _m.membership == "join"),
    _many.where(schema.cases.c.room == bindparam("room"), schema.cases.c.outcome == ""),
)


async def room_numbers(db: AsyncConnection, room: RoomId) -> RoomNumbers:
    """Return the numbers of a room."""
    left = await events_left(db)
    given = {"room": room, "left": left.stop if left is not None else 0}
    here, before, *others = [int(rows[0].many) for rows in await rows_of(db, *((count, given) for count in _NUMBERS))]
    return RoomNumbers(here + before, *others)


async def place_of(db: AsyncConnection, room: RoomId) -> Spot:
    """Return a room and its community."""
    found = await db.scalar(_COMMUNITY, {"room": room})
    return Spot(room, str(found or ""))


def power_of(created: str, levels: str, bot: UserId) -> Power:
    """Return the power levels of a room, as they are kept."""
    return Power.of(_json(created), _json(levels), bot=bot)


def _json(text: str) -> object:
    return json.loads(text) if text else None
