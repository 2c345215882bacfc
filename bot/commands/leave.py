"""leave: the owner sends the bot away from a group.

Rules kept here:
- An owner or an operator asks for it. While a measure of the operator, or one that neglect brought, holds for the
  group, only an operator can: leaving would lift it.
- Everything that will happen is said first. It is confirmed by the number of the request, within a quarter of an hour
  and for the same room.

Left to others: doing it (`bot/effects/leave_room.py`).
"""

from moderation.duty.responsibility import is_operator
from moderation.model.facts import DataAsked
from moderation.values.errors import Refused
from moderation.values.notices import Code, RoomName, line
from storage import queries

from .confirmation import must_have_asked
from .invocation import Call, Command, Reply


async def leave(call: Call) -> Reply:
    """Explain what will happen; with the number of the request, begin it."""
    room = call.group.room
    if call.group.power.role(call.caller) != "owner" and not is_operator(call.caller, call.policy):
        raise Refused("error.right.leave", room=room)
    if not is_operator(call.caller, call.policy) and any(
        each.n for each in await queries.measures_of_room(call.db, room)
    ):
        raise Refused("error.leave.measure", room=room, status=Code(f"{call.setup.prefix}status"))
    if call.given.request is None:
        asked = DataAsked(room=room, on=call.on, what="leave", subject=call.caller)
        lines = (
            line("leave.what", room=RoomName(room)),
            line("leave.levels"),
            line("leave.cases", count=(await queries.room_numbers(call.db, room)).open_cases),
            line("leave.kept"),
            line("leave.confirm", n=call.on, code=call.group.code),
        )
        return Reply(lines, (asked,), private=True)
    await must_have_asked(call, "leave", f"leave {room}")
    confirmed = DataAsked(room=room, on=call.on, what="leave-confirmed", subject=call.caller)
    return Reply((line("leave.begun", room=RoomName(room)),), (confirmed,), private=True)


SUBJECT = "room"
COMMANDS = (Command("leave", "manager", "request?", leave, shown_to="owner", wording=("error.leave.number",)),)
