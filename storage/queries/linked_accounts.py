"""Accounts that belong to one person."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import UserId
from storage import schema
from storage.database.rows import rows_of

LINKED = select(schema.accounts.c.user, schema.accounts.c.person).where(
    schema.accounts.c.user != schema.accounts.c.person
)


async def accounts_of(db: AsyncConnection, user: UserId) -> tuple[UserId, ...]:
    """Return all accounts of the person behind `user`, including `user`."""
    return (await accounts_of_all(db, [user]))[user]


async def accounts_of_all(db: AsyncConnection, users: Iterable[UserId]) -> dict[UserId, tuple[UserId, ...]]:
    """Return all accounts of the person behind each user, in one query, since few people have a second account."""
    [rows] = await rows_of(db, (LINKED, {}))
    return accounts_among(rows, users)


def accounts_among(rows: Iterable[Any], users: Iterable[UserId]) -> dict[UserId, tuple[UserId, ...]]:
    """Return all accounts of the person behind each user, from the rows of `LINKED`."""
    persons: dict[str, str] = {}
    linked: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        persons[row.user] = row.person
        linked[row.person].add(row.user)
    found: dict[UserId, tuple[UserId, ...]] = {}
    for user in users:
        person = persons.get(user, user)
        # A person is named by their first account, unless it now belongs to somebody else.
        first = {person} if person not in persons else set()
        found[user] = tuple(sorted(UserId(each) for each in {user, *first, *linked[person]}))
    return found
