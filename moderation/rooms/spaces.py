"""The list of rooms in the state of a space. Client-server API, section "Spaces".

Rules kept here:
- A room is listed if its `m.space.child` names a server by which to enter it (`via`).
- The homeserver ensures that only those with the right can set that.
- Only one level: rooms listed by a space inside a space do not count.

Pure. Left to others: asking for the state (`bot/sync/spaces.py`), what being listed means
(`moderation/model/reach.py`).
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from moderation.model.facts import RoomListed
from moderation.values.ids import RoomId, UserId, is_room_id, is_user_id

CHILD = "m.space.child"

Raw = Mapping[str, Any]  # an event as the homeserver sends it


def is_space(created: Raw | None) -> bool:
    """Return whether a room is a space, by the content of its `m.room.create`."""
    return (created or {}).get("type") == "m.space"


def changes(space: RoomId, state: Iterable[Raw], known: Collection[RoomId]) -> tuple[RoomListed, ...]:
    """Return how the whole state of a space differs from the known list of its rooms."""
    events = {event["state_key"]: event for event in state if _is_child(event)}
    now = {child for child, event in events.items() if _lists(event)}
    return tuple(
        RoomListed(
            room=space, what="listed" if child in now else "unlisted", child=child, by=_sender(events.get(child, {}))
        )
        for child in sorted(now ^ set(known))
    )


def _is_child(event: Raw) -> bool:
    return event.get("type") == CHILD and is_room_id(event.get("state_key"))


def _lists(event: Raw) -> bool:
    content = event.get("content")
    via = content.get("via") if isinstance(content, Mapping) else None
    return isinstance(via, list) and bool(via)


def _sender(event: Raw) -> UserId:
    sender = event.get("sender")
    return UserId(str(sender)) if is_user_id(sender) else UserId("")
