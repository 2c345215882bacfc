"""Cases as the terminal lists them: with the code of the room, without what people wrote."""

from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import RoomId
from storage import schema

from .lists import listed_servers
from .reports import how_many, reports_of

# The states in which somebody still has to decide.
UNDECIDED_STATES = ("open", "acknowledged", "overdue", "escalated_owner", "escalated_operator", "appealed")


@dataclass(frozen=True, slots=True)
class ListedCase:
    """One case in a list. `room`: its code; None if the room is not known."""

    n: int
    room: str | None
    subject: str
    rule: str
    grade: str
    state: str
    outcome: str
    opened: int
    due: int
    decided: int  # 0: not yet

    def as_json(self) -> dict[str, Any]:
        """Return it as the terminal and the console give it."""
        fields = {each.name: getattr(self, each.name) for each in dataclass_fields(ListedCase)}
        return {"class" if name == "grade" else name: value for name, value in fields.items()}


@dataclass(frozen=True, slots=True)
class WholeCase(ListedCase):
    """One case with its decision, how many reported it, and its evidence: record and event of each message.

    `server`: the server or pattern that it is about, as `list` names it ("": none).
    """

    room_id: str
    decide: str
    by: str
    reason: str
    record: int
    reports: int
    evidence: tuple[tuple[int, str], ...]
    server: str = ""
    list: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as the terminal and the console give it."""
        return {
            **ListedCase.as_json(self),
            "room_id": self.room_id,
            "decide": self.decide,
            "by": self.by,
            "reason": self.reason,
            "record": self.record,
            "reports": self.reports,
            "evidence": [{"record": record, "event": event} for record, event in self.evidence],
            "server": self.server,
            "list": self.list,
        }


async def cases_listed(db: AsyncConnection, room: RoomId | None = None, *, only_open: bool) -> list[ListedCase]:
    """Return the cases of a room, or all; the undecided ones alone come with the most urgent first."""
    c = schema.cases.c
    query = _select().order_by(c.due if only_open else c.n)
    if room is not None:
        query = query.where(c.room == room)
    if only_open:
        query = query.where(c.state.in_(UNDECIDED_STATES))
    return [ListedCase(*row[:10]) for row in await db.execute(query)]


async def whole_case(db: AsyncConnection, n: int) -> WholeCase | None:
    """Return one case."""
    row = (await db.execute(_select().where(schema.cases.c.n == n))).first()
    if row is None:
        return None
    e = schema.evidence.c
    rows = await db.execute(select(e.record, e.event).where(e.n == n).order_by(e.record))
    evidence = tuple((each.record, each.event) for each in rows)
    values: tuple[Any, ...] = (*row, how_many(await reports_of(db, n)), evidence)
    named = next(iter(await listed_servers(db, n=n)), None)
    case = WholeCase(*values)
    return replace(case, server=named.server, list=named.list) if named else case


async def last_case(db: AsyncConnection) -> int:
    """Return the highest number of a case; 0 if there is none."""
    return int(await db.scalar(select(func.max(schema.cases.c.n))) or 0)


def _select() -> Select[Any]:
    c = schema.cases.c
    listed = (c.subject, c.rule, c.grade, c.state, c.outcome, c.opened, c.due, c.decided)
    more = (c.room, c.decide, c.by, c.reason, c.record)
    joined = schema.cases.outerjoin(schema.rooms, schema.rooms.c.room == c.room)
    return select(c.n, schema.rooms.c.code, *listed, *more).select_from(joined)
