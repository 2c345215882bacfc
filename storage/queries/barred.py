"""The list of people who are kept out of every protected room."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import UserId
from storage import schema


@dataclass(frozen=True, slots=True)
class ListedBar:
    """One entry of the list. `ended` is 0 while it is in force."""

    person: str
    since: int
    until: int
    basis: str  # credit or operator
    case: int | None
    by: str
    reason: str
    record: int
    ended: int
    why_ended: str


async def barred_entries(db: AsyncConnection, accounts: Collection[UserId] = ()) -> list[ListedBar]:
    """Return the entries, also those that have ended, oldest first; about these accounts, or all."""
    s = schema.sanctions.c
    columns = (s.subject, s.at, s.until, s.basis, s.n, s.by, s.reason, s.record, s.ended, s.why_ended)
    query = select(*columns).where(s.kind == "ban", s.room == "").order_by(s.record)
    if accounts:
        query = query.where(s.subject.in_(accounts))
    return [
        ListedBar(
            person=row.subject,
            since=row.at,
            until=row.until,
            basis=row.basis,
            case=row.n or None,
            by=row.by,
            reason=row.reason,
            record=row.record,
            ended=row.ended,
            why_ended=row.why_ended,
        )
        for row in await db.execute(query)
    ]


async def cases_sharing_messages(db: AsyncConnection, cases: Collection[int]) -> list[int]:
    """Return the other cases whose messages these cases rest on."""
    own, other = schema.evidence.alias(), schema.evidence.alias()
    query = (
        select(other.c.n)
        .join(own, own.c.record == other.c.record)
        .where(own.c.n.in_(cases), other.c.n.not_in(cases))
        .distinct()
        .order_by(other.c.n)
    )
    return list(await db.scalars(query))
