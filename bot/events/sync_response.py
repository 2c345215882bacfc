"""The parser of `/sync` answers: which rooms, what happened there, and the token to go on from.

Client-server API, section "Syncing", `GET /_matrix/client/v3/sync`; "Stripped state".

Rules kept here:
- Only an answer without `next_batch` raises, since without it nothing could be acknowledged.
- A malformed part becomes `Unreadable` in its place and affects nothing else.
- The order is the homeserver's.
- A timeline that is not certain to be complete counts as limited, because asking once too often is harmless.

Left to others: single events (`parse_event.py`), filling a limited timeline (`bot/sync/backfill.py`), who may invite
us, what the to-device messages and keys mean (`crypto/`). Presence, account data and receipts are ignored.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from moderation.values.errors import Invalid
from moderation.values.events import Json, Received, Unreadable
from moderation.values.ids import EventId, RoomId, UserId

from .parse_event import receive, receive_state, unreadable
from .parse_fields import event_id_of, list_of, object_of, room_id_of, token_of, user_id_of

NO_ROOM = RoomId("")  # for what belongs to no room

# Read only by the encryption ("Extensions to /sync" of the module "End-to-end encryption").
_ENCRYPTION_KEYS = ("device_lists", "device_one_time_keys_count", "device_unused_fallback_key_types")


@dataclass(frozen=True, slots=True)
class JoinedRoom:
    """A room we are in: its state before the timeline, then the timeline, oldest first."""

    room: RoomId
    state: tuple[Received, ...] = ()
    timeline: tuple[Received, ...] = ()
    limited: bool = False  # events may be missing before the timeline
    raw: Mapping[EventId, Json] = field(default_factory=dict, repr=False, compare=False)  # the timeline as it came


@dataclass(frozen=True, slots=True)
class Invite:
    """An invitation. `state` is the stripped state as received: claims of the inviting server."""

    room: RoomId
    inviter: UserId | None
    state: tuple[Mapping[str, Json], ...] = field(default=(), repr=False)
    direct: bool = False  # the inviter says that it is a room for two


@dataclass(frozen=True, slots=True)
class LeftRoom:
    """A room we have left or were removed from, with what we saw last."""

    room: RoomId
    timeline: tuple[Received, ...] = ()
    limited: bool = False  # this and `raw` as in `JoinedRoom`
    raw: Mapping[EventId, Json] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class SyncResponse:
    """One answer of `/sync`."""

    next_batch: str
    joined: tuple[JoinedRoom, ...] = ()
    invited: tuple[Invite, ...] = ()
    left: tuple[LeftRoom, ...] = ()
    to_device: tuple[Json, ...] = field(default=(), repr=False)  # as received
    encryption: Mapping[str, Json] = field(default_factory=dict, repr=False)  # device lists and key counts
    unreadable: tuple[Unreadable, ...] = ()  # what fits none of the above


class _Reader:
    """The reader of one answer, which collects what fits nowhere."""

    def __init__(self, now_ms: int, me: UserId | None) -> None:
        self.now_ms = now_ms
        self.me = me
        self.unreadable: list[Unreadable] = []

    def rooms(self, rooms: dict[str, Json], kind: str) -> Iterator[tuple[RoomId, dict[str, Json]]]:
        """Yield the rooms of one kind ("join", "invite", "leave")."""
        for key, value in self.object(rooms.get(kind), NO_ROOM, f"rooms.{kind}").items():
            room = room_id_of(key)
            if room is None:
                self._note(value, NO_ROOM, f"a key of rooms.{kind} is no room id")
            elif not isinstance(value, dict):
                self._note(value, room, f"the room in rooms.{kind} is no JSON object")
            else:
                yield room, value

    def joined(self, room: RoomId, raw: dict[str, Json]) -> JoinedRoom:
        timeline = raw.get("timeline")
        return JoinedRoom(
            room,
            state=self._events(raw.get("state"), room, receive_state, "state"),
            timeline=self._events(timeline, room, receive, "timeline"),
            limited=_is_limited(timeline),
            raw=_raw(timeline),
        )

    def invited(self, room: RoomId, raw: dict[str, Json]) -> Invite:
        block, state = self.object(raw.get("invite_state"), room, "invite_state"), []
        for event in self._list(block, room, "invite_state"):
            if isinstance(event, dict):
                state.append(event)
            else:
                self._note(event, room, "an event of invite_state is no JSON object")
        invitation = _invitation(state, self.me)
        inviter = user_id_of(invitation.get("sender"))
        direct = object_of(invitation.get("content")).get("is_direct") is True
        return Invite(room, inviter, tuple(state), direct)

    def left(self, room: RoomId, raw: dict[str, Json]) -> LeftRoom:
        timeline = raw.get("timeline")
        return LeftRoom(room, self._events(timeline, room, receive, "timeline"), _is_limited(timeline), _raw(timeline))

    def to_device(self, raw: Json) -> tuple[Json, ...]:
        return tuple(self._list(self.object(raw, NO_ROOM, "to_device"), NO_ROOM, "to_device"))

    def _events(
        self, block: Json, room: RoomId, read: Callable[[object, RoomId, int], Received], where: str
    ) -> tuple[Received, ...]:
        """Return the events of a block; a malformed block becomes one `Unreadable` in their place."""
        if block is None:
            return ()
        events = object_of(block).get("events", [] if isinstance(block, dict) else None)
        if not isinstance(events, list):
            return (unreadable(block, room, self.now_ms, f"{where}.events is no JSON array"),)
        return tuple([read(event, room, self.now_ms) for event in events])

    def object(self, value: Json, room: RoomId, where: str) -> dict[str, Json]:
        if not _is_absent_or_object(value):
            self._note(value, room, f"{where} is no JSON object")
        return object_of(value)

    def _list(self, block: dict[str, Json], room: RoomId, where: str) -> list[Json]:
        events = block.get("events", [])
        if isinstance(events, list):
            return events
        self._note(events, room, f"{where}.events is no JSON array")
        return []

    def _note(self, value: Json, room: RoomId, problem: str) -> None:
        self.unreadable.append(unreadable(value, room, self.now_ms, problem))


def read_sync(raw: object, now_ms: int, *, me: UserId | None = None) -> SyncResponse:
    """Read the answer `raw`, received at `now_ms`. Raises `Invalid` if it has no `next_batch`.

    With `me`, our own user id, an invitation of somebody else in the stripped state is not taken for ours.
    """
    fields = object_of(raw)
    next_batch = token_of(fields.get("next_batch"))
    if next_batch is None:
        raise Invalid(
            "the answer to /sync has no usable next_batch, so it is not one of a Matrix homeserver; "
            "check the homeserver address, and any proxy in between"
        )
    reader = _Reader(now_ms, me)
    rooms = reader.object(fields.get("rooms"), NO_ROOM, "rooms")
    joined = tuple([reader.joined(*room) for room in reader.rooms(rooms, "join")])
    invited = tuple([reader.invited(*room) for room in reader.rooms(rooms, "invite")])
    left = tuple([reader.left(*room) for room in reader.rooms(rooms, "leave")])
    to_device = reader.to_device(fields.get("to_device"))
    return SyncResponse(
        next_batch=next_batch,
        joined=joined,
        invited=invited,
        left=left,
        to_device=to_device,
        encryption={key: fields[key] for key in _ENCRYPTION_KEYS if key in fields},
        unreadable=tuple(reader.unreadable),
    )


def changed_lists(response: SyncResponse) -> tuple[UserId, ...]:
    """Return the users whose devices or keys changed.

    Section "Extensions to /sync" of the module "End-to-end encryption".
    """
    changed = object_of(response.encryption.get("device_lists")).get("changed")
    found = [user_id_of(each) for each in changed] if isinstance(changed, list) else []
    return tuple(user for user in found if user is not None)


def _is_absent_or_object(value: Json) -> bool:
    return value is None or isinstance(value, dict)


def _is_limited(timeline: Json) -> bool:
    return object_of(timeline).get("limited", False) is not False or not _is_absent_or_object(timeline)


def _raw(timeline: Json) -> dict[EventId, Json]:
    events = list_of(object_of(timeline).get("events"))
    found = [(event_id_of(object_of(event).get("event_id")), event) for event in events]
    return {event_id: event for event_id, event in found if event_id is not None}


def _invitation(state: list[dict[str, Json]], me: UserId | None) -> dict[str, Json]:
    """Return the invitation itself, the last `m.room.member` that is one; empty if there is none.

    The inviting server chooses the stripped state; our own homeserver appends the invitation itself. Neither `event_id`
    nor `origin_server_ts` is required: Synapse sends neither.
    """
    for event in reversed(state):
        invited = user_id_of(event.get("state_key"))
        if (
            event.get("type") == "m.room.member"
            and object_of(event.get("content")).get("membership") == "invite"
            and invited is not None
            and me in (None, invited)
        ):
            return event
    return {}
