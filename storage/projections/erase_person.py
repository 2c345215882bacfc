"""Removal of a person from all tables, as the marks of the columns in `storage/schema/` say.

Rules kept here:
- Every column with an id of theirs is blanked, with the words that its mark says are theirs; a row that is nothing
  without them is deleted.
- Rows of records that must be kept stay as they are.
- Membership of people who are in a room now stays known with their rights there, since the bot works by that.
- Doing it again changes nothing.

Left to others: the records (`storage/journal/retention/erase.py`), what must be kept
(`storage/journal/retention/legal_holds.py`).
"""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Column, Table, delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import UserId
from storage import schema

from . import linked_accounts

_MANY = 300  # rows in one statement
# Tables the bot works by while somebody is in a room.
_APART = (schema.members, schema.accounts, schema.links, schema.rooms, schema.holds)


async def erase_from_tables(db: AsyncConnection, accounts: Collection[UserId], kept: Collection[int]) -> None:
    """Remove the person with these accounts from all tables, except for rows of the records `kept`."""
    await _forget_events(db, accounts, kept)
    for table in schema.metadata.sorted_tables:
        if table not in _APART:
            for column in schema.columns_of_people(table):
                await _forget_in(db, table, column, accounts, kept)
    await _forget_links(db, accounts, kept)
    await _forget_where_absent(db, accounts)
    await _forget_in_rooms(db, accounts)


def _blank(table: Table, column: Column[Any]) -> dict[str, str]:
    """Return what remains of a row without the person in a column: neither the id nor the words that go with it."""
    words = (each for each in table.c if each.info.get("of") == column.name)
    return {each.name: "" for each in (column, *words)}


async def _forget_in(
    db: AsyncConnection, table: Table, column: Column[Any], accounts: Collection[UserId], kept: Collection[int]
) -> None:
    keys = list(table.primary_key.columns)
    record = table.c.get("record")
    shown = [*keys, record] if record is not None else keys
    found = (await db.execute(select(*shown).where(column.in_(accounts)))).all()
    rows = [tuple(row[: len(keys)]) for row in found if record is None or row[-1] not in kept]
    for some in _pieces(rows):
        these = tuple_(*keys).in_(some)
        if table.info.get("erased") == "whole":
            await db.execute(delete(table).where(these))
        else:
            await db.execute(update(table).where(these).values(**_blank(table, column)))


async def _forget_events(db: AsyncConnection, accounts: Collection[UserId], kept: Collection[int]) -> None:
    """Delete the evidence that is a message of theirs; the table of events itself comes after."""
    e, w = schema.events.c, schema.withheld.c
    said = select(e.record).where(e.sender.in_(accounts))
    spoke = said.union_all(select(w.record).where(w.subject.in_(accounts))).scalar_subquery()
    rows = await db.scalars(select(schema.evidence.c.record).where(schema.evidence.c.record.in_(spoke)))
    for some in _pieces([record for record in rows if record not in kept]):
        await db.execute(delete(schema.evidence).where(schema.evidence.c.record.in_(some)))


async def _forget_links(db: AsyncConnection, accounts: Collection[UserId], kept: Collection[int]) -> None:
    """Forget that these accounts are one person's, unless a record of that must be kept."""
    links = schema.links.c
    rows = await db.scalars(select(links.record).where(links.user.in_(accounts) | links.to.in_(accounts)))
    for some in _pieces([record for record in rows if record not in kept]):
        await db.execute(delete(schema.links).where(links.record.in_(some)))
    await db.execute(update(schema.accounts).where(schema.accounts.c.user.in_(accounts)).values(language=""))
    await linked_accounts.follow(db)


async def _forget_where_absent(db: AsyncConnection, accounts: Collection[UserId]) -> None:
    """Forget that they were in rooms, and what the bot changed about them there unless a measure is in force."""
    theirs = schema.members.c.user.in_(accounts)
    await db.execute(delete(schema.members).where(theirs, schema.members.c.membership != "join"))
    await db.execute(update(schema.members).where(theirs).values(display_name=""))
    measured = select(schema.sanctions.c.subject).where(schema.sanctions.c.ended == 0).scalar_subquery()
    held = schema.holds.c.user
    await db.execute(delete(schema.holds).where(held.in_(accounts), held.not_in(measured)))


async def _forget_in_rooms(db: AsyncConnection, accounts: Collection[UserId]) -> None:
    m = schema.members.c
    for row in (await db.execute(select(schema.rooms))).all():
        joined = select(m.user).where(m.room == row.room, m.membership == "join")
        absent = set(accounts) - set(await db.scalars(joined))
        values = _without(row, accounts, absent)
        if values:
            await db.execute(update(schema.rooms).where(schema.rooms.c.room == row.room).values(**values))


def _without(row: Any, accounts: Collection[UserId], absent: Collection[UserId]) -> dict[str, str]:
    """Return the changes to the row of a room. Rights are removed only for those who are not in it now."""
    values: dict[str, str] = {}
    for column in schema.columns_of_people(schema.rooms):
        gone = absent if column.name == "direct_with" else accounts
        if getattr(row, column.name) in gone:
            values |= _blank(schema.rooms, column)
    for column in schema.rooms.c:
        if column.info.get("holds") == "names" and any(f'"{each}"' in getattr(row, column.name) for each in absent):
            values[column.name] = json.dumps(_pruned(json.loads(getattr(row, column.name)), absent), sort_keys=True)
    return values


def _pruned(value: Any, gone: Collection[str]) -> Any:
    """Return JSON without these ids, wherever they occur."""
    if isinstance(value, dict):
        return {name: _pruned(each, gone) for name, each in value.items() if name not in gone}
    if isinstance(value, list):
        return [_pruned(each, gone) for each in value if each not in gone]
    return "" if isinstance(value, str) and value in gone else value


def _pieces(rows: Iterable[Any]) -> Iterable[Sequence[Any]]:
    found = list(rows)
    return (found[start : start + _MANY] for start in range(0, len(found), _MANY))
