"""The accounts of a person: several of one verified person count as one."""

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.ids import RoomId, UserId

from .. import tables as t
from .rooms import ACTIVE_GROUP


async def accounts_of(db: AsyncConnection, user: UserId) -> tuple[UserId, ...]:
    """All accounts of the person behind one, that one among them."""
    return (await accounts_of_all(db, [user]))[user]


async def accounts_of_all(db: AsyncConnection, users: Iterable[UserId]) -> dict[UserId, tuple[UserId, ...]]:
    """The same for many; one question, since hardly anybody has a second account."""
    persons: dict[str, str] = {}
    linked: dict[str, set[str]] = defaultdict(set)
    a = t.accounts.c
    for row in await db.execute(select(a.user, a.person).where(a.user != a.person)):
        persons[row.user] = row.person
        linked[row.person].add(row.user)
    found: dict[UserId, tuple[UserId, ...]] = {}
    for user in users:
        person = persons.get(user, user)
        # A person is named by their first account, unless that has become somebody else's.
        first = {person} if person not in persons else set()
        found[user] = tuple(sorted(UserId(each) for each in {user, *first, *linked[person]}))
    return found


async def groups_of_person(db: AsyncConnection, user: UserId, *, joined: bool = False) -> tuple[RoomId, ...]:
    """The active groups in which any account of the person is known; with `joined` only those they are in now."""
    m = t.members.c
    query = (
        select(m.room)
        .join(t.rooms, t.rooms.c.room == m.room)
        .where(m.user.in_(await accounts_of(db, user)), ACTIVE_GROUP)
        .group_by(m.room, t.rooms.c.entered)
        .order_by(t.rooms.c.entered)
    )
    if joined:
        query = query.where(m.membership == "join")
    return tuple(RoomId(row.room) for row in await db.execute(query))


async def people_in(db: AsyncConnection, room: RoomId, *, without: UserId) -> int:
    """How many people are in a room, each counted once."""
    m, a = t.members.c, t.accounts.c
    person = func.coalesce(a.person, m.user)
    joined = (m.room == room, m.membership == "join", m.user != without)
    query = select(func.count(person.distinct())).select_from(t.members.outerjoin(t.accounts, a.user == m.user))
    return int(await db.scalar(query.where(*joined)) or 0)
