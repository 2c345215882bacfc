"""The next time at which something is due: one look for all of it, since the scheduler asks after every write."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import schema
from storage.database.rows import Rows, rows_of
from storage.projections.common import META

from .sanctions import ASKED_OF_PEOPLE, LASTING_KINDS

NEVER = 2**62
_s, _c = schema.sanctions.c, schema.cases.c


def _ending(*kinds: str) -> Select[tuple[int]]:
    return select(func.min(_s.until).label("time")).where(_s.ended == 0, _s.until > 0, _s.kind.in_(kinds))


_TIMES = (
    _ending(*(kind for kind in LASTING_KINDS if kind != ASKED_OF_PEOPLE)),
    _ending(ASKED_OF_PEOPLE),
    select(func.min(_c.due).label("time")).where(_c.due > 0),
    select(func.min(_c.remind).label("time")).where(_c.remind > 0),
    select(func.max(schema.verifications.c.record).label("time")),
)


@dataclass(frozen=True, slots=True)
class NextTimes:
    """The time at which something is due next, in milliseconds since 1970 UTC; `NEVER` if nothing is due."""

    sanction: int  # a lasting sanction ends that asks nothing of people
    order: int  # the time given to people to do something is over
    case: int  # a case's reminder or deadline
    newest_verification: int  # the newest record by which somebody was verified; -1 if there is none


async def next_times(db: AsyncConnection) -> NextTimes:
    """Return when something is due next."""
    return _next_times(await rows_of(db, *((each, {}) for each in _TIMES)))


async def next_times_and_meta(db: AsyncConnection, key: str) -> tuple[NextTimes, str | None]:
    """Return when something is due next, and one stored value of the deployment."""
    *times, stored = await rows_of(db, *((each, {}) for each in _TIMES), (META, {"key": key}))
    return _next_times(times), str(stored[0].value) if stored else None


def _next_times(found: Sequence[Rows]) -> NextTimes:
    sanction, order, due, remind, newest = (rows[0].time for rows in found)
    return NextTimes(
        sanction=sanction or NEVER,
        order=order or NEVER,
        case=min(due or NEVER, remind or NEVER),
        newest_verification=-1 if newest is None else newest,
    )
