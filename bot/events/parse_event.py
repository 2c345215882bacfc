"""The parser of events: one raw event of the homeserver becomes one frozen event of `moderation/values/events.py`.

Client-server API, section "Types of room events"; redactions: "Redactions" and the room versions.

Rules kept here:
- `receive` never raises, whatever the JSON. What is not an event as specified becomes `Unreadable`, with the problem
  named and the raw text kept.
- Only a fault in something that the event cannot be understood without makes it unreadable: a message that clients
  would show must not escape judgement by a broken detail.
- What rules look at (ids, texts, numbers) is checked and safe to use; `content` is as received.
- The room is the one the homeserver filed the event under.

Left to others: which rooms and in which order (`sync_response.py`), decryption (`crypto/`; it calls `receive` again
with `encrypted=True`), fitting `content` into a record (`storage/journal/canonical.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from moderation.values.events import (
    Json,
    Media,
    Membership,
    MembershipChanged,
    OtherEvent,
    ReactionGiven,
    Received,
    Redacted,
    StateChanged,
    Text,
    Undecryptable,
    Unreadable,
)
from moderation.values.ids import RoomId

from .parse_fields import event_id_of, filled_text_of, name_of, object_of, text_of, time_of, user_id_of, written_out
from .parse_media import each_once, kind_of_type, media_of, mxc_of, pictures_in
from .parse_message import Envelope, Malformed, message, poll, sticker
from .parse_texts import leaf_texts, texts_of, topic_texts

_OF_PROGRAMS = (
    "m.key.",
    "m.call.",
    "m.rtc.",
    "m.secret.",
    "org.matrix.call.",
    "org.matrix.msc3401.",
    "org.matrix.msc4143.",
)
_MEMBERSHIPS: Mapping[object, Membership] = {
    "join": "join",
    "leave": "leave",
    "ban": "ban",
    "invite": "invite",
    "knock": "knock",
}
SHOWS_SOMETHING = frozenset({"m.room.message", "m.sticker", "m.poll.start", "org.matrix.msc3381.poll.start"})


def receive(raw: object, room: RoomId, received_ms: int, *, encrypted: bool = False) -> Received:
    """Return the event `raw`, which the homeserver delivered for `room`. Never raises."""
    try:
        fields = _fields(raw)
        envelope = _envelope(fields, room, received_ms, encrypted)
        if _is_stripped(fields, envelope):
            return _stripped(fields, envelope)
        if "state_key" in fields:
            return _state(fields, envelope)
        if envelope["type"] == "m.room.redaction":
            return _redaction(fields, envelope)
        return _READERS.get(envelope["type"], _other)(envelope)
    except Malformed as wrong:
        return unreadable(raw, room, received_ms, str(wrong))


def receive_state(raw: object, room: RoomId, received_ms: int) -> Received:
    """Return an event of the `state` part of a response, as `receive`; without a `state_key` it is unreadable."""
    if isinstance(raw, dict) and "state_key" not in raw:
        return unreadable(raw, room, received_ms, "state_key is missing")
    return receive(raw, room, received_ms)


def unreadable(raw: object, room: RoomId, received_ms: int, problem: str) -> Unreadable:
    """Return what can be said of something that is not an event."""
    fields = object_of(raw)
    return Unreadable(
        room=room,
        received_ms=received_ms,
        problem=problem,
        event=event_id_of(fields.get("event_id")),
        sender=user_id_of(fields.get("sender")),
        raw=written_out(raw),
    )


def _fields(raw: object) -> dict[str, Json]:
    if not isinstance(raw, dict):
        raise Malformed("the event is no JSON object")
    return cast("dict[str, Json]", raw)


def _envelope(fields: dict[str, Json], room: RoomId, received_ms: int, encrypted: bool) -> Envelope:
    event, sender = event_id_of(fields.get("event_id")), user_id_of(fields.get("sender"))
    if event is None:
        raise Malformed("event_id is missing or no event id")
    if sender is None:
        raise Malformed("sender is missing or no user id")
    kind, content = name_of(fields.get("type")), fields.get("content")
    if kind is None:
        raise Malformed("type is missing or no name of at most 255 bytes")
    if not isinstance(content, dict):
        raise Malformed("content is missing or no JSON object")
    sent_ms = time_of(fields.get("origin_server_ts"))
    if sent_ms is None:
        raise Malformed("origin_server_ts is missing or no number")
    return {
        "room": room,
        "event": event,
        "sender": sender,
        "sent_ms": sent_ms,
        "received_ms": received_ms,
        "type": kind,
        "content": content,
        "encrypted": encrypted,
    }


def _is_stripped(fields: dict[str, Json], envelope: Envelope) -> bool:
    """Tell whether the homeserver has removed the content after a redaction ("Redactions")."""
    if not object_of(fields.get("unsigned")).get("redacted_because"):
        return False
    # Some room versions leave a relation. State such as a membership stays, and stays in force.
    return not envelope["content"] or (
        envelope["type"] in SHOWS_SOMETHING and envelope["content"].keys() <= {"m.relates_to"}
    )


def _stripped(fields: dict[str, Json], envelope: Envelope) -> OtherEvent:
    because = object_of(object_of(fields.get("unsigned")).get("redacted_because"))
    by, at = user_id_of(because.get("sender")), time_of(because.get("origin_server_ts"))
    return OtherEvent(**envelope, removed_by=by, removed_ms=at or 0)


def _state(fields: dict[str, Json], envelope: Envelope) -> Received:
    state_key = name_of(fields["state_key"])
    if state_key is None:
        raise Malformed("state_key is no text of at most 255 bytes")
    if envelope["type"] == "m.room.member":
        return _membership(state_key, envelope)
    texts, media = _shown_state(envelope)
    return StateChanged(**envelope, state_key=state_key, texts=texts, media=media)


def _shown_state(envelope: Envelope) -> tuple[tuple[Text, ...], tuple[Media, ...]]:
    """Return the texts and files of a state event."""
    content, kind = envelope["content"], envelope["type"]
    if kind == "m.room.topic":
        return tuple(topic_texts(content).found), ()
    if kind == "m.room.name":
        return texts_of("room_name", text_of(content.get("name"))), ()
    if kind == "m.room.avatar":
        return (), each_once(media_of(content, "avatar"))
    if not _is_shown_state(kind):
        return (), ()
    texts = leaf_texts(content)
    return tuple(texts.found), each_once([*media_of(content), *pictures_in(texts.pictures, kind="preview")])


def _is_shown_state(kind: str) -> bool:
    """Tell whether a client may show what state of this type says: beacons, widgets, collections of emoji."""
    return not _is_protocol(kind) and not kind.startswith("m.room.")


def _membership(state_key: str, envelope: Envelope) -> MembershipChanged:
    content, user = envelope["content"], user_id_of(state_key)
    if user is None:
        raise Malformed("state_key of m.room.member is no user id")
    given = content.get("membership")
    membership = _MEMBERSHIPS.get(given) if isinstance(given, str) else None
    if membership is None:
        raise Malformed("content.membership is missing or none that exists")
    name = filled_text_of(content.get("displayname"))
    reason, own = text_of(content.get("reason")), user == envelope["sender"]
    says = reason if own or membership == "invite" else None  # a removal's reason is the room's word to them
    face = mxc_of(content.get("avatar_url")) if own and membership == "join" else None
    theirs = membership == "invite" or (own and membership == "leave")  # then the name need not be judged
    return MembershipChanged(
        **envelope,
        user=user,
        membership=membership,
        display_name=name,
        reason=reason,
        texts=(*texts_of("display_name", None if theirs else name), *texts_of("reason", says)),
        media=(Media("avatar", url=face),) if face else (),
    )


def _redaction(fields: dict[str, Json], envelope: Envelope) -> Redacted:
    # In `content` since room version 11. Servers copy the target to the other place as well, and a client
    # could not have written what stands at the top level: so that goes first.
    content = envelope["content"]
    target = event_id_of(fields.get("redacts")) or event_id_of(content.get("redacts"))
    if target is None:
        raise Malformed("redacts is missing or no event id")
    reason = text_of(content.get("reason"))
    return Redacted(**envelope, target=target, reason=reason, texts=texts_of("reason", reason))


def _reaction(envelope: Envelope) -> ReactionGiven:
    relates = object_of(envelope["content"].get("m.relates_to"))
    target, key = event_id_of(relates.get("event_id")), text_of(relates.get("key"))
    if relates.get("rel_type") != "m.annotation" or target is None or key is None:
        raise Malformed("content.m.relates_to is no m.annotation with event_id and key")
    name = text_of(envelope["content"].get("shortcode")) or text_of(
        envelope["content"].get("com.beeper.reaction.shortcode")
    )
    picture = (Media("sticker", url=url),) if (url := mxc_of(key)) else ()
    return ReactionGiven(**envelope, target=target, key=key, texts=texts_of("reaction", key, name), media=picture)


def _ciphertext(envelope: Envelope) -> Undecryptable:
    envelope["encrypted"] = True
    return Undecryptable(**envelope, session=text_of(envelope["content"].get("session_id")))


def _member_without_key(_envelope: Envelope) -> Received:
    raise Malformed("state_key of m.room.member is missing")


def _other(envelope: Envelope) -> Received:
    content, kind = envelope["content"], envelope["type"]
    if _is_protocol(kind):
        return OtherEvent(**envelope)
    sent, texts = kind_of_type(kind), leaf_texts(content)
    files = (
        replace(each, kind=sent) if each.kind == "preview" else each for each in media_of(content, sent) if each.url
    )
    media = each_once([*files, *pictures_in(texts.pictures)])
    return OtherEvent(**envelope, texts=tuple(texts.found), media=media)


def _is_protocol(kind: str) -> bool:
    """Tell whether events of this type are for programs (keys, calls). No client shows their texts."""
    return kind.startswith(_OF_PROGRAMS)


_READERS: Mapping[str, Callable[[Envelope], Received]] = {
    "m.room.message": message,
    "m.sticker": sticker,
    "m.poll.start": poll,
    "org.matrix.msc3381.poll.start": poll,
    "m.reaction": _reaction,
    "m.room.encrypted": _ciphertext,
    "m.room.member": _member_without_key,
}
