"""People responsible for a case: who was asked or told to decide it, who left, and who was charged for its neglect."""

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.cases.deadlines import Excused, Gone
from moderation.model.builtin_rules import OVERDUE
from moderation.values.ids import RoomId, UserId
from storage import schema
from storage.schema.case_tables import WAITS

_a, _c = schema.assignments.c, schema.cases.c
_asked = (_a.n == bindparam("n"), _a.asked == bindparam("asked"))
_named = (*_asked, _a.user != "")
_since = select(_c.appealed).where(_c.n == bindparam("n")).scalar_subquery()
_ASKED_SINCE = select(_a.user).where(*_named, _a.at >= _since).order_by(_a.record)
_TOLD_OF = select(_a.user).where(*_named, _a.told == 1)
_LEFT = select(_a.user, _a.gone, _a.gone_by).where(*_asked, _a.gone > 0)
_charge = schema.cases.alias("charge")
_charged = select(_charge.c.n).where(
    _charge.c.about == _c.n, _charge.c.rule == OVERDUE, _charge.c.subject == bindparam("user")
)
_EXCUSED = (
    select(_c.n, WAITS.label("waits"))
    .join(schema.assignments, _a.n == _c.n)
    .where(_c.room == bindparam("room"), _a.user == bindparam("user"), _a.excused > bindparam("since"))
    .where(~_charged.exists())
)
_CHARGED_FOR = select(_c.subject).where(_c.about == bindparam("n"), _c.rule == OVERDUE)


async def assigned_to(db: AsyncConnection, n: int, asked: str) -> tuple[UserId, ...]:
    """Return who is responsible for a case at a level, each once, in the order asked; for an appeal, since then."""
    return tuple(dict.fromkeys(await db.scalars(_ASKED_SINCE, {"n": n, "asked": asked})))


async def told_of(db: AsyncConnection, n: int, asked: str) -> frozenset[UserId]:
    """Return those responsible for a case at a level who have been told so, as the records show."""
    return frozenset(await db.scalars(_TOLD_OF, {"n": n, "asked": asked}))


async def gone_from(db: AsyncConnection, n: int, asked: str) -> dict[UserId, Gone]:
    """Return which of those responsible for a case at a level left while it waited, when and by whom."""
    rows = await db.execute(_LEFT, {"n": n, "asked": asked})
    return {UserId(row.user): Gone(row.gone, own=row.gone_by == row.user) for row in rows}


async def told_cases(db: AsyncConnection, user: UserId, room: RoomId) -> tuple[int, ...]:
    """Return the cases of a room that wait for somebody's decision now and that they were told of."""
    a, c = schema.assignments.c, schema.cases.c
    told = select(c.n).join(schema.assignments, a.n == c.n).where(c.room == room, a.user == user, a.told == 1)
    return tuple(sorted(set(await db.scalars(told.where(a.asked == c.asked, WAITS)))))


async def excused_cases(db: AsyncConnection, user: UserId, room: RoomId, since_ms: int) -> tuple[Excused, ...]:
    """Return a room's cases that passed their deadline since then while this person was responsible but gone."""
    found = await db.execute(_EXCUSED, {"user": user, "room": room, "since": since_ms})
    rows = sorted({(row.n, row.waits) for row in found})
    return tuple(Excused(n, waits=waits) for n, waits in rows)


async def charged_for(db: AsyncConnection, n: int) -> frozenset[UserId]:
    """Return those already charged against standing because this case was not decided in time."""
    return frozenset(await db.scalars(_CHARGED_FOR, {"n": n}))
