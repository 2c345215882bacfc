"""Events as rules see them, for the tests in this folder."""

from collections.abc import Mapping

from moderation.values.events import FileSeen, Json, Media, MembershipChanged, MessagePosted, Text, Where
from moderation.values.ids import EventId, RoomId, UserId

ROOM, EVENT, SENDER = RoomId("!r:example.org"), EventId("$e"), UserId("@sender:example.org")


def posted(
    *bodies: str | Text,
    formatted: str | None = None,
    media: tuple[Media, ...] = (),
    mentions: frozenset[UserId] = frozenset(),
    mentions_room: bool = False,
    replaces: EventId | None = None,
    at: int = 0,
) -> MessagePosted:
    """Return a message with these texts; plain strings are in the body."""
    content: dict[str, Json] = {"msgtype": "m.text"}
    if formatted is not None:
        content["formatted_body"] = formatted
    return MessagePosted(
        room=ROOM,
        event=EVENT,
        sender=SENDER,
        sent_ms=at,
        received_ms=at,
        type="m.room.message",
        content=content,
        texts=tuple(Text("body", body) if isinstance(body, str) else body for body in bodies),
        media=media,
        mentions=mentions,
        mentions_room=mentions_room,
        replaces=replaces,
    )


def named(name: str, where: Where = "display_name") -> MembershipChanged:
    """Return a person who joined under a display name."""
    return MembershipChanged(
        room=ROOM,
        event=EVENT,
        sender=SENDER,
        sent_ms=0,
        received_ms=0,
        type="m.room.member",
        content={},
        user=SENDER,
        membership="join",
        display_name=name,
        texts=(Text(where, name),),
    )


def labelled(plugin: str, labels: Mapping[str, int]) -> FileSeen:
    """Return a file to which a plug-in gave labels."""
    return FileSeen(
        room=ROOM,
        event=EVENT,
        sender=SENDER,
        sent_ms=0,
        received_ms=0,
        type="",
        content={},
        message=0,
        plugin=plugin,
        labels=labels,
    )
