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
from storage.database.dialect import sql_list

from .people import person_view
from .rooms import ACTIVE_GROUP
from .verification import CAME_AFTER

# Columns that name a person about whom there is more to know than their rooms.
_TOLD_OF = (
    schema.accounts.c.user,
    schema.accounts.c.person,
    schema.credit.c.person,
    schema.sanctions.c.person,
    schema.cases.c.person,
    schema.verifications.c.person,
    schema.pointed.c.user,
)


async def people_views(
    db: AsyncConnection, users: Sequence[UserId], *, now_ms: int, recent_since: int
) -> dict[UserId, PersonView]:
    """Return the view of each person, as `person_view` does."""
    told_of = union(*(select(column).where(sql_list(column, users)) for column in _TOLD_OF))
    special = {row[0] for row in await db.execute(told_of)}
    found = await _plain(db, [user for user in users if user not in special])
    for user in users:
        if user in special:
            found[user] = await person_view(db, user, now_ms=now_ms, recent_since=recent_since)
    return found


async def _plain(db: AsyncConnection, users: Sequence[UserId]) -> dict[UserId, PersonView]:
    """Return views of people of whom only their rooms are known."""
    m = schema.members.c
    since: dict[str, dict[RoomId, int]] = defaultdict(dict)
    came: dict[str, dict[RoomId, int]] = defaultdict(dict)
    joined: dict[str, dict[RoomId, int]] = defaultdict(dict)
    manages: dict[str, set[RoomId]] = defaultdict(set)
    manages_in: dict[str, set[str]] = defaultdict(set)
    query = select(
        m.user, m.room, m.since, m.role, ACTIVE_GROUP.label("active"), schema.rooms.c.community, CAME_AFTER, m.joined
    )
    rooms = schema.members.outerjoin(schema.rooms, schema.rooms.c.room == m.room)
    found = await db.execute(query.select_from(rooms).where(sql_list(m.user, users)))
    for user, room, first, role, active, community, came_after, last in found:
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
