"""Desired state of a room's server ACL: servers that the people of the room let in no longer.

Matrix specification, client-server API, "Server Access Control Lists".

Rules kept here:
- Only entries of `deny` are added, and only those that the bot added are taken out again. Everything else in the event
  stays as it is. So what others changed meanwhile is not lost when a denial ends.
- Where there is no event, the new one lets in all others: without `allow` it would shut out everybody.
- A pattern matches neither an IP address by mistake nor half of the world: it ends in a name with at least one dot,
  and the part before the last dot has a letter or digit of its own.
- No pattern matches the server of the bot, of an operator, or of somebody who runs the room.
- The event stays below the size that every homeserver takes: what does not fit any more is not written, and people are
  told. What was denied first stays.
- An entry changed by hand is respected as `align_people.py` does.

Pure. Left to others: reading and writing the room (`bot/effects/server_acl.py`), who may order it (`measures.py`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from moderation.model.context import InForce
from moderation.values.errors import Refused
from moderation.values.ids import NO_USER, UserId, server_of
from moderation.values.notices import Code

from .align_people import Alignment, Change, KeptLevel, Thing, settle

KEPT = "acl "  # how the `what` of a kept entry begins, before the server
MOST_SERVERS = 1_000  # denied in one room at once: Synapse takes 20 us for each event of a server to compare them
MOST_BYTES = 48 << 10  # of the content; an event has at most 64 KiB (client-server API, "Size limits")
DENIED, OPEN = "deny", "-"  # the values of an entry

Content = Mapping[str, object]
_NEW: Content = {"allow": ["*"], "deny": [], "allow_ip_literals": True}  # where there was no event

_PATTERN = re.compile(r"[a-z0-9.*?-]{1,230}\Z", re.ASCII)
_ADDRESS = re.compile(r"[0-9.]+\Z|\[|[0-9a-f:.]*:[0-9a-f:.]*\Z", re.ASCII)  # IPv4, or IPv6 in brackets or without
_PORT = re.compile(r":\d{1,5}\Z", re.ASCII)


def server_pattern(text: str) -> str:
    """Return a server name or a glob over server names, as the ACL has it. Raises `Refused` if it may not be denied."""
    pattern = _without_port(text.lower())
    if _ADDRESS.match(pattern):
        raise Refused("error.acl.address", given=text[:60])
    *names, last = pattern.split(".")
    if not _PATTERN.match(pattern) or not names or not all(pattern.split(".")):
        raise Refused("error.acl.form", given=text[:60])
    if not re.search("[a-z]", last) or re.search("[*?]", last) or not re.search("[a-z0-9]", names[-1]):
        raise Refused("error.acl.wide", given=text[:60])
    return pattern


def _without_port(server: str) -> str:
    return server if server.endswith("]") else _PORT.sub("", server)


def on_server(people: Iterable[UserId], pattern: str) -> Iterator[UserId]:
    """Yield the people whose servers a pattern matches."""
    return (user for user in people if fnmatchcase(_without_port(server_of(user).lower()), pattern))


def is_denied(server: str, patterns: Iterable[str]) -> bool:
    """Tell whether one of the patterns matches a server."""
    name = _without_port(server.lower())
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def must_spare(pattern: str, bot: UserId, spared: Iterable[UserId], in_force: Iterable[InForce]) -> None:
    """Raise `Refused` if a pattern matches the server of the bot or of `spared`, or too many are denied already."""
    if sum(each.kind == "server" for each in in_force) >= MOST_SERVERS:
        raise Refused("error.acl.many", limit=MOST_SERVERS)
    if any(on_server((bot,), pattern)):
        raise Refused("error.acl.own", server=Code(pattern))
    if (who := next(on_server(spared, pattern), None)) is not None:
        raise Refused("error.acl.spared", server=Code(pattern), who=who)


def align_servers(
    content: Content | None, wanted: Iterable[str], kept: Mapping[str, KeptLevel], *, may: bool
) -> Alignment:
    """Return the difference between the servers that should be denied and the content of the room's ACL.

    `wanted`: in the order in which they were denied; `kept`: what the bot keeps for each server; `may`: whether it has
    the level to change the ACL.
    """
    wanted, denied = dict.fromkeys(wanted), set(_denied(content))
    changes: list[Change] = []
    impossible: set[str] = set()
    left = MOST_BYTES - _bytes_of(_NEW if content is None else content)
    for server in (*wanted, *sorted(kept.keys() - wanted.keys())):
        thing = Thing(
            NO_USER,
            KEPT + server,
            DENIED if server in denied else OPEN,
            kept.get(server),
            may=lambda _: may,
            may_not=("denied", "allowed"),
        )
        change = settle(thing, DENIED if server in wanted else None)
        if isinstance(change, Change):
            adds = _bytes_of([server]) if change.write and change.step != "released" else 0
            if adds > left:
                impossible.add("full")
                continue
            left -= adds
            changes.append(change)
        elif change is not None:
            impossible.add(change)
    return Alignment(tuple(changes), tuple((NO_USER, each) for each in sorted(impossible)))


def with_changes(content: Content | None, alignment: Alignment) -> dict[str, object]:
    """Return the content of the ACL with these changes."""
    writes = {change.what.removeprefix(KEPT): change for change in alignment.changes if change.write}
    ended = {server for server, change in writes.items() if change.step == "released"}
    deny = [each for each in _entries(content) if not (isinstance(each, str) and each.lower() in ended)]
    deny += sorted(writes.keys() - ended - set(_denied(content)))
    return {**(_NEW if content is None else content), "deny": deny}


def _bytes_of(value: object) -> int:
    """Return how many bytes a value takes as JSON, or some more."""
    if isinstance(value, Mapping):
        return 2 + sum(_bytes_of(name) + _bytes_of(each) + 2 for name, each in value.items())
    if isinstance(value, list):
        return 2 + sum(_bytes_of(each) + 1 for each in value)
    return 2 + len(str(value).encode(errors="replace"))


def _entries(content: Content | None) -> list[object]:
    deny = (content or {}).get("deny")
    return list(deny) if isinstance(deny, list) else []


def _denied(content: Content | None) -> Iterator[str]:
    return (each.lower() for each in _entries(content) if isinstance(each, str))
