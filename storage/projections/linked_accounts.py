"""Linked accounts: the links between accounts, and what follows from them in every other table.

Rules kept here:
- Persons follow from the links in force alone, so a link that ended, or was erased, is as if it had never been.
- The name of a person is the account whose person the others joined.
- Rows about an account also name its person.

Left to others: who may link (`bot/identity/account_linking.py`).
"""

from collections.abc import Iterable, Mapping

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.people.linked_accounts import AccountLink, persons
from moderation.values.ids import PersonId, UserId
from storage import schema
from storage.database.dialect import upsert

from .common import put

# Tables that name a person besides an account.
_NAMED = (
    (schema.cases, schema.cases.c.subject),
    (schema.credit, schema.credit.c.user),
    (schema.sanctions, schema.sanctions.c.subject),
    (schema.verifications, schema.verifications.c.user),
    (schema.list_matches, schema.list_matches.c.subject),
    (schema.list_spared, schema.list_spared.c.subject),
    (schema.orders, schema.orders.c.subject),
)


async def links_in_force(db: AsyncConnection, *which: ColumnElement[bool]) -> tuple[tuple[int, AccountLink], ...]:
    """Return the links in force, all or `which` of them, oldest first, each with its record."""
    query = select(schema.links).where(schema.links.c.ended == 0, *which).order_by(schema.links.c.record)
    return tuple((row.record, AccountLink(UserId(row.user), UserId(row.to))) for row in await db.execute(query))


async def link(db: AsyncConnection, record: int, one: AccountLink, at_ms: int) -> None:
    """Link two accounts as one person's."""
    if not one.user or not one.to:
        return  # the link has been erased
    await db.execute(upsert(schema.links).values(record=record, user=one.user, to=one.to, at=at_ms, ended=0))
    await follow(db)


async def unlink(db: AsyncConnection, record: int, at_ms: int) -> None:
    """End the link recorded there, which was a mistake."""
    await db.execute(update(schema.links).where(schema.links.c.record == record).values(ended=max(at_ms, 1)))
    await follow(db)


async def forget_links(db: AsyncConnection, start: int, stop: int) -> None:
    """Delete the links of the records from `start` up to `stop`, which are gone."""
    gone = (schema.links.c.record >= start, schema.links.c.record < stop)
    if await db.scalar(select(schema.links.c.record).where(*gone).limit(1)) is not None:
        await db.execute(delete(schema.links).where(*gone))
        await follow(db)


async def follow(db: AsyncConnection) -> None:
    """Bring all tables in line with the links in force."""
    wanted = persons([one for _, one in await links_in_force(db)])
    before = await linked(db)
    await _rename(db, {user: person for user, person in wanted.items() if before.get(user) != person})
    await _rename(db, {user: PersonId(user) for user in before.keys() - wanted.keys()})
    a = schema.accounts.c
    await db.execute(delete(schema.accounts).where(a.user == a.person, a.language == ""))


async def _rename(db: AsyncConnection, changed: Mapping[UserId, PersonId]) -> None:
    for user, person in sorted(changed.items()):
        await put(db, schema.accounts, {"user": user}, person=person)
        for table, account in _NAMED:
            await db.execute(update(table).where(account == user).values(person=person))


async def linked(db: AsyncConnection) -> dict[UserId, PersonId]:
    """Map every account that belongs to a person of another name to that person."""
    a = schema.accounts.c
    rows = await db.execute(select(a.user, a.person).where(a.user != a.person))
    return {UserId(row.user): PersonId(row.person) for row in rows}


async def links_of(db: AsyncConnection, accounts: Iterable[UserId]) -> tuple[tuple[int, AccountLink], ...]:
    """Return the links in force of these accounts."""
    some = tuple(accounts)
    return await links_in_force(db, or_(schema.links.c.user.in_(some), schema.links.c.to.in_(some)))
