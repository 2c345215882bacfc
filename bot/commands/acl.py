"""acl: servers that a room lets in no longer.

Rules kept here:
- People order only what they could write into the room's server ACL by hand; an operator, anywhere.
- If people of the room are on a server, its denial shuts them out. So the answer says how many, and the order has to
  repeat that number.

Left to others: which servers may be denied at all, and what is written (`moderation/rooms/server_acl.py`).
"""

from moderation.duty.responsibility import require
from moderation.rooms import measures as room_measures
from moderation.rooms.server_acl import MOST_SERVERS, on_server, server_pattern
from moderation.values.durations import parse_duration
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from moderation.values.notices import Code, Line, Moment, Phrase, RoomName, Who, line
from storage import queries

from .invocation import Call, Command, Reply
from .parse import MAX_REASON
from .room import noticed

DENY = ("deny", "拒绝")
ALLOW = ("allow", "放行")
LIST = ("", "list", "列表")


async def acl(call: Call) -> Reply:
    """Show the servers that are denied; `deny SERVER` adds one, `allow SERVER` takes it out again."""
    word = call.given.word.lower()
    if word in LIST and not call.given.text:
        return await _shown(call)
    if word not in DENY + ALLOW:
        raise Refused("error.acl.word", given=call.given.word[:60])
    require("servers", call.caller, call.group, call.policy)
    if not call.given.text:
        raise Refused("error.acl.server")
    server, *rest = call.given.text.split()
    return await _deny(call, server_pattern(server), rest) if word in DENY else await _allow(call, server.lower())


async def _shown(call: Call) -> Reply:
    room, denied = RoomName(call.group.room), await queries.denied_servers(call.db, call.group.room)
    if not denied:
        return Reply((line("acl.none", room=room),), private=True)
    return Reply((line("acl.head", room=room), *(_line(each) for each in denied)), private=True)


def _line(each: queries.DeniedServer) -> Line:
    until = Moment(each.until) if each.until else Phrase("status.no-end")
    why, key = each.reason or "-", "acl.overruled" if each.step == "overruled" else "acl.one"
    return line(key, server=Code(each.server), by=Who(each.by), at=Moment(each.at), until=until, reason=why)


async def _deny(call: Call, server: str, rest: list[str]) -> Reply:
    there = await queries.measures_of_room(call.db, call.group.room)
    if sum(each.kind == "server" for each in there) >= MOST_SERVERS:
        raise Refused("error.acl.many", limit=MOST_SERVERS)
    await _must_spare(call, server)
    await _must_know(call, server, rest)
    duration_ms = _duration(rest)
    duty = await queries.duty_of(call.db, call.group, call.policy.operators, call.now_ms)
    facts = room_measures.order(
        "server",
        by=call.caller,
        room=call.group,
        in_force=there,
        owner=room_measures.answers_for(duty, call.caller),
        n=call.setup.knowledge.next_case,
        until=call.now_ms + duration_ms if duration_ms else 0,
        reason=_reason(rest),
        policy=call.policy,
        on=call.on,
        server=server,
    )
    return noticed(call, facts, line("acl.denied", server=Code(server), room=RoomName(call.group.room)))


async def _must_spare(call: Call, server: str) -> None:
    """Raise `Refused` if a pattern matches the server of the bot, the caller, or somebody who answers for the room."""
    power = call.group.power
    if any(on_server((call.setup.bot,), server)):
        raise Refused("error.acl.own", server=Code(server))
    spared = (call.caller, *sorted(power.owners() | power.managers()), *map(UserId, call.policy.operators))
    if (who := next(on_server(spared, server), None)) is not None:
        raise Refused("error.acl.spared", server=Code(server), who=who)


async def _must_know(call: Call, server: str, rest: list[str]) -> None:
    """Raise `Refused` unless the caller says how many people of the room a denial shuts out; takes that number."""
    members = await queries.memberships(call.db, call.group.room)
    count = sum(1 for _ in on_server((user for user, how in members.items() if how == "join"), server))
    if not count:
        return
    if rest[:1] != [str(count)]:
        typed = Code(f"{call.setup.prefix}acl deny {server} {count}")
        raise Refused("error.acl.people", count=count, server=Code(server), typed=typed)
    rest.pop(0)


def _duration(rest: list[str]) -> int:
    """Take a duration, if there is one; 0: no end."""
    if not rest or not rest[0][0].isdigit():
        return 0
    try:
        return parse_duration(rest.pop(0))
    except ValueError:
        raise Refused("error.duration.form", given=rest[0][:60] if rest else "") from None


def _reason(rest: list[str]) -> str:
    if len(reason := " ".join(rest)) > MAX_REASON:
        raise Refused("error.reason.long", limit=MAX_REASON)
    return reason


async def _allow(call: Call, server: str) -> Reply:
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
    return noticed(call, facts, line("acl.allowed", server=Code(server), room=RoomName(call.group.room)))


SUBJECT = "room"
WORDING = ("error.acl.word", "error.acl.server")
COMMANDS = (Command("acl", "manager", "word? text*", acl, wording=WORDING, deed="servers"),)
