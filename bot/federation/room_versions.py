"""The differences of room versions in hashes, ids and signatures of events, as one table.

Rules this module keeps:
- Versions 1 to 12 are known; any other raises `UnknownRoomVersion`. An unstable version is another version.
- A redaction keeps what the table names, and nothing else. A hash or a signature covers just that.

Left to others: authorisation rules and state resolution, which a policy server does not need.

Specification: "Room versions" v1.19, "Redactions" and "Event IDs" of each version.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from .errors import UnknownRoomVersion

Paths = tuple[tuple[str, ...], ...]  # where in `content` something is kept; a path of two leads into an object

EVERYTHING: Paths = ((),)

_SAYS = ("event_id", "type", "room_id", "sender", "state_key", "content", "origin_server_ts")
_KEPT = frozenset((*_SAYS, "hashes", "signatures", "depth", "prev_events", "auth_events"))
_KEPT_UNTIL_10 = _KEPT | {"prev_state", "origin", "membership"}


def _each(*names: str) -> Paths:
    return tuple((name,) for name in names)


_LEVELS = ["ban", "events", "events_default", "kick", "redact", "state_default", "users", "users_default"]
_V6: Mapping[str, Paths] = {
    "m.room.member": _each("membership"),
    "m.room.create": _each("creator"),
    "m.room.join_rules": _each("join_rule"),
    "m.room.power_levels": _each(*_LEVELS),
    "m.room.history_visibility": _each("history_visibility"),
}
_V1: Mapping[str, Paths] = {**_V6, "m.room.aliases": _each("aliases")}
_V8: Mapping[str, Paths] = {**_V6, "m.room.join_rules": _each("join_rule", "allow")}
_V9: Mapping[str, Paths] = {**_V8, "m.room.member": _each("membership", "join_authorised_via_users_server")}
_V11: Mapping[str, Paths] = {
    **_V9,
    "m.room.member": (*_V9["m.room.member"], ("third_party_invite", "signed")),
    "m.room.create": EVERYTHING,
    "m.room.power_levels": _each("invite", *_LEVELS),
    "m.room.redaction": _each("redacts"),
}


@dataclass(frozen=True, slots=True)
class RoomVersion:
    """A room version: how its events are redacted, and where their ids come from."""

    name: str
    kept: frozenset[str]  # top-level properties that a redaction keeps
    kept_content: Mapping[str, Paths]  # by type; of other types it keeps nothing of `content`
    event_ids: Literal["given", "hash", "url_safe_hash"]
    keys_expire: bool  # a signature counts only if its key was valid at `origin_server_ts`
    restricted: bool  # joining by being in another room; the server that vouches for it signs, too
    room_is_create: bool  # the id of the room is the hash of its m.room.create, which names no room


_1 = RoomVersion("1", _KEPT_UNTIL_10, _V1, "given", keys_expire=False, restricted=False, room_is_create=False)
_3 = replace(_1, name="3", event_ids="hash")
_4 = replace(_3, name="4", event_ids="url_safe_hash")
_5 = replace(_4, name="5", keys_expire=True)
_6 = replace(_5, name="6", kept_content=_V6)
_8 = replace(_6, name="8", kept_content=_V8, restricted=True)
_9 = replace(_8, name="9", kept_content=_V9)
_11 = replace(_9, name="11", kept_content=_V11, kept=_KEPT)

ROOM_VERSIONS: Mapping[str, RoomVersion] = {
    version.name: version
    for version in (
        _1,
        replace(_1, name="2"),
        _3,
        _4,
        _5,
        _6,
        replace(_6, name="7"),
        _8,
        _9,
        replace(_9, name="10"),
        _11,
        replace(_11, name="12", room_is_create=True),
    )
}


def room_version(name: object) -> RoomVersion:
    """Return the version of a name. Raises `UnknownRoomVersion`."""
    version = ROOM_VERSIONS.get(name) if isinstance(name, str) else None
    if version is None:
        raise UnknownRoomVersion(f"room version {str(name)[:40]!r}")
    return version
