"""Cases: as they stand, by their cards, of a person, waiting."""

from collections.abc import Sequence

from sqlalchemy import func, or_, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.context import CaseView
from moderation.facts import SanctionKind
from moderation.ids import CaseNumber, EventId, PersonId, RoomId, UserId

from .. import tables as t
from ..project import POSTED, person_of


async def case_view(db: AsyncConnection, n: int) -> tuple[CaseView, Row[tuple[object, ...]]] | None:
    """One case, and its row for all that is only shown."""
    row = (await db.execute(select(t.cases).where(t.cases.c.n == n))).first()
    if row is None:
        return None
    events = await db.execute(
        select(t.evidence, t.events.c.kind)
        .outerjoin(t.events, t.events.c.event == t.evidence.c.event)
        .where(t.evidence.c.n == n)
        .order_by(t.evidence.c.record)
    )
    return _case(row, tuple(events), await _measures_taken(db, row.person, n)), row


async def _measures_taken(db: AsyncConnection, person: str, n: int) -> frozenset[tuple[SanctionKind, EventId]]:
    """The measures taken on account of a case, without those that were taken back."""
    s = t.sanctions.c
    rows = await db.execute(
        select(s.kind, s.event).where(
            s.person == person,
            s.n == n,
            s.basis.in_(("rule", "interim", "decision")),
            s.why_ended != "reversed",
        )
    )
    return frozenset((row.kind, EventId(row.event)) for row in rows)


async def case_by_card(db: AsyncConnection, card: EventId) -> int | None:
    """The case whose card is this event."""
    if not card:
        return None
    found = await db.scalar(select(t.cases.c.n).where(t.cases.c.card == card))
    return int(found) if found is not None else None


async def next_case(db: AsyncConnection) -> int:
    """The number that the next case gets."""
    return int(await db.scalar(select(func.max(t.cases.c.n))) or 0) + 1


async def records_of_case(db: AsyncConnection, n: int) -> list[int]:
    """The records of a case: its opening, its evidence, what it cost and what it brought."""
    found: list[int] = []
    for table in (t.cases, t.evidence, t.credit, t.sanctions):
        rows = await db.execute(select(table.c.record).where(table.c.n == n))
        found += [row.record for row in rows]
    return found


async def open_cases(db: AsyncConnection, room: RoomId, limit: int) -> Sequence[Row[tuple[object, ...]]]:
    """The cases of a room that wait for a decision, the most pressing first."""
    c = t.cases.c
    rows = await db.execute(
        select(t.cases)
        .where(c.room == room, or_(c.outcome == "", c.state == "appealed"))
        .order_by(c.due, c.n)
        .limit(limit)
    )
    return rows.all()


async def cases_of(db: AsyncConnection, user: UserId, room: RoomId, limit: int) -> Sequence[Row[tuple[object, ...]]]:
    """The cases about somebody in a room, newest first."""
    c = t.cases.c
    person = await person_of(db, user)
    rows = await db.execute(select(t.cases).where(c.person == person, c.room == room).order_by(c.n.desc()).limit(limit))
    return rows.all()


async def newest_case_of(db: AsyncConnection, user: UserId) -> int:
    """The number of the newest case about somebody; 0 if there is none."""
    return int(await db.scalar(select(func.max(t.cases.c.n)).where(t.cases.c.subject == user)) or 0)


async def recent_cases(db: AsyncConnection, person: str, since: int) -> dict[tuple[RoomId, str], CaseView]:
    c = t.cases.c
    rows = await db.execute(select(t.cases).where(c.person == person, c.opened >= since).order_by(c.n))
    return {(RoomId(row.room), row.rule): _case(row, ()) for row in rows}


def _case(
    row: Row[tuple[object, ...]],
    evidence: Sequence[Row[tuple[object, ...]]],
    done: frozenset[tuple[SanctionKind, EventId]] = frozenset(),
) -> CaseView:
    return CaseView(
        n=CaseNumber(row.n),
        room=RoomId(row.room),
        subject=UserId(row.subject),
        person=PersonId(row.person),
        rule=row.rule,
        grade=row.grade,
        decide=row.decide,
        manages=bool(row.manages),
        state=row.state,
        outcome=row.outcome,
        opened=row.opened,
        events=tuple(EventId(item.event) for item in evidence if item.event),
        messages=tuple(EventId(item.event) for item in evidence if item.event and item.kind == POSTED),
        on=evidence[0].record if evidence else -1,
        done=done,
    )
