"""One room with all that is judged by: its rights, what holds in it, what its owners chose. Asked in one hand-over."""

from typing import Any

from sqlalchemy import bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import RoomView, Slow
from moderation.rooms.measures import IMPOSED
from moderation.values.ids import EventId, GroupCode, RoomId, UserId
from moderation.values.power_levels import Power
from storage import schema
from storage.database.dialect import sql_list_value
from storage.database.rows import Asked, Rows, rows_of, rows_then, value_of
from storage.state.owner_choices import CHOICES, chosen

from .linked_accounts import LINKED, accounts_among
from .room_rules import ROOM_RULES
from .rooms import power_of
from .sanctions import holding_in, of_people

_r, _s = schema.rooms.c, schema.sanctions.c
_ROOM = select(schema.rooms).where(_r.room == bindparam("room"))
_CODED = select(_r.room).where(_r.code == bindparam("code"))
_SERVED = (
    select(_r.room, _r.condition)
    .where(or_(_r.code == bindparam("served"), _r.desk == bindparam("desk")))
    .order_by(_r.entered)
)
_SLOW = (
    select(_s.every, _s.at)
    .where(_s.room == bindparam("room"), _s.kind == "slow", _s.ended == 0)
    .order_by(_s.record.desc())
    .limit(1)
)
_SUSPENDED = (
    select(_s.subject)
    .select_from(of_people("people"))
    .where(_s.kind.in_(("demote", "ban")), _s.ended == 0, holding_in(bindparam("room"), bindparam("community")))
)
_CLOSED = select(_s.room).where(_s.ended == 0, _s.kind == "close", _s.basis.in_(IMPOSED)).order_by(_s.record)


async def room_view(db: AsyncConnection, room: RoomId, bot: UserId) -> RoomView | None:
    """Return one room, or None if the bot does not serve it."""
    one = {"room": room}

    def about_it(first: list[Rows]) -> list[Asked]:
        return _of_row(first[0][0], bot) if first[0] else []

    first, found = await rows_then(db, ((_ROOM, one), (_SLOW, one), (CHOICES, one), (ROOM_RULES, one)), about_it)
    return _view(first, found, bot) if first[0] else None


async def room_by_code(db: AsyncConnection, code: str, bot: UserId) -> RoomView | None:
    """Return the room with a group code."""
    room = await value_of(db, _CODED, {"code": code})
    return await room_view(db, RoomId(room), bot) if room is not None else None


async def closed_groups(db: AsyncConnection, bot: UserId) -> tuple[RoomView, ...]:
    """Return the groups that the operator or neglect has closed, even if the bot is no longer there."""
    [closed] = await rows_of(db, (_CLOSED, {}))
    found = [await room_view(db, each.room, bot) for each in closed]
    return tuple(each for each in found if each is not None)


def _of_row(row: Any, bot: UserId) -> list[Asked]:
    """Return what must be asked about a room once its row is known."""
    by = {"served": row.served if row.purpose == "lobby" else "-", "desk": row.code if row.purpose == "desk" else "-"}
    people = _with_roles(power_of(row.created, row.levels, bot)) if row.purpose == "group" else []
    against = {"room": row.room, "community": row.community, "people": sql_list_value(people)}
    return [(_SERVED, by), *(((LINKED, {}), (_SUSPENDED, against)) if people else ())]


def _view(first: list[Rows], found: list[Rows], bot: UserId) -> RoomView:
    """Return a room from the rows that its id brings, and from those of what `_of_row` asks."""
    ([row], slow, choices, rules), (served, *suspended) = first, found
    power = power_of(row.created, row.levels, bot)
    return RoomView(
        room=RoomId(row.room),
        code=GroupCode(row.code),
        purpose=row.purpose,
        condition=row.condition,
        power=power,
        community=row.community,
        serves=_present(served),
        name=row.name,
        language=row.language,
        notice=EventId(row.notice) if row.notice else None,
        asked=row.asked,
        slow=Slow(*slow[0]) if slow and row.purpose == "group" else None,
        choices=chosen(choices),
        rules=tuple(rule.settings for rule in rules),
        suspended=_suspended(power, *suspended) if suspended else frozenset(),
    )


def _present(served: Rows) -> tuple[RoomId, ...]:
    """Return the rooms that a desk or a lobby serves now; if the bot has left them all, those it served."""
    now = tuple(RoomId(each.room) for each in served if each.condition != "left")
    return now or tuple(RoomId(each.room) for each in served)


def _with_roles(power: Power) -> list[UserId]:
    return sorted(power.owners() | power.managers())


def _suspended(power: Power, linked: Rows, against: Rows) -> frozenset[UserId]:
    """Return the owners and managers against whom, by any account, a demotion or ban is in force in a room."""
    people = _with_roles(power)
    accounts, subjects = accounts_among(linked, people), {row.subject for row in against}
    return frozenset(user for user in people if not subjects.isdisjoint(accounts[user]))
