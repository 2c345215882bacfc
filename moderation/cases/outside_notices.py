"""Notices from outside: by people without an account, by letter, by mail, or given to the operator.

Rules kept here:
- A notice of a recorded message joins or opens a case as a member's report does.
- A notice that names only a room opens a case about nobody, for the people who run the room to look at.
- The number of notices for a room in a day is limited, since nobody can tell who is behind an address.

Pure. Left to others: reading a mail (`bot/cli/mail_notice.py`), finding the room and the message
(`bot/admin/reports.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from moderation.model.builtin_rules import OUTSIDE
from moderation.model.context import CaseView, Context, RoomView
from moderation.model.facts import CaseOpened, Fact, Reported
from moderation.model.facts.cases import Channel
from moderation.policy import Policy
from moderation.values.errors import Refused
from moderation.values.ids import UserId

from .reports import ReportedMessage, case_about, open_report

NOBODY = UserId("")


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice from outside: its words, its channel, a contact for the answer, and the person who entered it."""

    words: str
    channel: Channel
    contact: str = ""
    reader: str = ""


def of_message(
    notice: Notice, message: ReportedMessage, *, context: Context, cases: Sequence[CaseView], policy: Policy
) -> tuple[Fact, ...]:
    """Return the facts of a notice of a recorded message; `cases` are those that have the message."""
    if context.subject.user == context.bot:
        raise Refused("error.report.bot")
    case = case_about(cases)
    n = case.n if case else context.next_case
    reported = _reported(notice, context.room, n, message.record, context.subject.user)
    return (reported,) if case else (open_report(message, context, policy, -1), reported)


def of_room(notice: Notice, *, room: RoomView, n: int, now_ms: int, policy: Policy) -> tuple[Fact, ...]:
    """Return the facts of a notice that names only a room."""
    case = CaseOpened(
        room=room.room,
        n=n,
        rule=OUTSIDE,
        grade=policy.reports.grade,
        decide="manager",
        state="open",
        due=now_ms + policy.cases.deadlines.of(policy.reports.grade),
    )
    return (case, _reported(notice, room, n, -1, NOBODY))


def _reported(notice: Notice, room: RoomView, n: int, message: int, subject: UserId) -> Reported:
    return Reported(
        room=room.room,
        n=n,
        message=message,
        subject=subject,
        channel=notice.channel,
        words=notice.words,
        contact=notice.contact,
        reader=notice.reader,
    )


def refuse_too_many(today: int, policy: Policy, room: RoomView) -> None:
    """Raise `Refused` if a room has had as many notices from outside in a day as are allowed."""
    limit = policy.reports.outside_a_day
    if 0 < limit <= today:
        raise Refused("cli.report.enough", code=room.code, limit=limit)
