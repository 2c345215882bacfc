"""Facts about a room: that it is served, its roles, rules, settings and language, and duty hours."""

from sqlalchemy import bindparam, delete, exists, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import (
    AwayChanged,
    DeskChosen,
    DutyAccepted,
    LanguageChosen,
    RoleChanged,
    RoomEntered,
    RoomListed,
    RoomRuleChanged,
    RoomSettingChanged,
    RoomStateChanged,
    RosterChanged,
    WaveNoticed,
)
from moderation.values.ids import RoomId, UserId
from storage import schema
from storage.database.dialect import upsert

from . import upgraded_rooms
from .common import WAVE, add, pointed, project, put
from .communities import regroup
from .requests import restarting

_r = schema.rooms.c
_BEFORE = select(_r.room).where(_r.code == bindparam("code"), _r.room != bindparam("room"))
_CHANGED = update(schema.rooms).where(_r.room == bindparam("this"))
_OPENED = _CHANGED.where(_r.condition.in_(("joining", "announced")))
BEGINS = {"group": "joining", "space": "followed"}  # the others are the bot's own from the start


@project.register
async def _(fact: RoomEntered, db: AsyncConnection, index: int, _at_ms: int) -> None:
    group = fact.purpose == "group"
    values = {
        "purpose": fact.purpose,
        "served": fact.served,
        "direct_with": fact.subject if fact.purpose == "direct" else "",
        "invited_by": fact.subject if group else "",
        "condition": BEGINS.get(fact.purpose, "protected"),
        "via": fact.via,
        "entered": index,
    }
    old = await db.scalar(_BEFORE, {"code": fact.code, "room": fact.room_id})
    if old is not None:  # upgraded: the group continues in another room
        await upgraded_rooms.move(db, RoomId(old), RoomId(fact.room_id))
        await put(db, schema.former_rooms, {"room": old}, code=fact.code, record=index)
    statement = upsert(schema.rooms).values(room=fact.room_id, code=fact.code, **values)
    await db.execute(statement.on_conflict_do_update(index_elements=["room"], set_=values))
    if group:
        await regroup(db, room=fact.room_id)
    if fact.purpose == "desk":
        await _made_desk(db, fact, index)


async def _made_desk(db: AsyncConnection, fact: RoomEntered, index: int) -> None:
    """Let the group for which a desk was made use it, unless it has one."""
    r = schema.rooms.c
    await put(db, schema.desk_groups, {"desk": fact.code, "served": fact.served}, record=index, at=0)
    other = schema.rooms.alias().c
    gone = exists().where(other.code == r.desk, other.purpose == "desk", other.condition == "left")
    without = (r.code == fact.served, or_(r.desk.in_(("", "own")), gone))
    await db.execute(update(schema.rooms).where(*without).values(desk=fact.code))


@project.register
async def _(fact: DeskChosen, db: AsyncConnection, index: int, at_ms: int) -> None:
    """Show the cards of a group elsewhere: those of before are no longer looked at."""
    r, c = schema.rooms.c, schema.cases.c
    code = await db.scalar(select(r.code).where(r.room == fact.room))
    desk = "" if fact.desk == "-" else fact.desk
    await db.execute(update(schema.rooms).where(r.room == fact.room).values(desk=desk, introduced=""))
    await db.execute(update(schema.cases).where(c.room == fact.room).values(card="", burst_card=""))
    if desk not in ("", "own"):
        await put(db, schema.desk_groups, {"desk": desk, "served": code}, record=index, at=at_ms)


@project.register
async def _(fact: DutyAccepted, db: AsyncConnection, index: int, _at_ms: int) -> None:
    await put(db, schema.duty_accepted, {"room": fact.room, "user": fact.subject}, record=index)


@project.register
async def _(fact: RoomStateChanged, db: AsyncConnection, index: int, at_ms: int) -> None:
    values: dict[str, object] = {"condition": fact.condition}
    if fact.notice:
        values["notice"] = fact.notice
    if fact.condition in ("observing", "protected"):  # opened: people there are asked for verification from now on
        await db.execute(_OPENED, {"this": fact.room, "asked": at_ms, "begun": index})
    await db.execute(_CHANGED, {"this": fact.room, **values})


@project.register
async def _(fact: RoomListed, db: AsyncConnection, index: int, at_ms: int) -> None:
    listed = schema.space_rooms.c
    async with restarting(db, at_ms, room=fact.child):
        await db.execute(delete(schema.space_rooms).where(listed.space == fact.room, listed.room == fact.child))
        if fact.what == "listed":
            await db.execute(insert(schema.space_rooms).values(space=fact.room, room=fact.child, record=index))
        await regroup(db, room=fact.child)


@project.register
async def _(fact: WaveNoticed, db: AsyncConnection, index: int, at_ms: int) -> None:
    await pointed(db, fact.home, UserId(""), WAVE, index, at_ms)


@project.register
async def _(fact: RoleChanged, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    statement = upsert(schema.members).values(room=fact.room, user=fact.subject, membership="leave", role=fact.role)
    await db.execute(statement.on_conflict_do_update(index_elements=["room", "user"], set_={"role": fact.role}))


@project.register
async def _(fact: AwayChanged, db: AsyncConnection, index: int, at_ms: int) -> None:
    if fact.what == "back":
        await db.execute(delete(schema.away).where(schema.away.c.user == fact.subject))
        return
    await put(db, schema.away, {"user": fact.subject}, record=index, since=at_ms, until=fact.until)


@project.register
async def _(fact: RosterChanged, db: AsyncConnection, index: int, _at_ms: int) -> None:
    key = {"room": fact.room, "user": fact.subject}
    if fact.hours:
        await put(db, schema.rosters, key, record=index, hours=fact.hours)
    else:
        await db.execute(delete(schema.rosters).filter_by(**key))


@project.register
async def _(fact: LanguageChosen, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    if fact.subject:
        statement = upsert(schema.accounts).values(user=fact.subject, person=fact.subject, language=fact.language)
        await db.execute(statement.on_conflict_do_update(index_elements=["user"], set_={"language": fact.language}))
    else:
        await db.execute(update(schema.rooms).where(schema.rooms.c.room == fact.room).values(language=fact.language))


@project.register
async def _(fact: RoomRuleChanged, db: AsyncConnection, index: int, at_ms: int) -> None:
    r = schema.room_rules.c
    key = (r.room == fact.room, r.name == fact.rule, r.ended == 0)
    await db.execute(update(schema.room_rules).where(*key).values(ended=max(at_ms, 1)))
    if fact.step == "added" and fact.settings:
        await add(db, schema.room_rules, fact, index, at_ms, name=fact.rule)


@project.register
async def _(fact: RoomSettingChanged, db: AsyncConnection, index: int, at_ms: int) -> None:
    s, room = schema.room_settings.c, RoomId(fact.room or "")
    async with restarting(db, at_ms, room=room):
        await db.execute(delete(schema.room_settings).where(s.room == room, s.setting == fact.setting))
        if fact.value != "-":
            await add(db, schema.room_settings, fact, index, at_ms)
