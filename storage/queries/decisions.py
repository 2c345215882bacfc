"""Decisions: how often somebody decided, and which messages were found to break no rule."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import RoomId, UserId
from storage import schema


@dataclass(frozen=True, slots=True)
class Figures:
    """The number of cases that somebody decided, of those dismissed, and of those reversed by an appeal."""

    by: UserId
    decided: int = 0
    dismissed: int = 0
    reversed: int = 0


async def messages_of_dismissed_cases(db: AsyncConnection) -> frozenset[int]:
    """Return the records of messages of which people decided that they broke no rule."""
    dismissed = select(schema.cases.c.n).where(schema.cases.c.outcome == "dismissed")
    return frozenset(await db.scalars(select(schema.evidence.c.record).where(schema.evidence.c.n.in_(dismissed))))


async def figures_of(db: AsyncConnection, room: RoomId, since: int) -> tuple[Figures, ...]:
    """Return how often each person decided in a room since a time, with dismissals and reversals."""
    d = schema.decisions.c
    rows = await db.execute(
        select(schema.decisions)
        .join(schema.cases, schema.cases.c.n == d.n)
        .where(schema.cases.c.room == room)
        .order_by(d.n, d.record)
    )
    found: dict[UserId, Figures] = {}
    before: Any = None
    for row in rows:
        if before is not None and row.n == before.n and row.state == "reversed" and row.at >= since and before.by:
            mine = found.get(before.by, Figures(before.by))
            found[before.by] = replace(mine, reversed=mine.reversed + 1)
        if row.at >= since and row.by:
            mine = found.get(row.by, Figures(row.by))
            dismissed = mine.dismissed + (row.what == "dismissed")
            found[row.by] = replace(mine, decided=mine.decided + 1, dismissed=dismissed)
        before = row
    return tuple(found[user] for user in sorted(found))
