"""A look at a policy server from outside, as homeservers and clients find it by its name.

Rules this module keeps:
- Each page is asked where others ask for it: the key for rooms at the name itself, the rest where the name leads.
- What is found is said as a value; nothing is raised, whatever answers there.

Left to others: what follows (`bot/cli/check/policy_server.py`, the bot's watch).

Specification: server-server API v1.19, "Policy Servers", "Publishing Keys"; client-server API v1.19, "Policy Servers".
"""

from dataclasses import dataclass
from typing import Literal

from bot.crypto.encoding import MalformedKey, object_of, parse
from bot.runtime.clock import wall_clock

from .client import KEYS
from .connections import Connections, Destination, ServerReply
from .errors import MalformedPdu, ServerUnreachable
from .resolve import ServerResolver
from .server_keys import keys_in
from .server_names import parse_server_name

POLICY_WELL_KNOWN = "/.well-known/matrix/policy_server"
OutsideProblem = Literal[
    "", "unreachable", "unwell", "wrong_page", "wrong_server", "no_key", "other_key", "open_figures"
]
_HTTPS = 443
_MOST_BYTES = 65_536
_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class PolicyServerSeen:
    """The result of a look at a policy server. `problem` is "" if all is well; `why` has details of an error."""

    problem: OutsideProblem = ""
    why: str = ""
    event_key: str = ""


async def look_from_outside(
    name: str, health_path: str, figures_path: str, event_key: str, connections: Connections
) -> PolicyServerSeen:
    """Return what answers under the name of a policy server whose key for events is `event_key`.

    `figures_path`: the page that is for its own machine alone.
    """
    resolver = ServerResolver(connections)
    try:
        seen = await seen_by_homeservers(name, health_path, connections, resolver)
        if not seen.problem:
            seen = _of_key(await _asked(connections, _itself(name), POLICY_WELL_KNOWN), event_key)
        if not seen.problem and (await _asked(connections, await resolver.resolve(name), figures_path)).status == 200:
            return PolicyServerSeen("open_figures")
        return seen
    except ServerUnreachable as error:
        return PolicyServerSeen("unreachable", str(error))
    finally:
        await resolver.close()


async def seen_by_homeservers(
    name: str, health_path: str, connections: Connections, resolver: ServerResolver
) -> PolicyServerSeen:
    """Return what homeservers find under the name: whether our policy server answers there, and is well."""
    try:
        where = await resolver.resolve(name)
        if (found := _healthy(await _asked(connections, where, health_path))) is not None:
            return found
        keys_in((await _asked(connections, where, KEYS)).body, name, wall_clock())
    except MalformedPdu as error:
        return PolicyServerSeen("wrong_server", str(error))
    except ServerUnreachable as error:
        return PolicyServerSeen("unreachable", str(error))
    return PolicyServerSeen()


async def _asked(connections: Connections, where: Destination, path: str) -> ServerReply:
    return await connections.ask(where, "GET", path, most_bytes=_MOST_BYTES, within_s=_WITHIN_S)


def _itself(name: str) -> Destination:
    """Return where a name is reached by https, without looking up who answers for it."""
    parts = parse_server_name(name)
    assert parts is not None, "the configuration has checked it"
    return Destination(parts.host, parts.port or _HTTPS, name, parts.host)


def _healthy(reply: ServerReply) -> PolicyServerSeen | None:
    """Return what is wrong with the page of health; None if all is well."""
    try:
        said = parse(reply.body).get("healthy")
    except MalformedKey:
        said = None
    if not isinstance(said, bool):
        return PolicyServerSeen("wrong_page", str(reply.status))
    return None if said and reply.status == 200 else PolicyServerSeen("unwell", str(reply.status))


def _of_key(reply: ServerReply, event_key: str) -> PolicyServerSeen:
    try:
        found = object_of(parse(reply.body).get("public_keys")).get("ed25519")
    except MalformedKey:
        found = None
    if reply.status != 200 or not isinstance(found, str):
        return PolicyServerSeen("no_key", str(reply.status))
    return PolicyServerSeen("" if found == event_key else "other_key", event_key=found)
