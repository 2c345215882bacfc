"""report: point the managers to a message, by a reply to it, a link to it, or a reaction under it.

Rules kept here:
- The reporter is in the room of the message, or is an operator.
- Nobody else sees that it was reported, by whom, or what was answered: the command or the reaction is redacted at once
  where possible, and the answer is given in a direct room only.

Left to others: the effect of a report (`moderation/cases/reports.py`), who sees the names
(`bot/texts/report_lines.py`).
"""

import asyncio
from dataclasses import replace

from moderation.cases.reports import ReportedMessage, report
from moderation.model.actions.base import Action
from moderation.model.actions.cards import EditCard
from moderation.model.context import RoomView
from moderation.model.facts import CaseGrew, CaseOpened, Fact, Reported
from moderation.values.errors import Refused
from moderation.values.ids import CaseNumber, EventId, RoomId, UserId
from moderation.values.notices import Line, Moment, RoomName, line
from storage import queries
from storage.projections import POSTED

from .invocation import Call, Command, Reply
from .permalinks import is_link, message_link
from .rights import is_inside


async def run(call: Call) -> Reply:
    """Report a message by a command, with a link or as a reply."""
    first, _, rest = call.given.reason.partition(" ")
    if is_link(first):
        link = message_link(first)
        if link is None:
            raise Refused("error.report.link", given=first[:60])
        return await _file(call, link.event, link.room, rest.strip())
    replied_to: EventId | None = getattr(call.event, "reply_to", None)
    if replied_to is None or call.here.purpose != "group":
        raise Refused("error.report.reply")
    return await _file(call, replied_to, call.here.room, call.given.reason)


async def flag(call: Call, event: EventId) -> Reply:
    """Report a message by a reaction."""
    return await _file(call, event, call.here.room, "")


async def _file(call: Call, event: EventId, room: RoomId | None, reason: str) -> Reply:
    row = await call.setup.known_event(call.db, event)
    if room is None and row is not None:  # the link names the room by an alias
        room = RoomId(row.room)
    group = await _group(call, room)
    if row is None or row.room != group.room or row.kind != POSTED:
        raise Refused("error.report.unknown")
    about = replace(call, group=group)
    facts = report(
        ReportedMessage(event, row.record, await asyncio.to_thread(call.setup.words, group.room, row.record)),
        by=call.caller,
        reason=reason,
        context=await about.context(UserId(row.sender)),
        known=await queries.known_of_report(
            call.db, group.room, event, row.record, call.caller, call.now_ms, call.policy.reports
        ),
        policy=call.policy,
        on=call.on,
    )
    n = CaseNumber(next(fact.n for fact in facts if isinstance(fact, Reported)))
    return Reply(await _acknowledged(about, n, facts), facts, _shown(group.room, n, facts))


async def _group(call: Call, room: RoomId | None) -> RoomView:
    """Return the group a message is in. Raises `Refused` unless the reporter is a member, or an operator."""
    if room is None:
        raise Refused("error.report.unknown")
    group = await call.setup.knowledge.room(call.db, room)
    if group is None or group.purpose != "group" or not group.active:
        raise Refused("error.report.room")
    if not await is_inside(call, room):
        raise Refused("error.report.outside", room=room)
    return group


async def _acknowledged(call: Call, n: CaseNumber, facts: tuple[Fact, ...]) -> tuple[Line, ...]:
    """Tell the reporter when it will be decided, or what was decided already."""
    opened = next((fact for fact in facts if isinstance(fact, CaseOpened)), None)
    case = await queries.case_view(call.db, n) if opened is None else None
    due = opened.due if opened else case.due if case else 0
    if case and case.outcome:
        first = line(f"report.decided.{case.outcome}", n=n, room=RoomName(call.group.room))
    elif due > call.now_ms:
        first = line("report.thanks", n=n, room=RoomName(call.group.room), due=Moment(due))
    else:
        first = line("report.waits", n=n, room=RoomName(call.group.room))
    if call.here.purpose != "group":
        return (first,)
    button = (line("report.button"),) if call.policy.reports.homeserver else ()
    return (first, line("report.stays" if call.here.condition != "protected" else "report.was-seen"), *button)


def _shown(room: RoomId, n: CaseNumber, facts: tuple[Fact, ...]) -> tuple[Action, ...]:
    """Show the report on the card of a case that existed before."""
    if any(isinstance(fact, CaseOpened | CaseGrew) for fact in facts):
        return ()
    return (EditCard(room=room, n=n),)


_WORDING = ("error.report.link", "error.report.reply")
SUBJECT = "reports"
COMMANDS = (Command("report", "everyone", "reason*", run, anywhere=True, discreet=True, wording=_WORDING, first=True),)
