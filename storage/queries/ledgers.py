"""Ledgers: the entries of people, and whose balance may be wrong."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.credit.reckoning import LedgerLines
from moderation.model.facts import Ledger
from moderation.model.ledger_entry import LedgerEntry
from moderation.values.ids import PersonId, RoomId, UserId
from storage import schema
from storage.database.dialect import sql_list_param, sql_list_value
from storage.database.rows import rows_of

_NEXT = (
    select(schema.credit.c.person)
    .distinct()
    .where(schema.credit.c.person > bindparam("after"))
    .order_by(schema.credit.c.person)
    .limit(bindparam("most"))
)
_OF_PEOPLE = select(schema.credit).where(sql_list_param(schema.credit.c.person, "people"))


async def people_with_entries(db: AsyncConnection, after: str, most: int) -> list[PersonId]:
    """Return the next people who have entries in a ledger, after the person `after` in the order of their ids."""
    [rows] = await rows_of(db, (_NEXT, {"after": after, "most": most}))
    return [PersonId(row.person) for row in rows]


async def ledgers(db: AsyncConnection, people: Sequence[PersonId], *, by_room: bool) -> list[LedgerLines]:
    """Return the ledgers of people, each with its newest account; with `by_room` one of credit for each room."""
    found: dict[tuple[str, Ledger, str], list[Any]] = {}
    [entries] = await rows_of(db, (_OF_PEOPLE, {"people": sql_list_value(people)}))
    for row in sorted(entries, key=lambda each: int(each.record)):
        room = row.room if by_room and row.ledger == "credit" else ""
        found.setdefault((row.person, row.ledger, room), []).append(row)
    return [LedgerLines(UserId(rows[-1].user), key[1], read_entries(rows)) for key, rows in found.items()]


async def entries_by_person(db: AsyncConnection, ledger: Ledger) -> dict[PersonId, list[LedgerEntry]]:
    """Return the entries of a ledger, by person, oldest first."""
    found: dict[PersonId, list[LedgerEntry]] = {}
    for entry in await entries_where(db, schema.credit.c.ledger == ledger):
        found.setdefault(entry.person, []).append(entry)
    return found


ENTRIES = (
    select(schema.credit)
    .where(schema.credit.c.person == bindparam("person"), schema.credit.c.ledger == bindparam("ledger"))
    .order_by(schema.credit.c.record)
)


async def entries_where(db: AsyncConnection, *those: ColumnElement[bool]) -> tuple[LedgerEntry, ...]:
    """Return the entries that meet all conditions, oldest first."""
    return read_entries(await db.execute(select(schema.credit).where(*those).order_by(schema.credit.c.record)))


def read_entries(rows: Iterable[Any]) -> tuple[LedgerEntry, ...]:
    """Return the entries in these rows."""
    return tuple(
        LedgerEntry(
            id=row.record,
            person=PersonId(row.person),
            at_ms=row.at,
            entry=row.entry,
            cost=row.cost,
            grade=row.grade if row.grade != "-" else None,
            rule=row.rule,
            case=row.n or None,
            room=RoomId(row.room) if row.room else None,
            undoes=row.undoes if row.undoes >= 0 else None,
            reach=row.reach,
        )
        for row in rows
    )
