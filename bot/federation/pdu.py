"""An event as servers exchange it: its form, its id, its hashes and its signatures.

Rules this module keeps:
- A `Pdu` exists only of an event with the form of its room version. Anything else raises `MalformedPdu`.
- A signature, and the id from room version 3 on, cover the `essence`: what a redaction leaves, in canonical JSON. Two
  events with the same essence differ only in what a redaction removes, such as the text. So a signature says something
  about the text only together with `has_its_content`, which must be looked at before anything is judged or signed.
- In versions 1 and 2 an event brings its id along: two events may have the same one. Their `reference_hash` differs.
  In the others it brings none, as Synapse has it, too.

Left to others: whether an event is allowed in its room; whose keys are valid (`server_keys.py`).

Specification: server-server API v1.19, "PDUs", "Signing Events"; "Room versions", "Event format"; client-server API,
"Size limits".
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.crypto.encoding import MalformedKey, b64, unb64
from bot.crypto.signing import SigningKey, verifies
from moderation.values.ids import MAX_ID_BYTES, SAFE_INT, EventId, RoomId, UserId, is_event_id, is_room_id, is_user_id

from .errors import MalformedPdu
from .redaction import redacted
from .room_versions import RoomVersion
from .strict_json import canonical_or_malformed, refuse_fractions

MOST_BYTES = 65_536  # of the canonical JSON of an event, signatures included
_MOST_PREV, _MOST_AUTH = 20, 10
_NOT_IN_CONTENT_HASH = ("unsigned", "signatures", "hashes")


@dataclass(frozen=True, slots=True)
class Pdu:
    """An event with the form of its room version. `Pdu.of` makes one."""

    event: Mapping[str, Any] = field(repr=False)
    version: RoomVersion = field(repr=False)
    essence: bytes = field(repr=False)  # what is hashed and signed
    event_id: EventId
    room: RoomId
    has_its_content: bool  # False: the content is not the one that was hashed, or was redacted on the way

    @classmethod
    def of(cls, event: Mapping[str, Any], version: RoomVersion) -> "Pdu":
        """Check the form of an event, and return it. Raises `MalformedPdu`."""
        _check_form(event, version)
        refuse_fractions(event)
        if len(canonical_or_malformed(event)) > MOST_BYTES:
            raise MalformedPdu(f"an event of more than {MOST_BYTES} bytes")
        essence = essence_of(event, version)
        event_id = _event_id(event, version, essence)
        names_no_room = version.room_is_create and event["type"] == "m.room.create"
        room = RoomId("!" + event_id[1:] if names_no_room else event["room_id"])
        return cls(event, version, essence, event_id, room, _claimed_hash(event) == content_hash(event))

    @property
    def sender(self) -> UserId:
        """The user who sent it."""
        return UserId(self.event["sender"])

    @property
    def type(self) -> str:
        """The type of the event."""
        return str(self.event["type"])

    @property
    def state_key(self) -> str | None:
        """The state key, or None if it is no state event."""
        key: str | None = self.event.get("state_key")
        return key

    @property
    def sent_ms(self) -> int:
        """The time at which the sender's server says that it was sent, in milliseconds since 1970 UTC."""
        return int(self.event["origin_server_ts"])

    @property
    def reference_hash(self) -> str:
        """The SHA-256 of the essence, in unpadded base64."""
        return b64(hashlib.sha256(self.essence).digest())

    def signature(self, key: SigningKey) -> str:
        """Return the signature of `key`."""
        return key.sign(self.essence)

    def is_signed(self, server: str, key_id: str, public: str) -> bool:
        """Tell whether a server's key (`ed25519:NAME`), with the public half `public`, signed this event."""
        signature = self.signatures_of(server).get(key_id)
        if signature is None:
            return False
        try:
            return verifies(public, self.essence, signature)
        except MalformedKey:
            return False

    def signatures_of(self, server: str) -> dict[str, str]:
        """Return the unchecked Ed25519 signatures of a server, by id of the key."""
        found = self.event["signatures"].get(server, {})
        return {key_id: each for key_id, each in found.items() if key_id.startswith("ed25519:")}


def essence_of(event: Mapping[str, Any], version: RoomVersion) -> bytes:
    """Return the bytes that the reference hash and all signatures cover. Raises `MalformedPdu`."""
    left = redacted(event, version)
    left.pop("signatures", None)
    return canonical_or_malformed(left)


def content_hash(event: Mapping[str, Any]) -> bytes:
    """Return the SHA-256 of the whole event but for hashes and signatures. Raises `MalformedPdu`."""
    covered = {name: value for name, value in event.items() if name not in _NOT_IN_CONTENT_HASH}
    return hashlib.sha256(canonical_or_malformed(covered)).digest()


def hashed_and_signed(
    event: Mapping[str, Any], version: RoomVersion, server: str, key_id: str, key: SigningKey
) -> dict[str, Any]:
    """Return a new event of ours with its content hash and the signature of our key `ed25519:NAME`."""
    hashed = {**event, "hashes": {"sha256": b64(content_hash(event))}}
    hashed.pop("unsigned", None)
    return {**hashed, "signatures": {server: {key_id: key.sign(essence_of(hashed, version))}}}


def with_signature_of(pdu: Pdu, server: str, key_id: str, key: SigningKey) -> dict[str, Any]:
    """Return an event of somebody else with our signature added, and all others kept."""
    ours = {**pdu.event["signatures"].get(server, {}), key_id: pdu.signature(key)}
    return {**pdu.event, "signatures": {**pdu.event["signatures"], server: ours}}


def _event_id(event: Mapping[str, Any], version: RoomVersion, essence: bytes) -> EventId:
    if version.event_ids == "given":
        return EventId(event["event_id"])
    text = b64(hashlib.sha256(essence).digest())
    return EventId("$" + (text if version.event_ids == "hash" else text.replace("+", "-").replace("/", "_")))


def _claimed_hash(event: Mapping[str, Any]) -> bytes:
    try:
        return unb64(event["hashes"].get("sha256"))
    except MalformedKey:
        return b""


def _check_form(event: Mapping[str, Any], version: RoomVersion) -> None:
    """Raise `MalformedPdu` if a property is missing, of the wrong kind or too long."""
    creates = version.room_is_create and event.get("type") == "m.room.create"
    form = {
        "sender": is_user_id(event.get("sender")),
        "type": _is_short_text(event.get("type")),
        "state_key": "state_key" not in event or _is_short_text(event["state_key"]),
        "room_id": "room_id" not in event if creates else is_room_id(event.get("room_id")),
        "event_id": is_event_id(event.get("event_id")) if version.event_ids == "given" else "event_id" not in event,
        "content": isinstance(event.get("content"), dict),
        "origin_server_ts": _is_count(event.get("origin_server_ts")),
        "depth": _is_count(event.get("depth")),
        "hashes": isinstance(event.get("hashes"), dict),
        "signatures": _are_signatures(event.get("signatures")),
        "prev_events": _are_references(event.get("prev_events"), _MOST_PREV, version),
        "auth_events": _are_references(event.get("auth_events"), _MOST_AUTH, version),
    }
    if wrong := sorted(name for name, right in form.items() if not right):
        raise MalformedPdu(f"not of the form of room version {version.name}: {', '.join(wrong)}")


def _is_short_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return len(value.encode()) <= MAX_ID_BYTES
    except UnicodeEncodeError:
        return False


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= SAFE_INT


def _are_signatures(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    return all(
        isinstance(keys, dict) and all(isinstance(signature, str) for signature in keys.values())
        for keys in value.values()
    )


def _are_references(value: object, most: int, version: RoomVersion) -> bool:
    """Tell whether `value` lists events: their ids, or, in room versions 1 and 2, pairs of an id and hashes."""
    if not isinstance(value, list) or len(value) > most:
        return False
    if version.event_ids == "given":
        return all(isinstance(each, list) and len(each) == 2 and is_event_id(each[0]) for each in value)
    return all(is_event_id(each) for each in value)
