"""Plain words in a direct room, and the reactions under the bot's messages there.

Rules kept here:
- Somebody who writes without a command is told once an hour how to ask; more would be a conversation with a machine,
  and two bots could go on for ever.
- A reaction does what its command does, and counts like it. It may stand under any message of the bot.
- An appeal can be lodged once, so ⚖ asks for the reason first. Only a reply to the bot within an hour is taken as one.
"""

from dataclasses import replace

from bot.pipeline.unit_of_work import Answer
from moderation.cases.appeals import lodge
from moderation.model.actions.telling import Guide
from moderation.model.facts import DataAsked
from moderation.values.durations import HOUR_MS
from moderation.values.errors import Refused
from moderation.values.events import MessagePosted
from moderation.values.ids import EventId
from moderation.values.notices import RoomName, RuleText, line
from storage import queries

from .cases import appeal
from .invocation import Call, Reply
from .parse import MAX_REASON, Arguments

KEYS = {Guide.WHY: "why", Guide.APPEAL: "appeal", Guide.DATA: "mydata"}  # each does what this command does


def guide(call: Call) -> Answer:
    """Say how to ask, with reactions to press."""
    event = call.event
    assert isinstance(event, MessagePosted)
    keys = ("guide.head", "guide.why", "guide.appeal", "guide.data", "guide.more")
    said = tuple(line(key) for key in keys)
    return Answer(actions=(Guide(room=call.here.room, subject=call.caller, lines=said, reply_to=event.event),))


async def ask_reason(call: Call) -> Reply:
    """Ask for the reason of an appeal in the newest case about the caller. Raises `Refused` if there can be none."""
    n = await queries.newest_case_of(call.db, call.caller)
    found = await queries.case_view(call.db, n) if n else None
    if found is None:
        return Reply((line("why.none"),), private=True)
    lodge(found, by=call.caller, words="-", now_ms=call.now_ms, policy=call.policy, on=call.on)
    asked = DataAsked(room=found.room, on=call.on, what="appeal", subject=call.caller)
    ask = line("guide.reason", n=n, room=RoomName(found.room), rule=RuleText(found.rule))
    return Reply((ask,), (asked,), private=True)


async def reason_given(call: Call) -> Reply | None:
    """Lodge the appeal whose reason was asked for, if the message is a reply to the bot; else return None."""
    event = call.event
    if not isinstance(event, MessagePosted) or not await answers_bot(call, event.reply_to):
        return None
    asked_ms = await queries.last_asked(call.db, call.caller, "appeal", call.now_ms - HOUR_MS)
    n = await queries.newest_case_of(call.db, call.caller, asked_ms) if asked_ms else 0
    if not n:
        return None
    if len(event.body) > MAX_REASON:
        raise Refused("error.reason.long", limit=MAX_REASON)
    return await appeal(replace(call, given=Arguments(case=n, reason=event.body)))


async def answers_bot(call: Call, target: EventId | None) -> bool:
    """Tell whether an event of this room was sent by the bot."""
    row = await queries.event_row(call.db, target) if target else None
    return row is not None and row.room == call.here.room and row.sender == call.setup.bot
