"""A raw event, as a homeserver sends it, and what every event made from it has."""

from typing import Any

from moderation.values.ids import EventId, RoomId, UserId

ROOM = RoomId("!room:example.org")
NOW = 1_795_511_540_900
ENVELOPE = {"event_id": "$event", "sender": "@ann:example.org", "origin_server_ts": 1_795_511_540_740}


def raw(type_: str = "m.room.message", content: object = None, **more: object) -> dict[str, Any]:
    """Return a raw event."""
    return {**ENVELOPE, "type": type_, "content": {} if content is None else content, **more}


def base(event: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that every event made from `event` has."""
    return {
        "room": ROOM,
        "event": EventId("$event"),
        "sender": UserId("@ann:example.org"),
        "sent_ms": 1_795_511_540_740,
        "received_ms": NOW,
        "type": event["type"],
        "content": event["content"],
    }
