"""The callbacks of `synapse-http-antispam` 0.5, read: what Synapse asks, as the decisions need it.

  check_event_for_spam       {"event": ...}: somebody on this server sends an event, or another server delivers one
  user_may_join_room         {"user", "room", "is_invited"}: somebody on this server wants to come in, or is in the room
                             and changes their name
  accept_make_join           {"user", "room"}: the same for somebody on another server (only in a fork of Synapse)
  user_may_invite            {"inviter", "invitee", "room_id"}
  federated_user_may_invite  {"event": ...}: the invitation of somebody on another server
  ping                       {"id"}

Rules kept here:
- What cannot be read is no question, and goes through; so does every other callback.
- The event is in the form in which clients get events, with its id; without hashes and signatures.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from bot.events.parse_fields import object_of, room_id_of, user_id_of
from moderation.values.events import Json
from moderation.values.ids import RoomId, UserId


@dataclass(frozen=True, slots=True)
class Ping:
    """The module sees whether we are there."""

    id: str


@dataclass(frozen=True, slots=True)
class DoorQuestion:
    """`user` wants to come into a room or, if `by` is somebody, is to be invited by them."""

    user: UserId
    room: RoomId
    by: UserId | None = None
    invited: bool = False  # somebody has invited them before


@dataclass(frozen=True, slots=True)
class EventQuestion:
    """An event that is not in its room yet."""

    room: RoomId
    event: Mapping[str, Json]


Question = Ping | DoorQuestion | EventQuestion


def question_of(callback: str, body: bytes) -> Question | None:
    """Return what is asked; None if nothing is, or it cannot be read. Never raises."""
    try:
        fields = object_of(orjson.loads(body))
    except orjson.JSONDecodeError:
        return None
    match callback:
        case "ping":
            given = fields.get("id")
            return Ping(given) if isinstance(given, str) else None
        case "check_event_for_spam":
            event = object_of(fields.get("event"))
            room = room_id_of(event.get("room_id"))
            return EventQuestion(room, event) if room else None
        case "user_may_join_room" | "accept_make_join":
            return _entering(fields.get("user"), fields.get("room"), invited=fields.get("is_invited") is True)
        case "user_may_invite":
            return _entering(fields.get("invitee"), fields.get("room_id"), fields.get("inviter"))
        case "federated_user_may_invite":
            event = object_of(fields.get("event"))
            return _entering(event.get("state_key"), event.get("room_id"), event.get("sender"))
    return None


def _entering(user: Json, room: Json, by: Json = None, *, invited: bool = False) -> DoorQuestion | None:
    who, where = user_id_of(user), room_id_of(room)
    return DoorQuestion(who, where, user_id_of(by), invited) if who and where else None
