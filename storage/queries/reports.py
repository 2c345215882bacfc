"""Reports by members: who reported what, and the outcome."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, and_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.cases.report_budget import ELSEWHERE, Filed
from moderation.cases.reports import Pause, ReportContext, ReportedCase, Reporter
from moderation.model.builtin_rules import MISUSE, PAUSES_REPORTS, REPORTED
from moderation.model.context import CaseView
from moderation.policy import ReportSettings
from moderation.values.ids import EventId, RoomId, UserId
from storage import schema

from .cases import case_view, cases_of_query
from .linked_accounts import accounts_of
from .rooms import place_of

_r, _c, _s = schema.reports.c, schema.cases.c, schema.sanctions.c
_ACCOUNTS: BindParameter[Any] = bindparam("accounts", expanding=True)
_theirs = _r.by.in_(_ACCOUNTS)
_REPORTS = select(_r.by, _r.reason, _r.at, _r.channel, _r.contact).where(_r.n == bindparam("n")).order_by(_r.record)
_WITH = select(schema.evidence.c.n).where(schema.evidence.c.event == bindparam("event")).distinct()
_WITH = _WITH.order_by(schema.evidence.c.n)
_SAME = select(func.max(_r.n)).where(_r.message == bindparam("message"), _theirs)
_OWN = select(_r.n, func.count()).where(_theirs).group_by(_r.n)
_FILED = (
    select(_r.n, func.min(_r.at), _c.outcome, schema.rooms.c.community)
    .join(schema.cases, _c.n == _r.n)
    .join(schema.rooms, schema.rooms.c.room == _c.room)
    .where(_theirs, _r.at >= bindparam("since"))
    .group_by(_r.n, _c.outcome, schema.rooms.c.community)
)


def _stands(*rules: str) -> ColumnElement[bool]:
    """Return the condition for measures under these rules against `accounts` in `room`, whose cases stand."""
    theirs = (_s.subject.in_(_ACCOUNTS), _s.room == bindparam("room"))
    return and_(*theirs, _s.rule.in_(rules), _c.outcome == "upheld")


_same = schema.reports.alias()
_first = select(func.min(_same.c.record)).where(_same.c.n == _r.n).scalar_subquery()
_LEAD = select(func.max(_c.n)).where(
    _c.room == bindparam("room"),
    _c.rule == REPORTED,
    _c.lead == 0,
    _c.state.in_(("open", "acknowledged")),
    _c.opened >= bindparam("since"),
    _c.n.in_(select(_r.n).where(_theirs, _r.at >= bindparam("since"), _r.record == _first)),
)
_PAUSED = (
    select(_s.until, _s.n, _s.rule)
    .join(schema.cases, _c.n == _s.n)
    .where(_stands(*PAUSES_REPORTS), _s.until > bindparam("now"))
    .order_by(_s.until.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class StoredReport:
    """One report. `by` is empty if the person had it erased."""

    by: UserId
    reason: str
    at: int
    channel: str = "member"
    contact: str = ""


async def reports_of(db: AsyncConnection, n: int) -> tuple[StoredReport, ...]:
    """Return the reports that opened or joined a case, oldest first."""
    rows = await db.execute(_REPORTS, {"n": n})
    return tuple(StoredReport(*row) for row in rows)


def how_many(reports: Sequence[StoredReport]) -> int:
    """Return how many people reported; each erased report counts as one person."""
    return len({report.by for report in reports if report.by}) + sum(not report.by for report in reports)


async def reporters_of(db: AsyncConnection, n: int) -> tuple[UserId, ...]:
    """Return who reported the subject of a case, each once."""
    return tuple(dict.fromkeys(report.by for report in await reports_of(db, n) if report.by))


async def cases_with(db: AsyncConnection, event: EventId) -> tuple[CaseView, ...]:
    """Return the cases that have an event as evidence, oldest first."""
    return await cases_of_query(db, _WITH, event=event)


async def outside_notices(db: AsyncConnection, room: RoomId, since: int) -> int:
    """Return how many notices from outside a room has had since a time."""
    r, c = schema.reports.c, schema.cases.c
    query = select(func.count()).select_from(schema.reports.join(schema.cases, c.n == r.n))
    return int(await db.scalar(query.where(c.room == room, r.channel.in_(("operator", "mail")), r.at >= since)) or 0)


async def known_of_report(
    db: AsyncConnection, room: RoomId, event: EventId, message: int, by: UserId, now_ms: int, settings: ReportSettings
) -> ReportContext:
    """Return what is known when `by` reports the message `event`, recorded at `message`."""
    accounts = await accounts_of(db, by)
    before = await db.scalar(_SAME, {"message": message, "accounts": accounts})
    own = await db.execute(_OWN, {"accounts": accounts})
    return ReportContext(
        cases=await cases_with(db, event),
        before=int(before or 0),
        pause=await report_pause(db, by, room, now_ms),
        accounts=accounts,
        filed=await _filed(db, accounts, room, now_ms - settings.misuse_within),
        messages={n: int(count) for n, count in own},
        lead=await _lead(db, accounts, room, now_ms - settings.together_within),
    )


async def _filed(db: AsyncConnection, accounts: Sequence[UserId], room: RoomId, since: int) -> tuple[Filed, ...]:
    """Return the cases that a person reported since a time, in any room, with the outcome as it counts in `room`."""
    here = (await place_of(db, room)).community
    rows = await db.execute(_FILED, {"accounts": accounts, "since": since})
    return tuple(Filed(n, int(at), outcome if where == here else ELSEWHERE) for n, at, outcome, where in rows)


async def _lead(db: AsyncConnection, accounts: Sequence[UserId], room: RoomId, since: int) -> CaseView | None:
    """Return the newest undecided case with its own card that a person's report opened in a room."""
    n = await db.scalar(_LEAD, {"accounts": accounts, "since": since, "room": room})
    return await case_view(db, n) if n else None


async def open_reports_by(db: AsyncConnection, user: UserId, room: RoomId) -> tuple[int, ...]:
    """Return the undecided cases of a room that rest on what one person reported, oldest first."""
    return tuple(row.n for row in await _waiting(db, await accounts_of(db, user), room))


async def reports_paused(db: AsyncConnection, n: int, room: RoomId, now_ms: int) -> bool:
    """Return whether all who reported case `n` are paused in the room now; False if nobody reported it."""
    users = await reporters_of(db, n)
    pauses = [await report_pause(db, user, room, now_ms) for user in users]
    return bool(pauses) and None not in pauses


async def report_pause(db: AsyncConnection, user: UserId, room: RoomId, now_ms: int) -> Pause | None:
    """Return until when somebody may not report in a room; None if they may."""
    rows = await db.execute(_PAUSED, {"accounts": await accounts_of(db, user), "room": room, "now": now_ms})
    return next((Pause(*row) for row in rows), None)


async def reported_case(db: AsyncConnection, n: int, *, now_ms: int, settings: ReportSettings) -> ReportedCase | None:
    """Return what is known of the reporters when case `n` is decided or late; None if no member reported it."""
    case = await case_view(db, n)
    if case is None or case.rule != REPORTED:
        return None
    since = now_ms - settings.misuse_within
    reporters = [await _reporter(db, user, case, since, now_ms) for user in await reporters_of(db, n)]
    return ReportedCase(tuple(reporters), await _misuse_about(db, n))


LATE = ("overdue", "escalated_owner", "escalated_operator")


async def _undecided(db: AsyncConnection, accounts: Sequence[UserId], case: CaseView) -> int:
    """Return how many cases that a person reported in the room of `case` are past their deadline, `case` included."""
    waiting = await _waiting(db, accounts, case.room)
    late = {row.n for row in waiting if row.state in LATE} | {case.n}
    return sum(row.n in late or row.lead in late for row in waiting)


async def _waiting(db: AsyncConnection, accounts: Sequence[UserId], room: RoomId) -> Sequence[Any]:
    """Return the undecided cases of a room that a person reported, oldest first."""
    r, c = schema.reports.c, schema.cases.c
    theirs = c.n.in_(select(r.n).where(r.by.in_(accounts)))
    undecided = (c.room == room, c.rule == REPORTED, c.outcome == "", theirs)
    return (await db.execute(select(c.n, c.lead, c.state).where(*undecided).order_by(c.n))).all()


async def _reporter(db: AsyncConnection, user: UserId, case: CaseView, since: int, now_ms: int) -> Reporter:
    r, c, s = schema.reports.c, schema.cases.c, schema.sanctions.c
    accounts = await accounts_of(db, user)
    measures = select(func.max(s.at)).join(schema.cases, c.n == s.n).where(_stands(MISUSE))
    theirs = {"accounts": accounts, "room": case.room}
    paused = int(await db.scalar(measures.where(s.until > 0), theirs) or 0)
    warned = int(await db.scalar(measures.where(s.until == 0), theirs) or 0)
    since = max(since, paused + 1)
    dismissed = await db.scalar(
        select(func.count(func.distinct(r.n)))
        .join(schema.cases, c.n == r.n)
        .where(
            r.by.in_(accounts),
            r.at >= since,
            r.at <= c.decided,  # a later report was of a case already decided
            r.n != case.n,
            c.rule == REPORTED,
            c.room == case.room,
            c.outcome == "dismissed",
            c.state != "reversed",  # somebody had upheld it
        )
    )
    return Reporter(
        user,
        dismissed=int(dismissed or 0),
        warned=warned >= since,
        undecided=await _undecided(db, accounts, case),
        paused=await report_pause(db, user, case.room, now_ms) is not None,
    )


async def _misuse_about(db: AsyncConnection, n: int) -> tuple[CaseView, ...]:
    c = schema.cases.c
    brought = select(c.n).where(c.about == n, c.rule.in_(PAUSES_REPORTS), c.outcome == "upheld")
    return await cases_of_query(db, brought.order_by(c.n))
