"""The rooms as the terminal lists them: with their numbers, measures, own rules and what their owners chose."""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import InForce
from moderation.model.facts import OF_ROOMS
from moderation.values.ids import RoomId
from storage import schema

from .cases_listed import UNDECIDED_STATES
from .room_rules import RoomRule, rules_of_room
from .sanctions import all_in_force


@dataclass(frozen=True, slots=True)
class ListedRoom:
    """One room. `members`: who are joined; `desk`: code of the desk that shows its cases."""

    code: str
    room: str
    name: str
    purpose: str
    condition: str
    language: str
    desk: str
    members: int
    open_cases: int
    measures: tuple[InForce, ...]
    rules: tuple[RoomRule, ...]
    chosen: dict[str, str]


async def rooms_listed(db: AsyncConnection) -> list[ListedRoom]:
    """Return all rooms of the bot, in the order in which they came."""
    r, m, c = schema.rooms.c, schema.members.c, schema.cases.c
    joined = select(func.count()).where(m.room == r.room, m.membership == "join").scalar_subquery()
    pending = select(func.count()).where(c.room == r.room, c.state.in_(UNDECIDED_STATES)).scalar_subquery()
    query = select(r.code, r.room, r.name, r.purpose, r.condition, r.language, r.desk, joined, pending)
    in_force, chosen = await _measures(db), await _chosen(db)
    return [
        ListedRoom(
            *row,
            tuple(in_force.get(row.room, ())),
            tuple(await rules_of_room(db, RoomId(row.room))),
            chosen.get(row.room, {}),
        )
        for row in (await db.execute(query.order_by(r.entered))).all()
    ]


async def _chosen(db: AsyncConnection) -> dict[str, dict[str, str]]:
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for row in await db.execute(select(schema.room_settings)):
        found[row.room][row.setting] = row.value
    return found


async def _measures(db: AsyncConnection) -> dict[str, list[InForce]]:
    found: defaultdict[str, list[InForce]] = defaultdict(list)
    for each in await all_in_force(db):
        if each.kind in OF_ROOMS:
            found[str(each.room)].append(each)
    return found
