"""The parsers of single fields of a raw event: the value if it is what it should be, else `None`.

Rules kept here:
- Nothing here raises or recurses, whatever the JSON.
- A text that leaves this module can be written as UTF-8 (a lone surrogate, which `"\\ud800"` in JSON makes, becomes
  U+FFFD).
- An id that leaves it has the form of one and is otherwise opaque: it may look like a path or like markup.

Left to others: which fields there are and what follows from a missing one.
"""

import json
import re
from typing import Any, cast

from moderation.values.events import Json
from moderation.values.ids import MAX_ID_BYTES, SAFE_INT, EventId, RoomId, UserId, is_event_id, is_room_id, is_user_id

KEPT_RAW_BYTES = 65_536  # kept of an unreadable event; no event may be larger ("Size limits")

_SURROGATE = re.compile("[\ud800-\udfff]")


def text_of(value: object) -> str | None:
    """Return a text, fit to be stored."""
    if not isinstance(value, str):
        return None
    return value if value.isascii() else _SURROGATE.sub("\ufffd", value)


def filled_text_of(value: object) -> str | None:
    """Return a text that is not empty, fit to be stored."""
    return text_of(value) or None


def name_of(value: object) -> str | None:
    """Return an event type or state key: at most 255 bytes, and never repaired, since it is compared."""
    return value if isinstance(value, str) and _fits(value) else None


def token_of(value: object) -> str | None:
    """Return an opaque token of the homeserver, not empty; never repaired, since it is sent back as it came."""
    return value if isinstance(value, str) and value and not _SURROGATE.search(value) else None


def object_of(value: object) -> dict[str, Json]:
    """Return a JSON object, else an empty one, so that lookups can be chained."""
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[Json]:
    """Return a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def whole_number_of(value: object) -> int | None:
    """Return an integer that canonical JSON can carry. `true` is an `int` in Python, but not here."""
    return value if type(value) is int and -SAFE_INT <= value <= SAFE_INT else None


def time_of(value: object) -> int | None:
    """Return a time that a sender claims, in milliseconds, limited to what a record can hold.

    Room versions before 6 let any number through. That is no reason not to judge the event, and the limit is as good.
    """
    if type(value) not in (int, float) or value != value:
        return None
    return int(min(max(cast("float", value), -SAFE_INT), SAFE_INT))


def event_id_of(value: object) -> EventId | None:
    """Return an event id (appendices, "Event IDs")."""
    return EventId(value) if isinstance(value, str) and _fits(value) and is_event_id(value) else None


def user_id_of(value: object) -> UserId | None:
    """Return a user id (appendices, "User identifiers"); historical ones are accepted."""
    return UserId(value) if isinstance(value, str) and _fits(value) and is_user_id(value) else None


def room_id_of(value: object) -> RoomId | None:
    """Return a room id (appendices, "Room IDs"), with a server name or without."""
    return RoomId(value) if isinstance(value, str) and _fits(value) and is_room_id(value) else None


def written_out(raw: object) -> str:
    """Return something unreadable as JSON again, for the record, cut at 64 KiB."""
    text = _SURROGATE.sub("\ufffd", _as_json(raw)[:KEPT_RAW_BYTES])
    return text.encode()[:KEPT_RAW_BYTES].decode(errors="ignore")  # drops a letter cut in two


def _fits(text: str) -> bool:
    # Checked before `moderation.ids`, which encodes: a lone surrogate cannot be encoded.
    if len(text) > MAX_ID_BYTES:
        return False
    return text.isascii() or (not _SURROGATE.search(text) and len(text.encode()) <= MAX_ID_BYTES)


def _as_json(raw: object) -> str:
    try:
        return _dumps(raw)
    except (RecursionError, ValueError, TypeError):
        if not isinstance(raw, dict):
            return json.dumps(f"[a {type(raw).__name__} that cannot be written out]")
    # One member is at fault, mostly nested too deeply; the others are worth keeping.
    return "{" + ",".join(f"{_member(key)}:{_member(value)}" for key, value in raw.items()) + "}"


def _member(value: Any) -> str:
    try:
        return _dumps(value)
    except (RecursionError, ValueError, TypeError):
        return json.dumps("[cannot be written out]")


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
