"""The word `everywhere` in an order: which rooms it means, and the question before an order for many of them.

Rules kept here:
- Only rooms that the caller is in now count; for operators, all that the bot serves.
- An order for more rooms than `[groups] everywhere_confirm`, or for other shards, whose rooms are not counted here, is
  carried out once the caller has repeated it with the number of the request, within a quarter of an hour. Then nothing
  is asked for another quarter: in a raid, one order follows the other.
- Names of rooms are said only to those who may read of these rooms.

Left to others: in which of the rooms the caller may give the order (`moderation/cases/everywhere.py`).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

from moderation.duty.responsibility import is_operator
from moderation.model.context import RoomView
from moderation.model.facts import DataAsked
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Code, Line, line, room_or_rooms
from storage import queries

from .confirmation import CONFIRM_WITHIN_MS, was_asked
from .invocation import Call, Reply
from .rights import may_read_here

THERE = ("join", "invite", "knock")  # memberships that can be ended
WHAT: Final = "everywhere"


async def rooms_meant(call: Call, *, with_person: UserId | None = None) -> tuple[RoomView, ...]:
    """Return the other groups that an order may be for; with a person only those they are in. None without the word."""
    if not call.given.everywhere:
        return ()
    operator = is_operator(call.caller, call.policy)
    rooms = await (queries.active_groups(call.db) if operator else queries.groups_of(call.db, call.caller, joined=True))
    if with_person is not None:
        theirs = await queries.memberships_of(call.db, with_person)
        rooms = tuple(room for room in rooms if theirs.get(room) in THERE)
    views = [await call.setup.knowledge.room(call.db, room) for room in rooms if room != call.group.room]
    return tuple(view for view in views if view is not None)


async def confirmed(call: Call) -> Call:
    """Return the call; a number behind the word that is not the number of a request begins the reason."""
    number = call.given.request
    if number is None or await was_asked(call, f"{WHAT} {call.group.room}"):
        return call
    reason = f"{number} {call.given.reason}".strip()
    return replace(call, given=replace(call.given, request=None, reason=reason))


async def answer(call: Call, rooms: Sequence[RoomId], reply: Reply, *, beyond: bool = False) -> Reply:
    """Return the reply of an order for these rooms, which they are said in; or the question before it.

    `beyond`: the order goes to other shards, too.
    """
    other = (line("everywhere.shards"),) if beyond else ()
    if not call.given.everywhere:
        return reply
    asked = DataAsked(room=call.group.room, on=call.on, what=WHAT, subject=call.caller)
    if call.given.request is not None:
        reply = replace(reply, facts=(*reply.facts, replace(asked, what="everywhere-confirmed")))
    elif (beyond or len(rooms) > call.policy.groups.everywhere_confirm) and not await _confirmed_lately(call, rooms):
        again = Code(f"{WHAT} {call.on}")
        would = await _where(call, "would", rooms)
        return Reply((would, *other, line("everywhere.again", again=again)), (asked,))
    return replace(reply, lines=(*reply.lines, await _where(call, "done", rooms), *other))


async def _confirmed_lately(call: Call, rooms: Sequence[RoomId]) -> bool:
    where = (*rooms, call.group.room)  # an order for other shards may change nothing here
    return await queries.has_confirmed(call.db, call.caller, where, call.now_ms - CONFIRM_WITHIN_MS)


async def _where(call: Call, what: Literal["would", "done"], rooms: Sequence[RoomId]) -> Line:
    """Say in how many rooms, and name those that all who read the answer may read of."""
    named = [room for room in rooms if await _may_name(call, room)]
    if len(named) < len(rooms):
        return line(f"everywhere.count.{what}", count=len(rooms))
    return line(f"everywhere.named.{what}", count=len(rooms), rooms=room_or_rooms(named))


async def _may_name(call: Call, room: RoomId) -> bool:
    if call.here.purpose == "desk":
        return await may_read_here(call, room)
    return call.here.purpose == "direct"
