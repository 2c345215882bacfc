"""Reads from the homeserver whether an event notified somebody, by the push rules that every new account has.

An event is "silent", "notified" (it counts as unread), or "highlighted" (it counts as a mention as well).
"""

import itertools
import json
from typing import Any

from moderation.values.ids import RoomId
from tests.people.client import Client

LIMIT = "1000"
_numbers = itertools.count(1)


async def rung(who: Client, event: str) -> str:
    """Return how the homeserver notified somebody of an event. Section "GET /notifications"."""
    answer = await who.request("GET", "notifications", query={"limit": LIMIT})
    for each in answer["notifications"]:
        if each["event"]["event_id"] == event:
            return "highlighted" if any(_highlights(action) for action in each["actions"]) else "notified"
    return "silent"


def _highlights(action: Any) -> bool:
    return isinstance(action, dict) and action.get("set_tweak") == "highlight" and action.get("value", True)


async def unread(who: Client, room: RoomId) -> tuple[int, int]:
    """Return the homeserver's own counts of notifications and highlights. Section "Receiving notifications"."""
    # Synapse answers the same request of the same device from a cache for two minutes, so no two are the same.
    other = {"room": {"timeline": {"limit": next(_numbers)}}}
    answer = await who.request("GET", "sync", query={"timeout": "0", "filter": json.dumps(other)})
    counts = answer["rooms"]["join"][room]["unread_notifications"]
    return counts["notification_count"], counts["highlight_count"]


async def mark_read(who: Client, room: RoomId) -> None:
    """Mark everything in a room as read, as a client does. Section "Receipts".

    Without a receipt, Synapse's counts include the invitation after its next half-minute summary, and do not before.
    """
    newest = (await who.messages(room, 1))[0]["event_id"]
    await who.request("POST", "rooms", room, "receipt", "m.read", newest, json={})


async def invited(who: Client, room: RoomId) -> bool:
    """Return whether the invitation to a room notified somebody."""
    answer = await who.request("GET", "notifications", query={"limit": LIMIT})
    there = [each["event"] for each in answer["notifications"] if each["room_id"] == room]
    return any(event["type"] == "m.room.member" and event["content"]["membership"] == "invite" for event in there)
