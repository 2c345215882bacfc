"""The entries of a policy list, read from the state of its room. Client-server API, "Moderation policy lists".

Also read: hashed entities (MSC4205), takedowns (MSC4204), the entries of Mjolnir and Draupnir (`org.matrix.mjolnir.*`)
and the older `m.room.rule.*`.

Rules kept here:
- For a state key the newest type counts, even where its content is empty.
- Empty content, a redaction or an unreadable entity mean that there is no entry.
- What is recommended and not known is shown, never applied.
- Nothing of an entry is trusted: texts are cut, and globs with more than `MOST_STARS` stars are not applied.

Pure. Left to others: fetching the state (`bot/sync/policy_lists.py`), whom an entry means (`book.py`).
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from moderation.values.ids import EventId, RoomId, UserId, is_user_id

Kind = Literal["user", "server", "room"]
Advice = Literal["ban", "takedown", "allow", "unknown"]

LONGEST_ENTITY = 255  # bytes of an id (appendices, "Identifier grammar")
LONGEST_REASON = 500  # characters that are kept
MOST_STARS = 8

# The types of a kind, the newest first.
TYPES: dict[Kind, tuple[str, ...]] = {
    kind: (f"m.policy.rule.{kind}", f"m.room.rule.{kind}", f"org.matrix.mjolnir.rule.{kind}")
    for kind in ("user", "server", "room")
}
_KIND_OF: dict[str, tuple[Kind, int]] = {
    name: (kind, age) for kind, names in TYPES.items() for age, name in enumerate(names)
}
_ADVICE: dict[str, Advice] = {
    "m.ban": "ban",
    "org.matrix.mjolnir.ban": "ban",
    "m.takedown": "takedown",
    "org.matrix.msc4204.takedown": "takedown",
    "org.matrix.mjolnir.allow": "allow",
    "m.unban": "allow",
}
_LIST_TYPE = "support.feline.policy.lists.msc.v1"  # of a room that Draupnir made for a list
_SHORTCODE = "org.matrix.mjolnir.shortcode"  # the state of such a room by Mjolnir and Draupnir
_HASHES = ("hashes", "org.matrix.msc4205.hashes")


@dataclass(frozen=True, slots=True)
class Entry:
    """An assertion about an entity: who made it, what they recommend, and why.

    Either `entity`, a glob, or `digest`, the SHA-256 of an exact entity in padded base64, is given.
    """

    kind: Kind
    key: str  # the state key
    entity: str
    digest: str
    advice: Advice
    recommendation: str  # as it is written
    reason: str
    sender: UserId
    event: EventId
    at_ms: int  # its sender's claim

    @property
    def is_glob(self) -> bool:
        """True if it may mean several entities."""
        return any(sign in self.entity for sign in "*?")

    @property
    def shown(self) -> str:
        """The text that people read in place of the entity."""
        return self.entity or f"sha256:{self.digest}"


def is_entry(type: str) -> bool:
    """Return whether events of a type may be entries."""
    return type in _KIND_OF


def is_list(state: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether the state is that of a policy list, which may be empty."""
    for event in state:
        type, content = str(event.get("type")), event.get("content")
        if is_entry(type) or type == _SHORTCODE:
            return True
        if type == "m.room.create" and isinstance(content, Mapping) and content.get("type") == _LIST_TYPE:
            return True
    return False


def read_entries(state: Iterable[Mapping[str, Any]]) -> tuple[Entry, ...]:
    """Return the entries in the state of a list's room, in the order of their kinds and keys."""
    newest: dict[tuple[Kind, str], tuple[int, Mapping[str, Any]]] = {}
    for event in state:
        kind, age = _KIND_OF.get(str(event.get("type")), ("user", -1))
        key = event.get("state_key")
        if age < 0 or not isinstance(key, str):
            continue
        known = newest.get((kind, key))
        if known is None or age < known[0]:
            newest[kind, key] = age, event
    found = (_read(kind, key, event) for (kind, key), (_, event) in sorted(newest.items(), key=lambda each: each[0]))
    return tuple(entry for entry in found if entry is not None)


def _read(kind: Kind, key: str, event: Mapping[str, Any]) -> Entry | None:
    content, sender = event.get("content"), event.get("sender")
    if not isinstance(content, Mapping) or not is_user_id(sender):
        return None
    recommendation = content.get("recommendation")
    entity = content.get("entity")
    digest = _digest(content)
    if not isinstance(recommendation, str) or not recommendation:
        return None
    if not _is_entity(entity):
        entity = ""
    if not entity and not digest:
        return None
    reason, at = content.get("reason"), event.get("origin_server_ts")
    return Entry(
        kind=kind,
        key=key,
        entity=str(entity),
        digest="" if entity else digest,
        advice=_ADVICE.get(recommendation, "unknown"),
        recommendation=recommendation[:100],
        reason=reason[:LONGEST_REASON] if isinstance(reason, str) else "",
        sender=UserId(str(sender)),
        event=EventId(str(event.get("event_id", ""))),
        at_ms=at if type(at) is int and at >= 0 else 0,
    )


def _is_entity(value: object) -> bool:
    if not isinstance(value, str) or not value or value.count("*") > MOST_STARS:
        return False
    try:
        return len(value.encode()) <= LONGEST_ENTITY
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can carry and UTF-8 cannot
        return False


def _digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a hashed entity in padded base64; "" if there is none that can be read."""
    for name in _HASHES:
        hashes = content.get(name)
        given = hashes.get("sha256") if isinstance(hashes, Mapping) else None
        if not isinstance(given, str):
            continue
        try:
            raw = base64.b64decode(given + "=" * (-len(given) % 4), validate=True)
        except (binascii.Error, ValueError):
            continue
        if len(raw) == 32:
            return base64.b64encode(raw).decode()
    return ""


@dataclass(frozen=True, slots=True)
class PolicyList:
    """The entries of one list as they are now. `name` is what people here call it."""

    name: str
    room: RoomId
    entries: tuple[Entry, ...] = ()
