"""list: servers that policy lists no longer touch in a room (`!list spare bad.example reason`).

Rules kept here:
- It takes the right to change the room's server ACL by hand, and counts as far as the word of the caller reaches.
- It ends the denials that rest on lists alone, there and in the other rooms that the word reaches. What people here
  decided or ordered it leaves alone.

Left to others: people who are spared (`lists.py`), what an entry brings (`moderation/lists/server_entries.py`).
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Literal

from moderation.duty.responsibility import is_operator, require
from moderation.lists.matching import Watch
from moderation.model.actions.lists import MatchAgain
from moderation.model.builtin_rules import LISTED_SERVER
from moderation.model.facts import Fact, ListSpared
from moderation.model.reach import DEPLOYMENT, holds_in, reach_of
from moderation.rooms.server_acl import server_pattern
from moderation.values.errors import Refused
from moderation.values.notices import Code, line
from storage import queries

from .invocation import Call, Reply


def server_named(call: Call) -> str:
    """Return the server that a command names where a person could stand; "" if it names none."""
    word = next(iter(call.given.reason.split()), "")
    if call.given.user is not None or "." not in word:
        return ""
    try:
        return server_pattern(word)
    except Refused:
        return ""


async def spare(call: Call, server: str, here: Iterable[Watch]) -> Reply:
    """Spare a server from these lists, and end its denials that rest on such lists alone."""
    require("servers", call.caller, call.group, call.policy)
    if len(call.given.reason.split()) < 2:
        raise Refused("error.list.reason")
    names, known = [each.name for each in here if each.acl], await queries.servers_spared(call.db, call.group)
    spared = _facts(call, server, [name for name in names if server not in known.get(name, ())], "spared")
    facts = (*spared, *await _ends(call, server))
    if not facts:
        raise Refused("error.list.server-spared" if names else "error.list.no-servers", server=Code(server))
    return Reply((line("policy-list.server-spared", server=Code(server), lists=", ".join(names)),), facts)


async def unspare(call: Call, server: str) -> Reply:
    """Let lists touch a server again that a command or the decision of a case spared."""
    require("servers", call.caller, call.group, call.policy)
    known = await queries.servers_spared(call.db, call.group)
    of_server = {name: servers[server] for name, servers in known.items() if server in servers}
    above = not is_operator(call.caller, call.policy) and call.group.community != DEPLOYMENT
    mine = [name for name, each in of_server.items() if each.reach != DEPLOYMENT or not above]
    if not mine:
        raise Refused(f"error.list.server-{'operators' if of_server else 'not-spared'}", server=Code(server))
    facts = _facts(call, server, mine, "unspared")
    return Reply(
        (line("policy-list.server-unspared", server=Code(server)),), facts, (MatchAgain(room=call.group.room),)
    )


async def _ends(call: Call, server: str) -> tuple[Fact, ...]:
    """Return the ends of the denials that mean a server, in the rooms that the word of the caller reaches."""
    reach = reach_of(call.caller, LISTED_SERVER, call.group.community, call.policy)
    ends: list[Fact] = []
    for held in await queries.denied_by_lists(call.db):
        room = await call.setup.knowledge.room(call.db, held.room) if held.room else None
        if room is None or not fnmatchcase(server, held.server):
            continue
        if reach == DEPLOYMENT or holds_in(room, call.group.room, reach):
            ends.append(held.end("command", on=call.on, by=call.caller))
    return tuple(ends)


def _facts(call: Call, server: str, names: Iterable[str], step: Literal["spared", "unspared"]) -> tuple[Fact, ...]:
    return tuple(
        ListSpared(
            room=call.group.room,
            on=call.on,
            step=step,
            list=name,
            reach=reach_of(call.caller, LISTED_SERVER, call.group.community, call.policy),
            by=call.caller,
            reason=" ".join(call.given.reason.split()[1:]),
            server=server,
        )
        for name in names
    )
