"""Views of many people at once, with no query of their own for people who have nothing that counts for or against them.

Rules kept here:
- The result is exactly what `person_view` finds for each.
- People with anything at all (an entry, a sanction, a case, a verification, another account, a language) are read by
  `person_view`.
"""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import PersonView
from moderation.values.ids import PersonId, RoomId, UserId
from storage import schema
from storage.database.dialect import sql_list_param, sql_list_value
from storage.database.rows import Rows, rows_of

from .people import person_view
from .rooms import ACTIVE_GROUP
from .verification import CAME_AFTER

# Columns that name a person about whom there is more to know than their rooms.
_TELLING = (
    schema.accounts.c.user,
    schema.credit.c.person,
    schema.sanctions.c.person,
    schema.cases.c.person,
    schema.verifications.c.person,
    schema.pointed.c.user,
)
_BY_COLUMN = [select(column.label("user")).where(sql_list_param(column, "users")) for column in _TELLING]
# An account that is its own person has been found by its user; the few others have an index.
_OF_SEVERAL = select(schema.accounts.c.person).where(
    sql_list_param(schema.accounts.c.person, "users"), schema.accounts.c.user != schema.accounts.c.person
)
_TOLD_OF = union(*_BY_COLUMN, _OF_SEVERAL)
_m = schema.members.c
_ROOMS = (
    select(
        _m.user,
        _m.room,
        _m.since,
        _m.role,
        ACTIVE_GROUP.label("active"),
        schema.rooms.c.community,
        CAME_AFTER.label("came_after"),
        _m.joined,
    )
    .select_from(schema.members.outerjoin(schema.rooms, schema.rooms.c.room == _m.room))
    .where(sql_list_param(_m.user, "users"))
)


async def people_views(
    db: AsyncConnection, users: Sequence[UserId], *, now_ms: int, recent_since: int
) -> dict[UserId, PersonView]:
    """Return the view of each person, as `person_view` does."""
    given = {"users": sql_list_value(users)}
    told_of, rooms = await rows_of(db, (_TOLD_OF, given), (_ROOMS, given))
    special = {row[0] for row in told_of}
    found = _plain([user for user in users if user not in special], rooms)
    for user in users:
        if user in special:
            found[user] = await person_view(db, user, now_ms=now_ms, recent_since=recent_since)
    return found


def _plain(users: Sequence[UserId], rooms: Rows) -> dict[UserId, PersonView]:
    """Return views of people of whom only their rooms are known."""
    since: dict[str, dict[RoomId, int]] = defaultdict(dict)
    came: dict[str, dict[RoomId, int]] = defaultdict(dict)
    joined: dict[str, dict[RoomId, int]] = defaultdict(dict)
    manages: dict[str, set[RoomId]] = defaultdict(set)
    manages_in: dict[str, set[str]] = defaultdict(set)
    for user, room, first, role, active, community, came_after, last in rooms:
        since[user][RoomId(room)] = first
        joined[user][RoomId(room)] = last
        if came_after and first:
            came[user][RoomId(room)] = first
        if active and role != "member":
            manages[user].add(RoomId(room))
            manages_in[user].add(community)
    return {
        user: PersonView(
            user=user,
            person=PersonId(user),
            accounts=frozenset({user}),
            manages=frozenset(manages[user]),
            manages_in=frozenset(manages_in[user]),
            since=since[user],
            came=came[user],
            joined=joined[user],
        )
        for user in users
    }
