"""Readings of data held on people."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import exists, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.access_reasons import GLANCES
from moderation.values.durations import DAY_MS
from moderation.values.ids import UserId
from storage import schema


@dataclass(frozen=True, slots=True)
class ReadingOf:
    """A recorded look at what is held on a person: of what, in which record and on which day, and by whom.

    `by` looked in a chat or the console, `reader` at the terminal.
    """

    record: int
    what: str
    by: UserId
    reader: str
    day: int


async def is_noted(db: AsyncConnection, note: str, person: UserId) -> bool:
    """Return whether a note of the command line is already recorded, as far as it is about a person."""
    r = schema.readings.c
    return bool(await db.scalar(select(exists().where(r.note == note, r.subject == person))))


async def export_of_note(db: AsyncConnection, note: str) -> int | None:
    """Return the record of the export that has this note or id."""
    r = schema.readings.c
    found = await db.scalar(select(r.record).where(r.note == note, r.subject == "", r.what.in_(("export", "dossier"))))
    return None if found is None else int(found)


async def was_looked_at(
    db: AsyncConnection, person: UserId, at_ms: int, *, reader: str = "", by: UserId | None = None
) -> bool:
    """Return whether this reader is recorded as having looked at a person's status on the day of `at_ms`."""
    r = schema.readings.c
    same = (r.day == at_ms // DAY_MS, r.subject == person, r.reader == reader, r.by == (by or ""))
    return bool(await db.scalar(select(exists().where(*same, r.what.in_(GLANCES)))))


async def subjects_of_cases(db: AsyncConnection, numbers: Collection[int]) -> frozenset[UserId]:
    """Return the people whom cases are about and those who were given a statement of reasons for them."""
    about = select(schema.cases.c.subject).where(schema.cases.c.n.in_(numbers))
    told = select(schema.statements.c.subject).where(schema.statements.c.n.in_(numbers))
    return frozenset(filter(None, await db.scalars(union(about, told))))


async def cases_of_records(db: AsyncConnection, records: Collection[int]) -> frozenset[int]:
    """Return the numbers of the cases that were opened by these records."""
    rows = await db.execute(select(schema.cases.c.n, schema.cases.c.record))
    return frozenset(int(row.n) for row in rows if row.record in records)


async def cases_about(db: AsyncConnection, accounts: Collection[UserId]) -> frozenset[int]:
    """Return the numbers of all cases about a person, or in which they were given a statement of reasons."""
    about = select(schema.cases.c.n).where(schema.cases.c.subject.in_(accounts))
    told = select(schema.statements.c.n).where(schema.statements.c.subject.in_(accounts))
    return frozenset(await db.scalars(union(about, told)))


@dataclass(frozen=True, slots=True)
class ListedReading:
    """Somebody read data held on people, or took it out. `reader` is an account of the machine, `by` a Matrix id.

    `subject` is "" if it was about nobody in particular.
    """

    record: int
    what: str
    subject: str
    by: str
    reader: str
    day: int  # since 1970


async def readings_listed(db: AsyncConnection, *, below: int, most: int, subject: str = "") -> list[ListedReading]:
    """Return the newest readings with a record below `below`: about somebody, or all."""
    r = schema.readings.c
    query = select(r.record, r.what, r.subject, r.by, r.reader, r.day).where(r.record < below)
    if subject:
        query = query.where(r.subject == subject)
    return [ListedReading(*row) for row in await db.execute(query.order_by(r.record.desc()).limit(most))]


async def readings_of(
    db: AsyncConnection, users: Collection[UserId], since_ms: int, limit: int
) -> tuple[ReadingOf, ...]:
    """Return who looked at what is held on one of these accounts since a day, newest first."""
    r = schema.readings.c
    query = select(r.record, r.what, r.by, r.reader, r.day).where(r.day >= since_ms // DAY_MS, r.subject.in_(users))
    return tuple(ReadingOf(*row) for row in await db.execute(query.order_by(r.record.desc()).limit(limit)))
