"""Accounts of a person: several accounts of one verified person count as one."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import PersonId, RoomId, UserId
from storage import schema
from storage.projections import person_of

from .linked_accounts import accounts_of
from .rooms import communities_with, groups_with


async def persons_linked(db: AsyncConnection) -> frozenset[str]:
    """Return every person to whom accounts are linked; their own first account may be gone."""
    return frozenset(await db.scalars(select(schema.accounts.c.person)))


async def ever_linked(db: AsyncConnection) -> tuple[PersonId, ...]:
    """Return every account that is or was linked to another."""
    return tuple(sorted(await db.scalars(select(schema.links.c.user).union(select(schema.links.c.to)))))


async def person_who_proved(db: AsyncConnection, record: int, otherwise: PersonId) -> PersonId:
    """Return the person of the account verified by this record; if there is none, the person of `otherwise`."""
    v = schema.verifications.c
    user = await db.scalar(select(v.user).where(v.record == record, v.user != ""))
    return PersonId(await person_of(db, UserId(user or otherwise)))


async def groups_of_person(db: AsyncConnection, user: UserId, *, joined: bool = False) -> tuple[RoomId, ...]:
    """Return the active groups where any account of the person is known; with `joined` only those they are in now."""
    return await groups_with(db, await accounts_of(db, user), joined=joined)


async def communities_of_person(db: AsyncConnection, user: UserId) -> dict[RoomId, str]:
    """Return the active groups where any account of the person is known, with the community of each.

    The groups are in the order in which they came.
    """
    return await communities_with(db, await accounts_of(db, user))


async def people_in(db: AsyncConnection, room: RoomId, *, without: UserId) -> int:
    """Return how many people are in a room, each counted once."""
    m, a = schema.members.c, schema.accounts.c
    person = func.coalesce(a.person, m.user)
    joined = (m.room == room, m.membership == "join", m.user != without)
    query = select(func.count(person.distinct())).select_from(
        schema.members.outerjoin(schema.accounts, a.user == m.user)
    )
    return int(await db.scalar(query.where(*joined)) or 0)
