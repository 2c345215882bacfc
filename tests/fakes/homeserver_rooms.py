"""The rooms of the simulated homeserver: events in one order, the resulting state, and who may do what.

Rules kept here:
- Events have one global order, and a token contains only the place in it.
- State is what the newest state events say.
- Actions above a user's level are refused as Synapse refuses them; creators in room version 12 are above all levels.
- It shares no code with the product, so that it can prove the product wrong.
Left to others: the form of an answer (`homeserver_answers.py`), requests (`homeserver.py`).

Specification: Matrix client-server API v1.19, "Rooms", "m.room.power_levels"; room versions 10 to 12.
"""

import base64
import os
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.runtime.clock import Clock, wall_clock

Json = dict[str, Any]
Key = tuple[str, str]

SERVER = "simulated.example.org"
VERSION = "12"
INFINITE = 1 << 60
MEMBER = "m.room.member"
_STATES = ("m.room.name", "m.room.power_levels", "m.room.history_visibility", "m.room.canonical_alias")
_NEEDS_50 = dict.fromkeys((*_STATES[:1], "m.room.avatar", "m.room.canonical_alias"), 50)
# What Synapse writes into a new room.
_LEVELS: Json = {
    "users_default": 0,
    "events": {
        "m.room.name": 50,
        "m.room.power_levels": 100,
        "m.room.history_visibility": 100,
        "m.room.canonical_alias": 50,
        "m.room.avatar": 50,
        "m.room.tombstone": 100,
        "m.room.server_acl": 100,
        "m.room.encryption": 100,
    },
    "events_default": 0,
    "state_default": 50,
    "ban": 50,
    "kick": 50,
    "redact": 50,
    "invite": 50,
    "historical": 100,
}
_KEPT_OF_MEMBER = ("membership", "join_authorised_via_users_server")


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, errcode: str, error: str, **more: object) -> None:
        super().__init__(error)
        self.status = status
        self.body: Json = {"errcode": errcode, "error": error, **more}


def forbidden(error: str) -> Refused:
    """Return an error 403 in Synapse's words."""
    return Refused(403, "M_FORBIDDEN", error)


def not_found(error: str) -> Refused:
    """Return an error 404."""
    return Refused(404, "M_NOT_FOUND", error)


@dataclass(slots=True)
class Event:
    """One event as clients see it, and its place."""

    raw: Json
    place: int  # in the order of the whole homeserver
    arrived: float  # monotonic
    before: "Event | None" = None  # the state event that it replaced
    gone: float = 0.0  # when it was redacted; 0: it was not
    txn: tuple[str, str] | None = None  # of which device, under which id

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.raw["event_id"])

    @property
    def key(self) -> Key | None:
        """The type and state key, if it is a state event."""
        return (self.raw["type"], self.raw["state_key"]) if "state_key" in self.raw else None


@dataclass(slots=True)
class Room:
    """One room."""

    id: str
    version: str
    events: list[Event] = field(default_factory=list)
    state: dict[Key, Event] = field(default_factory=dict)  # but memberships
    members: dict[str, Event] = field(default_factory=dict)

    def content(self, type: str, key: str = "") -> Json | None:
        """Return the current content of a state event."""
        found = self.current(type, key)
        return found.raw["content"] if found else None

    def current(self, type: str, key: str = "") -> Event | None:
        """Return the current state event."""
        return self.members.get(key) if type == MEMBER else self.state.get((type, key))

    def membership(self, user: str) -> str:
        """Return a user's membership; "leave" if never seen."""
        found = self.members.get(user)
        return str(found.raw["content"]["membership"]) if found else "leave"

    def joined(self) -> list[str]:
        """Return the joined users."""
        return [user for user, event in self.members.items() if event.raw["content"]["membership"] == "join"]

    @property
    def creator(self) -> str:
        """The creator of the room."""
        return str(self.state["m.room.create", ""].raw["sender"])

    def level(self, user: str) -> int:
        """Return the power level of a user."""
        if self.version == VERSION:
            created = self.content("m.room.create") or {}
            if user in (self.creator, *created.get("additional_creators", ())):
                return INFINITE
        levels = self.content("m.room.power_levels")
        if levels is None:
            return 100 if user == self.creator else 0
        return int(levels.get("users", {}).get(user, levels.get("users_default", 0)))

    def needed(self, type: str, *, state: bool) -> int:
        """Return the level that is needed to send an event type."""
        levels = self.content("m.room.power_levels") or {}
        default = levels.get("state_default", 50) if state else levels.get("events_default", 0)
        return int(levels.get("events", {}).get(type, default))

    def action(self, name: str) -> int:
        """Return the level that is needed to invite, kick, ban or redact."""
        levels = self.content("m.room.power_levels") or {}
        return int(levels.get(name, 0 if name == "invite" else 50))

    def after(self, place: int) -> list[Event]:
        """Return the events after a place."""
        return self.events[self.index(place) :]

    def index(self, place: int) -> int:
        """Return the number of events up to a place."""
        return bisect_right(self.events, place, key=lambda event: event.place)


class World:
    """All rooms, and one order of all that happens in them."""

    def __init__(self, server: str = SERVER, clock: Clock = wall_clock) -> None:
        self.server = server
        self.clock = clock
        self.rooms: dict[str, Room] = {}
        self.aliases: dict[str, str] = {}  # the rooms that they name
        self.order: list[tuple[Room, Event]] = []
        self.rooms_of: dict[str, dict[str, Room]] = {}  # in which somebody is anything
        self.by_id: dict[str, tuple[Room, Event]] = {}
        self.names: dict[str, str] = {}  # display names that people have chosen
        self.pictures: dict[str, str] = {}  # those of their accounts

    # Making.

    def create(self, creator: str, body: Mapping[str, Any]) -> Room:
        """Create a room (section "POST /createRoom")."""
        version = str(body.get("room_version", VERSION))
        room = Room(new_room_id(self, version), version)
        self.rooms[room.id] = room
        creation = {"room_version": version, **body.get("creation_content", {})}
        self.add(room, creator, "m.room.create", creation, "")
        self._join(room, creator)
        private = body.get("preset", "private_chat") != "public_chat"
        self.add(room, creator, "m.room.power_levels", self._first_levels(room, creator, body), "")
        given = {(e["type"], e.get("state_key", "")): e["content"] for e in body.get("initial_state", ())}
        defaults: dict[Key, Json] = {
            ("m.room.join_rules", ""): {"join_rule": "invite" if private else "public"},
            ("m.room.history_visibility", ""): {"history_visibility": "shared"},
        }
        if private:
            defaults["m.room.guest_access", ""] = {"guest_access": "can_join"}
        for (type, key), content in (defaults | given).items():
            self.add(room, creator, type, content, key)
        for name in ("name", "topic"):
            if body.get(name):
                self.add(room, creator, f"m.room.{name}", _named(name, body[name]), "")
        if alias := body.get("room_alias_name"):
            self.aliases[f"#{alias}:{self.server}"] = room.id
            self.add(room, creator, "m.room.canonical_alias", {"alias": f"#{alias}:{self.server}"}, "")
        for user in body.get("invite", ()):
            self.invite(room, creator, user, direct=bool(body.get("is_direct")))
        return room

    def _first_levels(self, room: Room, creator: str, body: Mapping[str, Any]) -> Json:
        users = {} if room.version == VERSION else {creator: 100}
        levels = {"users": users, **_LEVELS, "events": dict(_LEVELS["events"])}
        if body.get("preset", "private_chat") == "private_chat":
            levels["invite"] = 0
        if room.version == VERSION:
            levels["events"]["m.room.tombstone"] = 150
        return {**levels, **body.get("power_level_content_override", {})}

    def add(
        self,
        room: Room,
        sender: str,
        type: str,
        content: Json,
        key: str | None = None,
        *,
        txn: tuple[str, str] | None = None,
        **more: object,
    ) -> Event:
        """Append an event, without checking permissions."""
        raw: Json = {
            "type": type,
            "room_id": room.id,
            "sender": sender,
            "content": content,
            "origin_server_ts": self.clock(),
            "event_id": "$" + _random(32),
            **more,
        }
        if key is not None:
            raw["state_key"] = key
        event = Event(raw, len(self.order) + 1, time.monotonic(), txn=txn)
        if key is not None:
            self._becomes_state(room, event, type, key)
        room.events.append(event)
        self.order.append((room, event))
        self.by_id[event.id] = (room, event)
        return event

    def _becomes_state(self, room: Room, event: Event, type: str, key: str) -> None:
        if type != MEMBER:
            event.before = room.state.get((type, key))
            room.state[type, key] = event
            return
        event.before = room.members.get(key)
        room.members[key] = event
        self.rooms_of.setdefault(key, {})[room.id] = room

    # Doing, as far as one may.

    def room_for(self, user: str, room: str) -> Room:
        """Return a room that `user` has joined. Raises `Refused` otherwise."""
        found = self.rooms.get(room)
        if found is None or found.membership(user) != "join":
            raise forbidden(f"User {user} not in room {room}")
        return found

    def send(self, room: Room, user: str, type: str, content: Json, txn: tuple[str, str] | None = None) -> Event:
        """Send a message event. Raises `Refused`."""
        self._may_send(room, user, room.needed(type, state=False))
        self._relation_must_fit(room, user, content.get("m.relates_to"))
        return self.add(room, user, type, content, txn=txn)

    def _relation_must_fit(self, room: Room, user: str, relation: Json | None) -> None:
        """Refuse a relation as Synapse does: to another room, to what nobody knows, a reaction twice."""
        if not isinstance(relation, dict) or not {"rel_type", "event_id"} <= relation.keys():
            return
        parent = self.by_id.get(relation["event_id"])
        if parent is None:
            raise Refused(400, "M_UNKNOWN", "Can't send relation to unknown event")
        if parent[0] is not room:
            raise Refused(400, "M_UNKNOWN", "Relations must be in the same room")
        if relation["rel_type"] == "m.annotation":
            if "key" not in relation:
                raise Refused(400, "M_UNKNOWN", "Missing aggregation key")
            reaction = (user, relation["event_id"], relation["key"])
            if any(_reaction(event.raw) == reaction for event in room.after(parent[1].place)):
                raise Refused(400, "M_DUPLICATE_ANNOTATION", "Can't send same reaction twice")

    def set_state(self, room: Room, user: str, type: str, key: str, content: Json) -> Event:
        """Send a state event, or return the present one if nothing changes. Raises `Refused`."""
        there = room.members.get(key) if type == MEMBER else room.state.get((type, key))
        if type == MEMBER:
            return self._set_member(room, user, key, content)
        self._may_send(room, user, room.needed(type, state=True))
        if there is not None and there.raw["content"] == content:
            return there
        if type == "m.room.power_levels":
            self._levels_may_change(room, user, content)
        return self.add(room, user, type, content, key)

    def _set_member(self, room: Room, user: str, key: str, content: Json) -> Event:
        wanted = content.get("membership")
        if wanted == "ban":
            self._may_remove(room, user, key, "ban")
        elif key != user:
            self._may_remove(room, user, key, "kick")
        return self.add(room, user, MEMBER, content, key)

    def _levels_may_change(self, room: Room, user: str, content: Json) -> None:
        was = (room.content("m.room.power_levels") or {}).get("users", {})
        now, mine = content.get("users", {}), room.level(user)
        for each in was.keys() | now.keys():
            if was.get(each) == now.get(each):
                continue
            if each != user and was.get(each, 0) >= mine:
                raise forbidden("You don't have permission to remove ops level equal to your own")
            if now.get(each, 0) > mine:
                raise forbidden("You don't have permission to add ops level greater than your own")

    def redact(self, room: Room, user: str, target: str, content: Json, txn: tuple[str, str] | None = None) -> Event:
        """Redact an event (section "Redactions")."""
        found = self.by_id.get(target)
        if found is None or found[0] is not room:
            raise not_found("Could not find event " + target)
        whose = found[1].raw["sender"]
        self._must(
            room, user, room.needed("m.room.redaction", state=False), "You don't have permission to redact events"
        )
        if whose != user and room.level(user) < room.action("redact"):
            raise forbidden("You don't have permission to redact events")
        redaction = self.add(room, user, "m.room.redaction", {**content, "redacts": target}, txn=txn, redacts=target)
        _strip(found[1], redaction)
        return redaction

    def invite(self, room: Room, user: str, whom: str, *, direct: bool = False) -> Event:
        """Invite a user (section "POST /rooms/{roomId}/invite")."""
        self._must(room, user, room.action("invite"), "You don't have permission to invite users")
        if room.membership(whom) == "ban":
            raise forbidden(f"{whom} is banned from the room")
        if room.membership(whom) == "join":
            raise forbidden(f"{whom} is already in the room.")
        content: Json = {"displayname": self.name(whom), "membership": "invite"}
        if direct:
            content["is_direct"] = True
        return self.add(room, user, MEMBER, content, whom)

    def join(self, room: str, user: str) -> Room:
        """Let a user join (section "POST /join/{roomIdOrAlias}")."""
        found = self.rooms.get(room)
        if found is None:
            raise Refused(
                404, "M_UNKNOWN", "Can't join remote room because no servers that are in the room have been provided."
            )
        standing = found.membership(user)
        if standing == "join":
            return found
        if standing == "ban":
            raise Refused(403, "M_BAD_STATE", "Cannot join user who was banned")
        if standing != "invite" and (found.content("m.room.join_rules") or {}).get("join_rule") != "public":
            raise forbidden("You are not invited to this room.")
        self._join(found, user)
        return found

    def knock(self, room: str, user: str, reason: Json) -> Room:
        """Let a user ask to be let in (section "POST /knock/{roomIdOrAlias}")."""
        found = self.rooms.get(room)
        if found is None:
            raise Refused(404, "M_UNKNOWN", "No known servers")
        if found.membership(user) == "ban":
            raise Refused(403, "M_BAD_STATE", "Cannot knock user who was banned")
        if found.membership(user) == "invite":
            raise forbidden("You are already invited to this room")
        if (found.content("m.room.join_rules") or {}).get("join_rule") not in ("knock", "knock_restricted"):
            raise forbidden("You don't have permission to knock")
        self.add(found, user, MEMBER, {"membership": "knock", "displayname": self.name(user), **reason}, user)
        return found

    def _join(self, room: Room, user: str) -> None:
        self.add(room, user, MEMBER, {"membership": "join", "displayname": self.name(user)}, user)

    def name(self, user: str) -> str:
        """Return the display name of a user."""
        return self.names.get(user, user[1:].partition(":")[0])

    def profile(self, user: str) -> Json:
        """Return the name and the picture of a user."""
        return {
            "displayname": self.name(user),
            **({"avatar_url": self.pictures[user]} if user in self.pictures else {}),
        }

    def rename(self, user: str, name: str) -> None:
        """Give a user a display name, in every room too (section "PUT /profile/{userId}/{keyName}")."""
        self.names[user] = name
        for room in self.rooms_of.get(user, {}).values():
            if room.membership(user) == "join":
                self.add(room, user, MEMBER, {**(room.content(MEMBER, user) or {}), "displayname": name}, user)

    def leave(self, room: str, user: str, reason: Json) -> None:
        """Let a user leave (section "POST /rooms/{roomId}/leave")."""
        found = self.rooms.get(room)
        if found is None or found.membership(user) not in ("join", "invite", "knock"):
            raise forbidden(f"User {user} not in room {room}")
        self.add(found, user, MEMBER, {"membership": "leave", **reason}, user)

    def remove(self, room: Room, user: str, whom: str, how: str, reason: Json) -> Event | None:
        """Kick, ban or unban a user."""
        standing = room.membership(whom)
        if how == "unban" and standing != "ban":
            raise Refused(403, "M_BAD_STATE", f"Cannot unban user who was not banned (membership={standing})")
        if how == "kick" and standing not in ("join", "invite", "knock"):
            raise forbidden("The target user is not in the room")
        self._may_remove(room, user, whom, "ban" if how == "unban" else how)
        content = {"membership": "ban" if how == "ban" else "leave", **reason}
        return self.add(room, user, MEMBER, content, whom)

    def _may_remove(self, room: Room, user: str, whom: str, how: str) -> None:
        if room.level(user) < room.action(how) or room.level(user) <= room.level(whom):
            raise forbidden(f"You cannot {how} user {whom}.")

    def _may_send(self, room: Room, user: str, level: int) -> None:
        mine = room.level(user)
        about = f"user_level ({mine}) < send_level ({level})"
        self._must(room, user, level, f"You don't have permission to post that to the room. {about}")

    def _must(self, room: Room, user: str, level: int, error: str) -> None:
        if room.level(user) < level:
            raise forbidden(error)


def _reaction(raw: Json) -> tuple[str, str, str] | None:
    """Return who reacts to what in which way; None for other events, and for a reaction that was taken back."""
    relation = raw["content"].get("m.relates_to")
    if not isinstance(relation, dict) or relation.get("rel_type") != "m.annotation":
        return None
    return raw["sender"], relation["event_id"], relation.get("key", "")


def _strip(target: Event, redaction: Event) -> None:
    """Take the content away, as room versions 11 and 12 do."""
    content = target.raw["content"]
    kept = {name: content[name] for name in _KEPT_OF_MEMBER if name in content} if target.raw["type"] == MEMBER else {}
    target.raw = {**target.raw, "content": kept, "unsigned": {"redacted_because": redaction.raw}}
    target.gone = redaction.arrived


def new_room_id(world: World, version: str) -> str:
    """Return an id for a room, which in room version 12 has no server name."""
    return f"!{_random(32)}" if version == VERSION else f"!{_random(13)}:{world.server}"


def _random(count: int) -> str:
    return base64.urlsafe_b64encode(os.urandom(count)).rstrip(b"=").decode()


def _named(name: str, value: str) -> Json:
    if name == "topic":
        return {"topic": value, "m.topic": {"m.text": [{"body": value, "mimetype": "text/plain"}]}}
    return {name: value}


def seed(world: World, room: Room, users: Sequence[str]) -> None:
    """Let people in without asking, as if they had always been there."""
    for user in users:
        world.add(room, user, MEMBER, {"membership": "join", "displayname": world.name(user)}, user)
