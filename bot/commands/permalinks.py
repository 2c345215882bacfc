"""The parser of links to messages, as clients copy them. Pure, so that it can be fuzzed.

Rules kept here:
- Both forms of the specification are read (appendices, "matrix.to navigation" and "Matrix URI scheme"), with or without
  percent-encoding.
- What follows the message (`?via=...`) says where the room can be found, and is not needed.

Left to others: whether there is such a room and such a message (`report.py`).
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from moderation.values.ids import EventId, RoomId, is_event_id, is_room_id

MESSAGE = re.compile(r"https://matrix\.to/#/(?P<room>(?:[!#]|%21|%23)[^/?]+)/(?P<event>(?:\$|%24)[^?]+)", re.IGNORECASE)
_URI = re.compile(r"matrix:(?P<kind>roomid|r)/(?P<room>[^/?]+)/e/(?P<event>[^?]+)", re.IGNORECASE)
_LINK = re.compile(r"<?(?:https?://matrix\.to/|matrix:)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MessageLink:
    """The target of a link. `room` None: the room is named by an alias."""

    event: EventId
    room: RoomId | None = None


def is_link(word: str) -> bool:
    """Tell whether a word is meant as a link to something on Matrix."""
    return _LINK.match(word) is not None


def message_link(word: str) -> MessageLink | None:
    """Return the message that a link points to; None if it points to something else."""
    text = word.strip("<>")
    if found := MESSAGE.match(text):
        room, event = unquote(found["room"]), unquote(found["event"])
    elif found := _URI.match(text):
        room = ("!" if found["kind"].lower() == "roomid" else "#") + unquote(found["room"])
        event = "$" + unquote(found["event"])
    else:
        return None
    if not is_event_id(event):
        return None
    if room.startswith("#"):
        return MessageLink(EventId(event))
    return MessageLink(EventId(event), RoomId(room)) if is_room_id(room) else None
