"""Incoming events as frozen values, made once at the door by `bot/events/parse_event.py`.

Rules kept here:
- An event carries the time it was received (`received_ms`, taken once, at the door).
- It also carries the time its sender claims (`sent_ms`, never trusted).
- The raw `content` is kept for the record.
- The parts that rules look at are extracted beforehand and safe to use as they are.

Left to others: parsing (`bot/events/parse_event.py`), judging (`moderation/judge/judge.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from .ids import EventId, RoomId, UserId

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

Where = Literal[
    "body",
    "formatted",
    "caption",
    "filename",
    "poll",
    "display_name",
    "room_name",
    "topic",
    "reaction",
    "reason",
    "preview",
    "other",
]
SentKind = Literal["image", "video", "audio", "voice", "file", "sticker", "location"]
MediaKind = SentKind | Literal["preview", "avatar"]  # these stand for something else: a thumbnail, a face
Membership = Literal["join", "leave", "ban", "invite", "knock"]

_SENT = frozenset(get_args(SentKind))
IN_A_PLAIN_ROOM = "plain"  # the code of ciphertext in a room that is not encrypted
VERIFICATION_REQUEST = "m.key.verification.request"  # as a msgtype


@dataclass(frozen=True, slots=True)
class Text:
    """One piece of text that a person wrote, and where it stood."""

    where: Where
    value: str


@dataclass(frozen=True, slots=True)
class Media:
    """A file or picture in an event: its `mxc://` address and what its sender says about it."""

    kind: MediaKind
    mimetype: str | None = None
    size: int | None = None  # bytes
    url: str | None = None
    sealed: Mapping[str, Json] | None = field(default=None, repr=False)  # how to open it, if it is encrypted

    @property
    def is_sent(self) -> bool:
        """True if it was sent for its own sake, unlike a thumbnail or somebody's face."""
        return self.kind in _SENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The fields that every room event has."""

    room: RoomId
    event: EventId
    sender: UserId
    sent_ms: int  # the sender's claim
    received_ms: int
    type: str
    content: Mapping[str, Json] = field(repr=False)
    encrypted: bool = False
    media: tuple[Media, ...] = ()  # its files and pictures, those sent for their own sake first
    late: int = -1  # the record that said it could not be read, if its key came later
    heard_ms: int = 0  # if not received when it was said: when the homeserver had last been heard before; else 0

    @property
    def counted_ms(self) -> int:
        """The time at which it counts as said.

        Events read after an absence all arrive at once: for those the time of sending counts, as far as it can be
        believed.
        """
        return min(max(self.sent_ms, self.heard_ms), self.received_ms) if self.heard_ms else self.received_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePosted(Event):
    """A message, sticker, poll or edit.

    For an edit, `texts` holds the texts of `m.new_content` first, then those outside it.
    """

    texts: tuple[Text, ...] = ()
    quoted: tuple[Text, ...] = ()  # the quotation of the answered message that older clients put in front of a reply
    tallest: int = 0  # pixels that the tallest picture in its text is said to be high
    mentions: frozenset[UserId] = frozenset()  # `m.mentions` and matrix.to links of the formatted body
    mentions_room: bool = False
    reply_to: EventId | None = None
    thread: EventId | None = None
    replaces: EventId | None = None
    is_notice: bool = False  # `m.notice`: another bot; never answered

    @property
    def body(self) -> str:
        """The plain text that a client would show first; empty if there is none."""
        return self.texts[0].value if self.texts else ""

    @property
    def asks_to_verify(self) -> str:
        """The user whom this asks to compare keys ("Key verification framework"); empty if it asks nobody."""
        asked = self.content.get("to") if self.content.get("msgtype") == VERIFICATION_REQUEST else None
        return asked if isinstance(asked, str) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted(Event):
    """`m.room.redaction`: somebody took back or removed the event `target`."""

    target: EventId
    reason: str | None = None
    texts: tuple[Text, ...] = ()  # the reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactionGiven(Event):
    """`m.reaction`: `key` (an emoji, mostly) on the event `target`."""

    target: EventId
    key: str
    texts: tuple[Text, ...] = ()  # the key


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipChanged(Event):
    """`m.room.member`: `sender` has made `user` a `membership`."""

    user: UserId
    membership: Membership
    display_name: str | None = None
    reason: str | None = None
    texts: tuple[Text, ...] = ()  # one's own display name and reason; of an invitation the reason


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged(Event):
    """Any other state event."""

    state_key: str
    texts: tuple[Text, ...] = ()  # room name or topic; for other types what a client may show


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecryptable(Event):
    """An `m.room.encrypted` event for which the bot has no key."""

    session: str | None = None
    code: str = "-"  # why its sender gives the bot no key, or what else is wrong with it
    removed_by: UserId | None = None  # of a message that was removed before it could be read: who removed it
    removed_ms: int = 0  # and when, as their homeserver claims


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherEvent(Event):
    """A well-formed event of a type that nothing here interprets; it is recorded nevertheless.

    `texts` are what a client that knows the type may show of it.
    """

    texts: tuple[Text, ...] = ()
    removed_by: UserId | None = None  # who removed its content, if the homeserver says so
    removed_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSeen(Event):
    """A file of the event `event`, whose content became known later: it is judged then, for what is in it.

    It is made from records alone, so that they can be judged again without the file.
    """

    message: int  # the record of the event
    said: str = ""  # its text
    sha256: str = ""
    pdq: tuple[int, ...] = ()  # of a picture; several of one that moves
    plugin: str = ""  # the name of the one that gave it the labels
    labels: Mapping[str, int] = field(default_factory=dict)  # scores from 0 to 1000
    gone: bool = False  # whether a measure removes the event already
    known: frozenset[str] = frozenset()  # the rules of the cases in which the event is evidence
    texts: tuple[Text, ...] = ()  # they were judged with the event


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Data that is not an event as the specification has it. It never raises an exception and is never lost."""

    room: RoomId
    received_ms: int
    problem: str  # which field was wrong, in English, for the record
    event: EventId | None = None
    sender: UserId | None = None
    raw: str = field(default="", repr=False)  # as received, cut at 64 KiB


Received = (
    MessagePosted
    | Redacted
    | ReactionGiven
    | MembershipChanged
    | StateChanged
    | Undecryptable
    | OtherEvent
    | Unreadable
)
