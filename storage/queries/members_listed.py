"""The people of a room as the terminal lists them."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import RoomId
from storage import schema

_ROLES = ("owner", "manager", "member")  # in this order


@dataclass(frozen=True, slots=True)
class ListedMember:
    """Somebody who is or was in a room. `verified`: the highest level in force, 0 for none."""

    user: str
    display_name: str
    membership: str
    role: str
    verified: int


async def members_listed(db: AsyncConnection, room: RoomId, now_ms: int) -> list[ListedMember]:
    """Return everybody who is or was in a room, those who run it first."""
    m = schema.members.c
    rows = (await db.execute(select(m.user, m.display_name, m.membership, m.role).where(m.room == room))).all()
    levels = await _levels(db, now_ms)
    found = [ListedMember(*row, levels.get(row.user, 0)) for row in rows]
    return sorted(found, key=lambda each: (_ROLES.index(each.role), each.user))


async def _levels(db: AsyncConnection, now_ms: int) -> dict[str, int]:
    """Return the highest level of verification in force, by account; a person's accounts share it."""
    v = schema.verifications.c
    query = select(v.person, func.max(v.level)).where(v.revoked == 0, v.until > now_ms).group_by(v.person)
    by_person = {person: int(level) for person, level in await db.execute(query)}
    linked = await db.execute(select(schema.accounts.c.user, schema.accounts.c.person))
    return by_person | {user: by_person[person] for user, person in linked if person in by_person}
