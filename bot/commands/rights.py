"""The check whether a caller manages a group now, the same for commands and reactions."""

from moderation.duty.responsibility import KNOWN_FOR_MS, Deed, is_manager, is_operator, not_a_manager, require
from moderation.model.context import RoomView
from moderation.rooms.desks import may_show
from moderation.values.errors import Refused
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Code
from storage import queries

from .invocation import Call

MOST_ROOMS = 20  # that are listed


async def must_manage(call: Call, group: RoomView) -> None:
    """Raise `Refused` unless the caller manages `group` and is in it: a ban leaves the power level as it was."""
    if not await manages(call, group):
        raise not_a_manager(call.caller, group)


async def must_have(call: Call, deed: Deed) -> None:
    """Raise `Refused` unless the caller has this right of managers in the group concerned, and is in it."""
    require(deed, call.caller, call.group, call.policy)
    await must_manage(call, call.group)


async def must_be_known_here(call: Call, user: UserId) -> None:
    """Raise `Refused` unless `user` is in the group, or was within 30 days; operators may ask about anybody.

    The words are the same for people the bot knows from elsewhere and for people it does not know.
    """
    if user == call.caller or is_operator(call.caller, call.policy):
        return
    if not await queries.is_or_was_in(call.db, call.group.room, user, call.now_ms - KNOWN_FOR_MS):
        raise Refused("error.target.not-here", who=user, room=call.group.room)


async def which_room(call: Call, said: str) -> Refused:
    """Return the refusal that asks which room a command is about, with an example."""
    # In a desk its rooms alone: the others there may not even know of more.
    own = call.here.serves if call.here.purpose == "desk" else await queries.groups_of(call.db, call.caller)
    if not own and is_operator(call.caller, call.policy):
        own = tuple(await queries.active_groups(call.db))
    if not own:
        return Refused("error.group.none")
    names = await queries.room_names(call.db, own[:MOST_ROOMS])
    first = await call.setup.knowledge.room(call.db, own[0])
    command = Code(f"{call.setup.prefix}{said} {first.code if first is not None else ''}".strip())
    return Refused("error.group.which", command=command, rooms="; ".join(names.values()))


async def may_read_here(call: Call, room: RoomId) -> bool:
    """Tell whether everybody in the desk in which the command is given may read of a room."""
    desk = await queries.desk_used_by(call.db, room, call.setup.bot)
    return desk is not None and desk.room == call.here.room and (not desk.was_shared or may_show(desk, room))


async def manages(call: Call, group: RoomView) -> bool:
    """Tell whether the caller manages `group` and is in it, or is an operator."""
    return is_manager(call.caller, group, call.policy) and await is_inside(call, group.room)


async def is_inside(call: Call, room: RoomId) -> bool:
    """Tell whether the caller is in a room now, or is an operator."""
    if is_operator(call.caller, call.policy):
        return True
    return (await queries.memberships_of(call.db, call.caller)).get(room) == "join"
