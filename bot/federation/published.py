"""The keys, the version and the answers by which other servers know that a server of ours is there.

Rules this module keeps:
- Values only: nothing is read, sent or kept here.
- An invitation is signed only if it invites our user, its sender's server has signed it, and it comes from there.

Left to others: routes and limits; whether an invitation is taken; the sender's key.

Specification: server-server API v1.19, "Publishing Keys", "Inviting to a room", "Server implementation".
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from moderation.values.ids import EventId, RoomId, UserId, server_of

from .client import ServerIdentity
from .errors import MalformedPdu
from .pdu import Pdu, with_signature_of
from .room_versions import room_version
from .server_keys import ServerKey

VALID_MS = 24 * 3_600_000  # how long what we publish may be kept
MOST_INVITE_BYTES = 2**20  # with the state that comes along


def published_keys(us: ServerIdentity, now: int, retired: Mapping[str, ServerKey] | None = None) -> dict[str, Any]:
    """Return the answer of `/_matrix/key/v2/server`. `retired` are former keys of ours, by id."""
    answer = {
        "server_name": us.server,
        "valid_until_ts": now + VALID_MS,
        "verify_keys": {us.key_id: {"key": us.key.public}},
        "old_verify_keys": {
            key_id: {"key": key.public, "expired_ts": key.until_ms} for key_id, key in (retired or {}).items()
        },
    }
    return us.key.signed(answer, us.server, us.key_id.removeprefix("ed25519:"))


def server_version() -> dict[str, Any]:
    """Return the answer of `/_matrix/federation/v1/version`."""
    return {"server": {"name": "Answerable", "version": version("answerable")}}


def well_known_server(answering: str) -> dict[str, Any]:
    """Return the answer of `/.well-known/matrix/server`: the server, with its port, that answers for this name."""
    return {"m.server": answering}


def devices_of(user: str) -> dict[str, Any]:
    """Return the answer of `/_matrix/federation/v1/user/devices/{userId}`: our users have none."""
    return {"user_id": user, "stream_id": 1, "devices": []}


def received() -> dict[str, Any]:
    """Return the answer of `/_matrix/federation/v1/send/{txnId}`: nothing in it failed."""
    return {"pdus": {}}


def invitation_in(body: Mapping[str, Any], room: str, event_id: str, *, origin: str, user: UserId) -> Pdu:
    """Return the invitation of `user` in the body of a request from `origin`. Raises `MalformedPdu`."""
    event = body.get("event")
    if not isinstance(event, dict):
        raise MalformedPdu("no event")
    pdu = Pdu.of(event, room_version(body.get("room_version")))
    right = {
        "room": pdu.room == RoomId(room),
        "event id": pdu.event_id == EventId(event_id),
        "type": pdu.type == "m.room.member" and pdu.event["content"].get("membership") == "invite",
        "state_key": pdu.state_key == user,
        "sender": server_of(pdu.sender) == origin,
        "content": pdu.has_its_content,
    }
    if wrong := [name for name, holds in right.items() if not holds]:
        raise MalformedPdu(f"no invitation of ours: {', '.join(wrong)}")
    return pdu


def accepted_invitation(pdu: Pdu, us: ServerIdentity) -> dict[str, Any]:
    """Return the answer to an invitation whose signature was checked: the event with our signature as well."""
    return {"event": with_signature_of(pdu, us.server, us.key_id, us.key)}
