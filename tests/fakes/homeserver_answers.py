"""The simulated homeserver's answers about events: `/sync`, `/messages`, members, state (at an event).

Rules kept here:
- A token is a place in the global order of events.
- A timeline has at most as many events as the filter asks for, and at most 100. If events are left out it is
  `limited`, and state that changed in them comes before it.
- With `at_most`, an answer ends after that many events of all rooms together, and the next continues there. This
  is like a loaded homeserver that answers often, and lets a test measure the cost of catching up.
Left to others: rooms and rights (`homeserver_rooms.py`), waiting (`homeserver.py`).

Specification: Matrix client-server API v1.19, "Syncing", "GET /rooms/{roomId}/messages".
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from tests.fakes.homeserver_rooms import Event, Json, Refused, Room, World, forbidden, not_found

LIMIT = 100
_STRIPPED = (
    "m.room.create",
    "m.room.join_rules",
    "m.room.name",
    "m.room.avatar",
    "m.room.encryption",
    "m.room.canonical_alias",
    "m.room.topic",
)


CHILD = "m.space.child"
_OF_CHILD = ("type", "state_key", "content", "sender", "origin_server_ts")


def token(place: int, device: int = 0) -> str:
    """Return the token of a place; `device` is the place in the order of messages to devices."""
    return f"s{place}_{device}" if device else f"s{place}"


def place_of(text: str) -> int:
    """Return the place of a token."""
    return _places(text)[0]


def device_place_of(text: str) -> int:
    """Return a token's place in the order of messages to devices."""
    return _places(text)[1]


def _places(text: str) -> tuple[int, int]:
    place, _, device = text[1:].partition("_")
    if not (text.startswith("s") and place.isdigit() and (device or "0").isdigit()):
        raise Refused(400, "M_UNKNOWN", "Invalid stream token")
    return int(place), int(device or "0")


def sync(
    world: World, user: str, device: str, since: int, upto: int, filter: Mapping[str, Any], *, first: bool
) -> Json:
    """Return one answer of `/sync`, without the parts for the device."""
    limit = min(int(filter.get("room", {}).get("timeline", {}).get("limit", 10)), LIMIT)
    lazy = bool(filter.get("room", {}).get("state", {}).get("lazy_load_members"))
    rooms: dict[str, Json] = {}
    for room in _touched(world, user, since, upto, first=first):
        for kind, answer in _room(room, user, device, since, upto, limit, lazy=lazy, first=first):
            rooms.setdefault(kind, {})[room.id] = answer
    return {"next_batch": token(upto), **({"rooms": rooms} if rooms else {})}


def _touched(world: World, user: str, since: int, upto: int, *, first: bool) -> Iterable[Room]:
    mine = world.rooms_of.get(user, {})
    if first:
        return mine.values()
    return {room.id: room for room, _ in world.order[since:upto] if room.id in mine}.values()


def _room(
    room: Room, user: str, device: str, since: int, upto: int, limit: int, *, lazy: bool, first: bool
) -> Iterator[tuple[str, Json]]:
    """Yield what a room's part of an answer is called and holds; somebody removed and invited again is told of both."""
    mine = _at(room.members.get(user), upto)
    membership = mine.raw["content"]["membership"] if mine else "leave"
    if membership == "join":
        came = first or _was(room, user, since) != "join"
        yield "join", _joined(room, user, device, 0 if came else since, upto, limit, lazy=lazy, came=came, first=first)
        return
    assert mine is not None or membership == "leave"
    if membership in ("invite", "knock") and mine is not None and mine.place > since:
        yield membership, {f"{membership}_state": {"events": _stripped(room, mine)}}
    while mine is not None and mine.raw["content"]["membership"] not in ("leave", "ban"):
        mine = mine.before
    if mine is not None and mine.place > since and not first:
        yield "leave", _left(room, user, device, since, mine, limit, lazy=lazy)


def _left(room: Room, user: str, device: str, since: int, gone: Event, limit: int, *, lazy: bool) -> Json:
    """Return what somebody sees of a room up to their removal; one who was not in it only sees that."""
    told = [gone]
    if _was(room, user, since) == "join":
        told = room.events[room.index(since) : room.index(gone.place)]
    shown = told[-limit:]
    limited = len(told) > len(shown)
    begins = shown[0].place - 1 if limited else since
    state = _state_before(room, shown, since, begins, lazy=lazy) if limited else []
    return {
        "timeline": {
            "events": [in_sync(event, device) for event in shown],
            "prev_batch": token(begins),
            "limited": limited,
        },
        "state": {"events": [in_sync(event, device) for event in state]},
        "account_data": {"events": []},
    }


def _was(room: Room, user: str, place: int) -> str:
    found = _at(room.members.get(user), place)
    return str(found.raw["content"]["membership"]) if found else "leave"


def _at(event: Event | None, place: int) -> Event | None:
    """Return the state event that was current at a place."""
    while event is not None and event.place > place:
        event = event.before
    return event


def _joined(
    room: Room, user: str, device: str, since: int, upto: int, limit: int, *, lazy: bool, came: bool, first: bool
) -> Json:
    events = room.events[room.index(since) : room.index(upto)]
    shown = events[-limit:]
    limited = len(events) > len(shown)
    begins = shown[0].place - 1 if shown else upto
    state = _state_before(room, shown, since, begins, lazy=lazy) if limited else []
    return {
        "timeline": {
            "events": [in_sync(event, device) for event in shown],
            "prev_batch": token(begins),
            "limited": limited or (came and not first),
        },
        "state": {"events": [in_sync(event, device) for event in state]},
        "account_data": {"events": []},
        "ephemeral": {"events": []},
        "unread_notifications": {"notification_count": 0, "highlight_count": 0},
        "summary": {},
    }


def _state_before(room: Room, shown: Sequence[Event], since: int, begins: int, *, lazy: bool) -> list[Event]:
    """Return the state that changed between `since` and the timeline; if `lazy`, only the senders' memberships."""
    senders = {event.raw["sender"] for event in shown}
    members = (senders & room.members.keys()) if lazy else room.members.keys()
    heads = [*room.state.values(), *(room.members[user] for user in members)]
    found = [event for head in heads if (event := _at(head, begins)) is not None]
    return sorted((event for event in found if event.place > since), key=lambda event: event.place)


def _stripped(room: Room, invitation: Event) -> list[Json]:
    sender = (
        room.members.get(invitation.raw["sender"]) if invitation.raw["sender"] != invitation.raw["state_key"] else None
    )
    found = [room.state[type, ""] for type in _STRIPPED if (type, "") in room.state]
    events = [*found, *([sender] if sender else []), invitation]
    return [{name: event.raw[name] for name in ("type", "state_key", "sender", "content")} for event in events]


def in_sync(event: Event, device: str) -> Json:
    """Return an event in the form of `/sync`, without its room (which Synapse leaves in a room's first event)."""
    raw = _for(event, device)
    return raw if raw["type"] == "m.room.create" else {k: v for k, v in raw.items() if k != "room_id"}


def alone(event: Event, device: str) -> Json:
    """Return a single event in Synapse's older format, in which a redaction appears twice."""
    raw = _for(event, device)
    because = raw.get("unsigned", {}).get("redacted_because")
    return raw if because is None else {**raw, "redacted_because": because}


def _for(event: Event, device: str) -> Json:
    """Return an event as a device sees it: with the transaction id if the device sent it, and the state before it."""
    more = {"transaction_id": event.txn[1]} if event.txn is not None and event.txn[0] == device else {}
    if event.before is not None:
        more["prev_content"] = event.before.raw["content"]
    return {**event.raw, "unsigned": {**event.raw.get("unsigned", {}), **more}} if more else event.raw


def messages(world: World, user: str, device: str, room: str, query: Mapping[str, str]) -> Json:
    """Answer a request for messages (section "GET /rooms/{roomId}/messages")."""
    found = world.rooms.get(room)
    if found is None or (last := _last_shown(world, found, user)) is None:
        raise forbidden(f"User {user} not in room {room}, and room previews are disabled")
    direction, limit = query.get("dir", "f"), min(int(query.get("limit", "10")), 1000)
    senders = orjson.loads(query.get("filter", "{}")).get("senders")
    if direction == "b":
        start = place_of(query["from"]) if "from" in query else len(world.order)
        upto = found.index(min(start, last))
        chunk = found.events[max(upto - limit, 0) : upto][::-1]
        end = chunk[-1].place - 1 if chunk else None
    else:
        start = place_of(query["from"]) if "from" in query else 0
        index = found.index(start)
        chunk = found.events[index : min(index + limit, found.index(last))]
        end = chunk[-1].place if chunk else None
    if senders is not None:
        chunk = [event for event in chunk if event.raw["sender"] in senders]
    answer: Json = {"chunk": [alone(event, device) for event in chunk], "start": query.get("from", token(start))}
    return answer | ({"end": token(end)} if end is not None else {})


def _last_shown(world: World, room: Room, user: str) -> int | None:
    """Return the place up to which somebody may read a room: that of their removal, if they left it; None: nothing."""
    mine = room.members.get(user)
    membership = mine.raw["content"]["membership"] if mine is not None else ""
    if mine is not None and membership == "leave":
        return mine.place
    shown = (room.content("m.room.history_visibility") or {}).get("history_visibility")
    return len(world.order) if membership == "join" or shown == "world_readable" else None


def members(world: World, user: str, room: str, query: Mapping[str, str]) -> Json:
    """Answer a request for members (section "GET /rooms/{roomId}/members")."""
    events = world.room_for(user, room).members.values()
    only = query.get("membership")
    return {"chunk": [e.raw for e in events if only is None or e.raw["content"]["membership"] == only]}


def state(world: World, user: str, room: str) -> list[Json]:
    """Answer a request for state (section "GET /rooms/{roomId}/state")."""
    found = world.rooms.get(room)
    shown = (found.content("m.room.history_visibility") or {}).get("history_visibility") if found else ""
    if found is None or (found.membership(user) != "join" and shown != "world_readable"):
        raise forbidden(f"User {user} not in room {room}, and room previews are disabled")
    return [event.raw for event in (*found.state.values(), *found.members.values())]


def hierarchy(world: World, user: str, space: str) -> Json:
    """Answer with a space and the rooms it lists, one level deep (section "GET /rooms/{roomId}/hierarchy")."""
    root = world.rooms.get(space)
    if root is None or not _may_see(root, user):
        raise forbidden(f"User {user} not in room {space}, and room previews are disabled")
    listed = [event for event in root.state.values() if event.raw["type"] == CHILD and event.raw["content"].get("via")]
    listed.sort(key=lambda event: (str(event.raw["content"].get("order", "~")), event.raw["origin_server_ts"]))
    rooms = [world.rooms[id] for event in listed if (id := event.raw["state_key"]) in world.rooms]
    children = [{key: event.raw[key] for key in _OF_CHILD} for event in listed]
    return {
        "rooms": [_summary(root) | {"children_state": children}, *(_summary(r) for r in rooms if _may_see(r, user))]
    }


def _may_see(room: Room, user: str) -> bool:
    return room.membership(user) in ("join", "invite") or (room.content("m.room.join_rules") or {}).get(
        "join_rule"
    ) in (
        "public",
        "knock",
    )


def _summary(room: Room) -> Json:
    rule = (room.content("m.room.join_rules") or {}).get("join_rule", "invite")
    named = {
        "name": (room.content("m.room.name") or {}).get("name"),
        "topic": (room.content("m.room.topic") or {}).get("topic"),
        "room_type": (room.content("m.room.create") or {}).get("type"),
    }
    return {
        "room_id": room.id,
        "num_joined_members": len(room.joined()),
        "join_rule": rule,
        "world_readable": False,
        "guest_can_join": (room.content("m.room.guest_access") or {}).get("guest_access") == "can_join",
        "room_version": room.version,
        "children_state": [],
        **{name: value for name, value in named.items() if value},
    }


def context(world: World, user: str, device: str, room: str, event: str) -> Json:
    """Return an event without surrounding events (section "GET /rooms/{roomId}/context/{eventId}")."""
    found = world.rooms.get(room)
    if found is None or user not in found.members:
        raise forbidden("You don't have permission to access that event.")
    here = next((each for each in found.events if each.id == event), None)
    if here is None:
        raise not_found("Event not found.")
    heads = [_at(head, here.place) for head in (*found.state.values(), *found.members.values())]
    return {
        "events_before": [],
        "event": alone(here, device),
        "events_after": [],
        "state": [head.raw for head in heads if head is not None],
        "start": token(here.place - 1),
        "end": token(here.place),
    }
