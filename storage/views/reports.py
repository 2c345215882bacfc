"""Reports by members: who reported what, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.context import CaseView
from moderation.ids import EventId, RoomId, UserId
from moderation.own_rules import MISUSE, REPORTED
from moderation.policy import ReportSettings
from moderation.reports import Known, Pause, ReportedCase, Reporter

from .. import tables as t
from .accounts import accounts_of
from .cases import case_view


@dataclass(frozen=True, slots=True)
class Report:
    """One report. `by` is empty once the person has had it erased."""

    by: UserId
    reason: str
    at: int


async def reports_of(db: AsyncConnection, n: int) -> tuple[Report, ...]:
    """The reports that opened or joined a case, oldest first."""
    rows = await db.execute(select(t.reports).where(t.reports.c.n == n).order_by(t.reports.c.record))
    return tuple(Report(UserId(row.by), row.reason, row.at) for row in rows)


def how_many(reports: Sequence[Report]) -> int:
    """How many people reported; each who had it erased counts for themselves."""
    return len({report.by for report in reports if report.by}) + sum(not report.by for report in reports)


async def reporters_of(db: AsyncConnection, n: int) -> tuple[UserId, ...]:
    """Who reported what a case is about, each once."""
    return tuple(dict.fromkeys(report.by for report in await reports_of(db, n) if report.by))


async def known_of_report(
    db: AsyncConnection, room: RoomId, event: EventId, message: int, by: UserId, now_ms: int
) -> Known:
    """What is known when `by` reports the message `event`, recorded at `message`."""
    r = t.reports.c
    accounts = await accounts_of(db, by)
    before = await db.scalar(select(func.max(r.n)).where(r.message == message, r.by.in_(accounts)))
    return Known(
        cases=await _cases_with(db, event),
        before=int(before or 0),
        pause=await report_pause(db, by, room, now_ms),
        accounts=accounts,
    )


async def report_pause(db: AsyncConnection, user: UserId, room: RoomId, now_ms: int) -> Pause | None:
    """Until when somebody may not report in a room; None: they may."""
    s, c = t.sanctions.c, t.cases.c
    rows = await db.execute(
        select(s.until, s.n)
        .join(t.cases, c.n == s.n)
        .where(_stands(await accounts_of(db, user), room), s.until > now_ms)
        .order_by(s.until.desc())
        .limit(1)
    )
    row = rows.first()
    return Pause(row.until, row.n) if row else None


def _stands(accounts: Sequence[UserId], room: RoomId) -> ColumnElement[bool]:
    """The measures on account of misuse against a person in a room, whose cases stand."""
    s = t.sanctions.c
    return and_(s.subject.in_(accounts), s.rule == MISUSE, s.room == room, t.cases.c.outcome == "upheld")


async def reported_case(db: AsyncConnection, n: int, *, now_ms: int, settings: ReportSettings) -> ReportedCase | None:
    """What is known of the reporters when case `n` is decided; None if it is none of what members reported."""
    found = await case_view(db, n)
    if found is None or found[0].rule != REPORTED:
        return None
    since = now_ms - settings.misuse_within
    reporters = [await _reporter(db, user, found[0], since) for user in await reporters_of(db, n)]
    return ReportedCase(tuple(reporters), await _misuse_about(db, n))


async def _reporter(db: AsyncConnection, user: UserId, case: CaseView, since: int) -> Reporter:
    r, c, s = t.reports.c, t.cases.c, t.sanctions.c
    accounts = await accounts_of(db, user)
    measures = select(func.max(s.at)).join(t.cases, c.n == s.n).where(_stands(accounts, case.room))
    paused = int(await db.scalar(measures.where(s.until > 0)) or 0)
    warned = int(await db.scalar(measures.where(s.until == 0)) or 0)
    since = max(since, paused + 1)
    dismissed = await db.scalar(
        select(func.count(func.distinct(r.n)))
        .join(t.cases, c.n == r.n)
        .where(
            r.by.in_(accounts),
            r.at >= since,
            r.at <= c.decided,  # what was reported after that had been decided already
            r.n != case.n,
            c.rule == REPORTED,
            c.room == case.room,
            c.outcome == "dismissed",
            c.state != "reversed",  # somebody had upheld it
        )
    )
    return Reporter(user, dismissed=int(dismissed or 0), warned=warned >= since)


async def _cases_with(db: AsyncConnection, event: EventId) -> tuple[CaseView, ...]:
    """The cases that have an event as evidence, oldest first."""
    e = t.evidence.c
    numbers = await db.execute(select(e.n).where(e.event == event).distinct().order_by(e.n))
    found = [await case_view(db, row.n) for row in numbers]
    return tuple(each[0] for each in found if each is not None)


async def _misuse_about(db: AsyncConnection, n: int) -> tuple[CaseView, ...]:
    c = t.cases.c
    rows = await db.execute(select(c.n).where(c.about == n, c.rule == MISUSE, c.outcome == "upheld").order_by(c.n))
    found = [await case_view(db, row.n) for row in rows]
    return tuple(each[0] for each in found if each is not None)
