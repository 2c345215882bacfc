"""Copies of a room of the simulated homeserver: many rooms at once, each with a history like that of the first.

Rules kept here:
- A copy has the same events in the same order, with ids of its own; other people are there instead of those named.
- Nobody is told: the caller does it, or the events count as older than all that somebody has read.
- A room in which something was redacted is not copied.
"""

from collections.abc import Mapping, Sequence

import orjson

from tests.fakes.homeserver_rooms import MEMBER, Event, Json, Room, World, new_room_id, seed


def copy_room(
    world: World, room: Room, people: Sequence[str], instead_of: Sequence[str]
) -> tuple[Room, Mapping[str, str]]:
    """Copy a room, with `people` instead of those named; more than these come after all other events.

    Returns the copy, and the ids of its events by those of the first.
    """
    copy = Room(new_room_id(world, room.version), room.version)
    world.rooms[copy.id] = copy
    who, ids = dict(zip(instead_of, people, strict=False)), dict[str, str]()
    for event in room.events:
        ids[event.id] = _copied(world, copy, event, who, ids).id
    seed(world, copy, people[len(instead_of) :])
    return copy, ids


def _copied(world: World, copy: Room, event: Event, who: Mapping[str, str], ids: Mapping[str, str]) -> Event:
    raw = event.raw
    assert not event.gone and "redacts" not in raw, "something was redacted in this room"
    sender, content, key = who.get(raw["sender"], raw["sender"]), raw["content"], raw.get("state_key")
    if raw["type"] == MEMBER:
        key = who.get(raw["state_key"], raw["state_key"])
        content = {**content, "displayname": world.name(key)} if "displayname" in content else content
    else:
        content = _naming(content, who, ids)
    return world.add(copy, sender, raw["type"], content, key)


def _naming(content: Json, who: Mapping[str, str], ids: Mapping[str, str]) -> Json:
    """Return the content of an event that names people and events of the copy."""
    text = orjson.dumps(content).decode()
    for sign, names in (("@", who), ("$", ids)):
        if f'"{sign}' in text:
            for old, new in names.items():
                text = text.replace(f'"{old}"', f'"{new}"')
    found: Json = orjson.loads(text)
    return found
