"""People as the console lists them, and the groups of one of them.

Rules kept here:
- A reader sees the rooms that they may see (None: all), and of a person what is theirs in these rooms.
- A page of people begins behind the last one of the page before.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import GroupCode, RoomId, UserId
from storage import schema
from storage.database.dialect import any_or_one_of, contains_words, sql_list_param, sql_list_value
from storage.schema.case_tables import WAITS


@dataclass(frozen=True, slots=True)
class FoundPerson:
    """Somebody who is in a room: a name they bear, how many rooms they are in and run, how many cases wait."""

    user: UserId
    display_name: str
    rooms: int
    runs: int
    waiting: int


@dataclass(frozen=True, slots=True)
class RoomOfPerson:
    """A group that somebody is or was in. `since`: when they were first seen there; 0: not known."""

    room: RoomId
    community: str
    code: GroupCode
    name: str
    condition: str
    membership: str
    role: str
    since: int


async def people_found(
    db: AsyncConnection, rooms: Collection[RoomId] | None, words: str, limit: int, after: str = ""
) -> list[FoundPerson]:
    """Return people who are in these groups and whose id or name has `words`, by their ids."""
    given = {"rooms": _rooms(rooms), "words": words, "after": after, "most": limit}
    return [FoundPerson(*row) for row in await db.execute(_PEOPLE, given)]


async def rooms_of_person(
    db: AsyncConnection, users: Collection[UserId], rooms: Collection[RoomId] | None
) -> list[RoomOfPerson]:
    """Return the groups in which one of these accounts is or was, by the order in which the groups came."""
    given = {"rooms": _rooms(rooms), "users": sql_list_value(users)}
    found: dict[str, RoomOfPerson] = {}
    for row in await db.execute(_ROOMS_OF, given):
        found.setdefault(row.room, RoomOfPerson(*row))
    return list(found.values())


def _rooms(rooms: Collection[RoomId] | None) -> str | None:
    return None if rooms is None else sql_list_value(sorted(rooms))


_M, _R, _C, _A = schema.members.c, schema.rooms.c, schema.cases.c, schema.accounts.c
_GROUPS = schema.members.join(schema.rooms, _R.room == _M.room)
_VISIBLE = any_or_one_of(_M.room, "rooms")
_PERSON = func.coalesce(select(_A.person).where(_A.user == _M.user).scalar_subquery(), _M.user)
_WAITING = select(func.count()).where(_C.person == _PERSON, WAITS, any_or_one_of(_C.room, "rooms")).scalar_subquery()
_HAS_WORDS = or_(contains_words(_M.user, "words"), contains_words(_M.display_name, "words"))
_PEOPLE: Select[Any] = (
    select(
        _M.user,
        func.max(_M.display_name),
        func.count(),
        func.sum(case((_M.role != "member", 1), else_=0)),
        _WAITING,
    )
    .select_from(_GROUPS)
    .where(_M.membership == "join", _R.purpose == "group", _M.user > bindparam("after"), _VISIBLE, _HAS_WORDS)
    .group_by(_M.user)
    .order_by(_M.user)
    .limit(bindparam("most"))
)
_ROOMS_OF: Select[Any] = (
    select(_M.room, _R.community, _R.code, _R.name, _R.condition, _M.membership, _M.role, _M.since)
    .select_from(_GROUPS)
    .where(sql_list_param(_M.user, "users"), _R.purpose == "group", _VISIBLE)
    .order_by(_R.entered, _M.membership != "join", _M.role == "member")
)
