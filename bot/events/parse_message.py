"""The parser of messages, stickers, polls and edits: whom they name, what they answer or replace, what they carry.

Client-server API, sections "Event replacements", "Rich replies", "Threading", "User and room mentions", "m.room.message
msgtypes", "Sticker messages"; polls: MSC3381.

Rules kept here:
- An optional field of the wrong type counts as missing.
- An edit that clients would not apply (no `m.new_content`) is a message of its own.
- Nothing raises but `Malformed`, for a message that says nothing in any field we know.

Left to others: the envelope (`parse_event.py`), the texts (`parse_texts.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

from moderation.values.events import Json, Media, MessagePosted, Text
from moderation.values.ids import EventId, RoomId, UserId

from .parse_fields import event_id_of, list_of, object_of, text_of, user_id_of
from .parse_media import each_once, media_of, pictures_in
from .parse_texts import Texts, message_texts, poll_texts, quoted_texts, texts_of

_PLAIN_KEYS = frozenset({"body", "msgtype", "m.mentions"})
_NOBODY: frozenset[UserId] = frozenset()


class Malformed(ValueError):
    """The event is not as specified; the text names the field."""


class Envelope(TypedDict):
    """The fields of `moderation.values.events.Event`, as arguments."""

    room: RoomId
    event: EventId
    sender: UserId
    sent_ms: int
    received_ms: int
    type: str
    content: dict[str, Json]
    encrypted: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """The valid parts of `m.relates_to`."""

    reply_to: EventId | None = None
    thread: EventId | None = None
    replaces: EventId | None = None


def message(envelope: Envelope) -> MessagePosted:
    """Read an `m.room.message` of any `msgtype`."""
    content = envelope["content"]
    if content.keys() <= _PLAIN_KEYS and not content.get("m.mentions"):
        body = text_of(content.get("body"))  # the fast path, which nearly every message takes
        if body and content.get("msgtype") == "m.text":
            plain = (Text("body", body),) if body.isascii() else texts_of("body", body)
            return MessagePosted(**envelope, texts=plain)
    relation = relation_of(content)
    current = object_of(content["m.new_content"]) if relation.replaces else content
    texts = message_texts(current, is_reply=relation.reply_to is not None)
    files = [*media_of(current)]
    if relation.replaces:  # shown by notifications, and by clients that do not know edits
        _add_outside(texts, content)
        files += media_of({key: value for key, value in content.items() if key != "m.new_content"})
    if not (texts.found or files or texts.pictures) and text_of(current.get("body")) is None:
        raise Malformed("content.body is missing or no text")
    return _posted(envelope, relation, texts, files)


def sticker(envelope: Envelope) -> MessagePosted:
    """Read an `m.sticker`."""
    relation = relation_of(envelope["content"])
    texts = message_texts(envelope["content"], is_reply=relation.reply_to is not None)
    return _posted(envelope, relation, texts, media_of(envelope["content"], "sticker"))


def poll(envelope: Envelope) -> MessagePosted:
    """Read an `m.poll.start`, by its stable or unstable name."""
    content = envelope["content"]
    relation = relation_of(content)
    texts = poll_texts(object_of(content["m.new_content"]) if relation.replaces else content)
    if relation.replaces:
        for text in poll_texts(content).found:
            texts.add(text.where, _without_star(text.value))
    if not texts.found:
        raise Malformed("the poll has no question")
    return _posted(envelope, relation, texts, media_of(content))


def _add_outside(texts: Texts, content: dict[str, Json]) -> None:
    """Add what an edit says outside its new content, without the star that marks it there."""
    outside = message_texts(content, is_reply=False)
    texts.include(outside)
    for text in outside.found:
        texts.add(text.where, _without_star(text.value))


def _without_star(text: str) -> str:
    return text.lstrip().removeprefix("*").lstrip() if text.lstrip().startswith("*") else text


def relation_of(content: dict[str, Json]) -> Relation:
    """Return what the event relates to. A thread's reply that is only for older clients does not count as a reply."""
    relates = object_of(content.get("m.relates_to"))
    if not relates:
        return Relation()
    kind, target = relates.get("rel_type"), event_id_of(relates.get("event_id"))
    thread = target if kind == "m.thread" else None
    reply_to = event_id_of(object_of(relates.get("m.in_reply_to")).get("event_id"))
    if thread and relates.get("is_falling_back") is True:
        reply_to = None
    is_edit = kind == "m.replace" and isinstance(content.get("m.new_content"), dict)
    # An edit cannot become a reply, and its new content holds no quotation ("Editing encrypted events").
    return Relation(None, None, target) if is_edit and target else Relation(reply_to, thread)


def _posted(envelope: Envelope, relation: Relation, texts: Texts, files: Iterable[Media]) -> MessagePosted:
    content = envelope["content"]
    current = object_of(content["m.new_content"]) if relation.replaces else content
    mentions, room = texts.mentions, False
    quoted = quoted_texts(content) if relation.reply_to else Texts()
    # An edit names those it newly notifies outside, and all of them inside.
    for part in (content, current):
        named = object_of(part.get("m.mentions"))
        mentions |= {user for user in map(user_id_of, list_of(named.get("user_ids"))) if user}
        room = room or named.get("room") is True
    return MessagePosted(
        **envelope,
        texts=tuple(texts.found),
        quoted=tuple(quoted.found),
        media=each_once([*files, *pictures_in(texts.pictures), *pictures_in(quoted.pictures, kind="preview")]),
        tallest=texts.tallest,
        mentions=frozenset(mentions) if mentions else _NOBODY,
        mentions_room=room,
        reply_to=relation.reply_to,
        thread=relation.thread,
        replaces=relation.replaces,
        is_notice=current.get("msgtype") == "m.notice",
    )
