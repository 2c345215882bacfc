"""acl: servers that a room, or with `everywhere` each of several, lets in no longer.

Rules kept here:
- People order only what they could write into a room's server ACL by hand; an operator, anywhere.
- If people of the rooms are on a server, its denial shuts them out. So the answer says how many, and the order has to
  repeat that number.
- With `everywhere` a room is left out if the order is not possible there.

Left to others: which servers may be denied at all, and what is written (`moderation/rooms/server_acl.py`).
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from moderation.duty.responsibility import is_operator, require
from moderation.model.facts import CaseOpened, Fact
from moderation.rooms import measures as room_measures
from moderation.rooms.server_acl import must_spare, on_server, server_pattern
from moderation.values.errors import Refused
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Code, Line, Moment, Phrase, RoomName, Who, line
from storage import queries

from . import everywhere
from .invocation import Call, Command, Reply
from .room import noticed

DENY = ("deny", "拒绝")
ALLOW = ("allow", "放行")
LIST = ("", "list", "列表")


async def acl(call: Call) -> Reply:
    """Show the servers that are denied; `deny SERVER` adds one, `allow SERVER` takes it out again."""
    word = call.given.word.lower()
    if word in LIST and not call.given.server:
        return await _shown(call)
    if word not in DENY + ALLOW:
        raise Refused("error.acl.word", given=call.given.word[:60])
    require("servers", call.caller, call.group, call.policy)
    if not call.given.server:
        raise Refused("error.acl.server")
    call = await everywhere.confirmed(call)
    return await (_deny if word in DENY else _allow)(call)


async def _shown(call: Call) -> Reply:
    room, denied = RoomName(call.group.room), await queries.denied_servers(call.db, call.group.room)
    if not denied:
        return Reply((line("acl.none", room=room),), private=True)
    return Reply((line("acl.head", room=room), *(_line(each) for each in denied)), private=True)


def _line(each: queries.DeniedServer) -> Line:
    until = Moment(each.until) if each.until else Phrase("status.no-end")
    key = "one" if each.step == "held" else "overruled" if each.step == "overruled" else "unwritten"
    server, at, why = Code(each.server), Moment(each.at), each.reason or "-"
    if not each.by and each.n:
        return line(f"acl.listed.{key}", server=server, at=at, until=until, n=each.n)
    return line(f"acl.entry.{key}", server=server, by=Who(each.by), at=at, until=until, reason=why)


async def _deny(call: Call) -> Reply:
    server = server_pattern(call.given.server)
    facts = await _in_each(call, lambda there, n: _order(there, server, n))
    await _must_know(call, server, _rooms(facts))
    return await _said(call, facts, line("acl.denied", server=Code(server), room=RoomName(call.group.room)))


async def _allow(call: Call) -> Reply:
    server = call.given.server.lower()
    facts = await _in_each(call, lambda there, _n: _lifted(there, server))
    return await _said(call, facts, line("acl.allowed", server=Code(server), room=RoomName(call.group.room)))


async def _in_each(call: Call, give: Callable[[Call, int], Awaitable[tuple[Fact, ...]]]) -> tuple[Fact, ...]:
    """Give an order here and in the other rooms meant. Raises `Refused`, as here, if it is possible nowhere."""
    facts: tuple[Fact, ...] = ()
    refused: Refused | None = None
    for room in (call.group, *await everywhere.rooms_meant(call)):
        together = room.community == call.group.community or is_operator(call.caller, call.policy)
        if not together:
            continue
        n = call.setup.knowledge.next_case + sum(isinstance(fact, CaseOpened) for fact in facts)
        try:
            facts += await give(replace(call, group=room), n)
        except Refused as error:
            refused = refused or error
    if refused is not None and not facts:
        raise refused
    return facts


async def _order(call: Call, server: str, n: int) -> tuple[Fact, ...]:
    there, power = await queries.measures_of_room(call.db, call.group.room), call.group.power
    spared = (call.caller, *sorted(power.owners() | power.managers()), *map(UserId, call.policy.operators))
    must_spare(server, call.setup.bot, spared, there)
    duty = await queries.duty_of(call.db, call.group, call.policy.operators, call.now_ms)
    return room_measures.order(
        "server",
        by=call.caller,
        room=call.group,
        in_force=there,
        owner=room_measures.answers_for(duty, call.caller),
        n=n,
        until=call.now_ms + call.given.duration_ms if call.given.duration_ms else 0,
        reason=call.given.reason,
        policy=call.policy,
        on=call.on,
        server=server,
    )


async def _lifted(call: Call, server: str) -> tuple[Fact, ...]:
    facts = room_measures.lift(
        ("server",),
        by=call.caller,
        room=call.group,
        in_force=await queries.measures_of_room(call.db, call.group.room),
        policy=call.policy,
        on=call.on,
        deed="servers",
        server=server,
    )
    if not facts:
        raise Refused("error.acl.not-denied", server=Code(server))
    return facts


async def _must_know(call: Call, server: str, rooms: tuple[RoomId, ...]) -> None:
    """Raise `Refused` unless the caller says how many people of these rooms a denial shuts out."""
    there = [await queries.memberships(call.db, room) for room in rooms]
    inside = {user for members in there for user, how in members.items() if how == "join"}
    count, said = sum(1 for _ in on_server(inside, server)), call.given.count or 0
    if count and said != count:
        typed = Code(f"{call.setup.prefix}acl deny {server} {count}")
        raise Refused("error.acl.people", count=count, server=Code(server), typed=typed)
    if said != count:
        raise Refused("error.acl.nobody", count=said, server=Code(server))


async def _said(call: Call, facts: tuple[Fact, ...], said: Line) -> Reply:
    if not call.given.everywhere:
        return noticed(call, facts, said)
    return await everywhere.answer(call, _rooms(facts), Reply((said,), facts))


def _rooms(facts: tuple[Fact, ...]) -> tuple[RoomId, ...]:
    return tuple(dict.fromkeys(fact.room for fact in facts if fact.room is not None))


SUBJECT = "room"
WORDING = ("error.acl.word", "error.acl.server")
COMMANDS = (
    Command(
        "acl", "manager", "word? server? count? duration? everywhere? reason*", acl, wording=WORDING, deed="servers"
    ),
)
