"""The rooms as the terminal and the console list them: with their numbers, measures, own rules and what was chosen."""

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Select, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import InForce
from moderation.model.facts import OF_ROOMS
from moderation.values.ids import GroupCode, RoomId
from storage import schema
from storage.database.dialect import any_or_one_of, contains_words, sql_list, sql_list_value

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

    def as_json(self) -> dict[str, Any]:
        """Return what ``answerable rooms --json`` says of it."""
        measures = [
            {"kind": each.kind, "until": each.until, "basis": each.basis, "case": each.n, "every": each.every}
            | ({"server": each.server} if each.server else {})
            for each in self.measures
        ]
        rules = [
            {"name": each.name, "by": each.by, "since": each.at, "settings": json.loads(each.settings)}
            for each in self.rules
        ]
        return {**asdict(self), "measures": measures, "rules": rules}


@dataclass(frozen=True, slots=True)
class FoundRoom:
    """A group in a list. `members`: who are joined; `waiting`: cases that wait for a decision."""

    room: RoomId
    code: GroupCode
    name: str
    condition: str
    members: int
    waiting: int


async def rooms_found(
    db: AsyncConnection, rooms: Collection[RoomId] | None, words: str, limit: int, after: str = ""
) -> list[FoundRoom]:
    """Return those of these groups (None: all) whose name, code or id has `words`, by their codes."""
    given = {"rooms": None if rooms is None else sql_list_value(rooms), "words": words, "after": after, "most": limit}
    return [FoundRoom(*row) for row in await db.execute(_FOUND, given)]


_M = schema.members.c
_ROLES = select(_M.role, func.count()).where(_M.room == bindparam("room"), _M.membership == "join").group_by(_M.role)


async def role_counts(db: AsyncConnection, room: RoomId) -> dict[str, int]:
    """Return how many of each role are in a room."""
    return {str(role): int(count) for role, count in await db.execute(_ROLES, {"room": room})}


async def rooms_listed(db: AsyncConnection, among: Collection[RoomId] | None = None) -> list[ListedRoom]:
    """Return all rooms of the bot, or those `among` some, in the order in which they came."""
    r, m, c = schema.rooms.c, schema.members.c, schema.cases.c
    joined = select(func.count()).where(m.room == r.room, m.membership == "join").scalar_subquery()
    pending = select(func.count()).where(c.room == r.room, c.state.in_(UNDECIDED_STATES)).scalar_subquery()
    query = select(r.code, r.room, r.name, r.purpose, r.condition, r.language, r.desk, joined, pending)
    if among is not None:
        query = query.where(sql_list(r.room, sorted(among)))
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


_R, _M, _C = schema.rooms.c, schema.members.c, schema.cases.c
_HAS_WORDS = (contains_words(each, "words") for each in (_R.name, _R.code, _R.room))
_FOUND: Select[Any] = (
    select(
        _R.room,
        _R.code,
        _R.name,
        _R.condition,
        select(func.count()).where(_M.room == _R.room, _M.membership == "join").scalar_subquery(),
        select(func.count()).where(_C.room == _R.room, _C.state.in_(UNDECIDED_STATES)).scalar_subquery(),
    )
    .where(
        _R.purpose == "group",
        _R.code > bindparam("after"),
        any_or_one_of(_R.room, "rooms"),
        or_(*_HAS_WORDS),
    )
    .order_by(_R.code)
    .limit(bindparam("most"))
)
