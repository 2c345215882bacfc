"""desk: which desk shows the cases of a room, and the owner's choice of another one.

Rules kept here:
- A room joins a desk only if the same people own and run the rooms there, so that nobody reads of a room they do not
  run (`moderation/rooms/desks.py`).
- An owner of the room, or an operator, asks for it.

Left to others: making desks, inviting and removing people (`bot/effects/desk.py`).
"""

from dataclasses import replace

from bot.bot_rooms.shared_desks import desks_to_join, moved
from moderation.duty.responsibility import is_operator, role
from moderation.model.actions.base import Action
from moderation.model.actions.rooms import ListMissing
from moderation.model.context import RoomView
from moderation.model.facts import DeskChosen
from moderation.rooms.desks import obstacle
from moderation.values.errors import Refused
from moderation.values.ids import RoomId, is_group_code
from moderation.values.notices import Code, Line, RoomName, line
from storage import queries

from .invocation import Call, Command, Reply, answered
from .rights import manages, must_manage, which_room

OWN = ("own", "独立")
JOIN = ("join", "合并")
ROOMS = ("rooms", "房间")


async def desk(call: Call) -> Reply:
    """Show the desks of the rooms meant; `own` gives a room one of its own, `join G-CODE` moves it to another's.

    `rooms` tells a desk which rooms of the community the bot is not in.
    """
    word = call.given.word.lower()
    if word in OWN and not call.given.reason:
        return await _own(call)
    if word in JOIN:
        return await _join(call)
    if word in ROOMS and not call.given.reason:
        return await _missing(call)
    if word or call.given.reason:
        raise Refused("error.superfluous", words=f"{call.given.word} {call.given.reason}".strip()[:60])
    lines = [said for room in await _rooms(call) for said in await _shown(call, room)]
    if not lines:
        raise Refused("error.right.manager-nowhere")
    return Reply(tuple(lines), private=True)


async def _shown(call: Call, room: RoomView) -> tuple[Line, ...]:
    used = await queries.desk_used_by(call.db, room.room, call.setup.bot)
    code = room.code
    if used is None:
        return (line("desk.shown.none", room=RoomName(room.room)),)
    if used.is_shared:
        names = await queries.room_names(call.db, [staff.room for staff in used.users])
        others = ", ".join(names[staff.room] for staff in used.users if staff.room != room.room)
        return (line("desk.shown.shared", room=RoomName(room.room), others=others, own=_said(call, f"own {code}")),)
    return (line("desk.shown.own", room=RoomName(room.room)), *await _could(call, room))


async def _could(call: Call, room: RoomView) -> tuple[Line, ...]:
    for found in await desks_to_join(call.db, room, call.setup.bot):
        [other] = await _views(call, (found.users[0].room,))
        join = _said(call, f"join {other.code} {room.code}")
        return (line("desk.shown.could", other=RoomName(other.room), join=join),)
    return ()


async def _missing(call: Call) -> Reply:
    """Tell the desks of the rooms meant, one of each community, where the bot is not."""
    asking = call.policy.communities.asking
    told = {room.community: room for room in await _rooms(call) if asking(room.community) is not None}
    if not told:
        raise Refused("error.desk.no-space")
    lines = tuple(line("desk.done.rooms", room=RoomName(room.room)) for room in told.values())
    return Reply(lines, actions=tuple(ListMissing(room=room.room) for room in told.values()), private=True)


async def _own(call: Call) -> Reply:
    room = call.group
    if room.purpose != "group":
        raise await which_room(call, "desk own")
    await _must_choose(call, room)
    if call.policy.communities.has_one_desk(room.community):
        raise Refused("error.desk.one", room=room.room)
    used = await queries.desk_used_by(call.db, room.room, call.setup.bot)
    if used is not None and not used.is_shared:
        raise Refused("error.desk.own", room=room.room)
    fact = DeskChosen(room=room.room, on=call.on, desk="own", why="asked", by=call.caller)
    actions = await moved(call.db, fact, call.setup.bot)
    return Reply((line("desk.done.own", room=RoomName(room.room)),), (fact,), actions)


async def _join(call: Call) -> Reply:
    """Move rooms to the desk of another room: the second one named, the one this is said in, or those of this desk."""
    other = call.group
    moving = [room for room in await _moving(call) if room.room != other.room]
    if other.purpose != "group" or not moving:
        raise Refused("error.desk.which")
    await must_manage(call, other)
    target = await queries.desk_used_by(call.db, other.room, call.setup.bot)
    if target is None:
        raise Refused("error.desk.unsettled", room=other.room, other=other.room)
    facts: list[DeskChosen] = []
    actions: list[Action] = []
    for room in moving:
        await _must_choose(call, room)
        if (why := obstacle(target, await queries.staff_of(call.db, room, call.setup.bot))) is not None:
            raise Refused(f"error.desk.{why}", room=room.room, other=other.room)
        fact = DeskChosen(room=room.room, on=call.on, desk=target.code, why="asked", by=call.caller)
        facts.append(fact)
        actions += await moved(call.db, fact, call.setup.bot)
    lines = tuple(line("desk.done.join", room=RoomName(room.room), other=RoomName(other.room)) for room in moving)
    said = answered(replace(call, group=moving[0]), Reply(lines))  # where it was asked: the same people run both
    return Reply((), tuple(facts), (*said, *actions))


async def _moving(call: Call) -> list[RoomView]:
    code = call.given.reason.strip().upper()
    if not code:
        return await _said_in(call)
    named = await queries.room_by_code(call.db, code, call.setup.bot) if is_group_code(code) else None
    if named is None or named.purpose != "group" or not await manages(call, named):
        raise Refused("error.group.unknown", code=code[:20])
    return [named]


async def _rooms(call: Call) -> list[RoomView]:
    """Return the rooms meant that the caller runs: the one named, else those of this place, else all."""
    if call.group.purpose == "group":
        meant = [call.group]
    elif call.here.purpose == "desk":
        meant = await _said_in(call)
    else:
        meant = await _views(call, await queries.answers_for(call.db, call.caller))
    return [room for room in meant if await manages(call, room)]


async def _said_in(call: Call) -> list[RoomView]:
    return await _views(call, (call.here.room,) if call.here.purpose == "group" else call.here.serves)


async def _views(call: Call, rooms: tuple[RoomId, ...]) -> list[RoomView]:
    found = [await call.setup.knowledge.room(call.db, room) for room in rooms]
    return [room for room in found if room is not None]


async def _must_choose(call: Call, room: RoomView) -> None:
    await must_manage(call, room)
    if role(call.caller, room) != "owner" and not is_operator(call.caller, call.policy):
        raise Refused("error.right.desk", room=room.room)


def _said(call: Call, words: str) -> Code:
    return Code(f"{call.setup.prefix}desk {words}")


SUBJECT = "room"
COMMANDS = (Command("desk", "manager", "word? reason*", desk, anywhere=True),)
