"""The lines about reports that the people who handle a case can see.

Rules kept here:
- Reporters are named only to a person who handles the case and asks in private (`!case` in a direct message): the
  person a report is about may become a manager one day, and read what stood in the desk.
- While that person is a manager and the case is open, the words of reporters do not stand there either.

Left to others: the rest of the card (`case_card.py`).
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import CaseView
from moderation.values.ids import RoomId
from moderation.values.notices import Line, Quoted, Who, line
from storage import queries

MAX_SHOWN = 10


def report_lines(reports: Sequence[queries.StoredReport], *, names: bool, words: bool = True) -> tuple[Line, ...]:
    """Say how many reported it, and why, and with `names` who did; nothing if nobody did.

    Without `words` the reasons are left out as well: the person it is about can read along, and would know the
    reporters by their words.
    """
    if not reports:
        return ()
    lines = [line("card.reported", count=queries.how_many(reports))]
    if not words:
        return (*lines, line("card.report-alone"))
    told = [report for report in reports if report.reason or (names and report.by)]
    lines += [_one(report, names=names) for report in told[:MAX_SHOWN]]
    if len(told) > MAX_SHOWN:
        lines.append(line("card.reports-more", count=len(told) - MAX_SHOWN))
    return tuple(lines)


async def reads_along(db: AsyncConnection, case: CaseView, desk: RoomId | None) -> bool:
    """Tell whether a person whom an undecided case is about is in the desk, by any of their accounts."""
    if desk is None or not case.waits:
        return False
    return bool(await queries.joined_of(db, desk, tuple({case.subject, *case.accounts})))


def _one(report: queries.StoredReport, *, names: bool) -> Line:
    if report.channel in ("operator", "mail"):
        contact = report.contact if names and report.contact else "-"
        return line(f"card.report-{report.channel}", reason=Quoted(report.reason or "-"), contact=contact)
    if not names or not report.by:
        return line("card.report-reason", reason=Quoted(report.reason))
    if not report.reason:
        return line("card.reporter", who=Who(report.by))
    return line("card.reporter-reason", who=Who(report.by), reason=Quoted(report.reason))
