"""adopt: the owner lets the bot become a group's only creator, since nobody can limit the rights of a creator.

Rules kept here:
- Only an owner can ask for it; the operator cannot in their place.
- Everything that will happen is said first. The owner confirms it by the number of the request, within a quarter of an
  hour and for the same room.

Left to others: doing it (`bot/effects/adopt_room.py`).
"""

from moderation.model.actions.rooms import Adopt
from moderation.model.facts import DataAsked
from moderation.values.errors import Refused
from moderation.values.notices import RoomName, Who, line
from storage import queries

from .confirmation import must_have_asked
from .invocation import Call, Command, Reply

TOMBSTONE = "m.room.tombstone"


async def adopt(call: Call) -> Reply:
    """Explain what will happen; with the number of the request, begin it."""
    _must_be_possible(call)
    room = call.group.room
    if call.given.request is None:
        count = (await queries.room_numbers(call.db, room)).members
        asked = DataAsked(room=room, on=call.on, what="adopt", subject=call.caller)
        lines = (
            line("adopt.what", room=RoomName(room), bot=Who(call.setup.bot)),
            line("adopt.levels"),
            line("adopt.people", count=max(count - 1, 0)),
            line("adopt.kept"),
            line("adopt.not-kept"),
            line("adopt.for-good"),
            line("adopt.confirm", n=call.on, code=call.group.code),
        )
        return Reply(lines, (asked,), private=True)
    await must_have_asked(call, "adopt", f"adopt {room}")
    confirmed = DataAsked(room=room, on=call.on, what="adopt-confirmed", subject=call.caller)
    return Reply((line("adopt.begun"),), (confirmed,), (Adopt(room=room, subject=call.caller),), private=True)


def _must_be_possible(call: Call) -> None:
    group, power = call.group, call.group.power
    if power.role(call.caller) != "owner":
        raise Refused("error.right.adopt", room=group.room)
    if group.condition != "protected":
        raise Refused("error.observed", room=group.room)
    if not power.cannot_demote(call.setup.bot, sorted(power.owners() | power.managers())):
        raise Refused("error.adopt.needless")
    if not power.can_send(call.setup.bot, TOMBSTONE, state=True):
        raise Refused("error.adopt.tombstone", level=power.level(call.setup.bot))


SUBJECT = "room"
COMMANDS = (Command("adopt", "manager", "request?", adopt, shown_to="owner", wording=("error.adopt.number",)),)
