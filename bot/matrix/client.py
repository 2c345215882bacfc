"""The port to Matrix: what the bot asks of the homeserver, one method a request.

Rules kept here:
- Answers are the server's JSON as it came; events are never interpreted here.
- Every method does one request (or says otherwise), with a deadline, and raises one of `errors.py`.
- Nothing is retried and no 429 is waited for, since only the caller knows what is more urgent.
- Every id is quoted. A room id may or may not have a domain: in room version 12 it has none, so joining such a room
  over federation needs `via`.

Left to others: logging in (`login.py`, re-exported here), Synapse's admin API (`synapse_admin.py`), parsing events and
filling gaps (`bot/events/parse_event.py`), order and retries (`bot/outbox/dispatcher.py`), encryption (`bot/crypto/`).

Specification: Matrix client-server API v1.19; each method names its section.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import orjson

from moderation.values.errors import Invalid
from moderation.values.ids import EventId, RoomId, UserId

from .errors import NotFound, Unreachable
from .http import MEDIA, MSC4194, V1, V3, Ask, Wire, decode, text_in
from .login import Session, log_in_with_password, log_in_with_token

__all__ = [
    "REDACT_EVENTS",
    "Homeserver",
    "Session",
    "log_in_with_password",
    "log_in_with_token",
]

Content = Mapping[str, Any]

REDACT_EVENTS: Final = "org.matrix.msc4293.redact_events"  # MSC4293, not yet in the specification
REDACT_ALL: Final = "org.matrix.msc4194"  # MSC4194, as the server names it in `unstable_features`
MAX_DOWNLOAD: Final = 100 * 1024 * 1024  # evidence larger than this is recorded by name only

_SLOW_S = 120.0  # joining over federation, members of a large room, files: the server needs time
_REDACT_AT_ONCE = 200
_PAGES = 20  # of the rooms of a space: Synapse gives 50 on one
_KEYS_MS = 10_000  # how long the server may wait for other servers
_FIRST_SYNC_S = 300.0  # Synapse builds the whole first answer before it sends a byte


class Homeserver:
    """One account's view of its homeserver. Make it anywhere, use and close it in one event loop.

    It opens a wire of its own if none is given.
    """

    def __init__(self, session: Session, wire: Wire | None = None, *, request_timeout_s: float = 30.0) -> None:
        self.session = session
        self.wire = wire or Wire(session.url, token=session.token, timeout_s=request_timeout_s)
        self._timeout_s = request_timeout_s

    def __repr__(self) -> str:
        return f"Homeserver({self.session!r})"

    @property
    def user(self) -> UserId:
        """The bot's own user id."""
        return self.session.user

    async def close(self) -> None:
        """Release every connection."""
        await self.wire.close()

    # The account

    async def whoami(self) -> dict[str, Any]:
        """Return `user_id`, `device_id`, `is_guest`. Section "GET /account/whoami"."""
        return await self._get("account", "whoami")

    async def versions(self) -> dict[str, Any]:
        """Return the `versions` and `unstable_features` of the server. Section "GET /versions"."""
        return await self._get("versions", base="/_matrix/client")

    async def account_data(self, type: str) -> dict[str, Any] | None:
        """Return our own global account data; None if it was never set. Section "Client Config"."""
        try:
            return await self._get("user", self.user, "account_data", type)
        except NotFound:
            return None

    async def set_account_data(self, type: str, content: Content) -> None:
        """Set our own global account data. Section "Client Config"."""
        await self._put("user", self.user, "account_data", type, json=content)

    async def profile(self) -> dict[str, Any]:
        """Return our own `displayname`, `avatar_url` ...; empty if none is set. Section "Profiles"."""
        try:
            return await self._get("profile", self.user)
        except NotFound:
            return {}

    async def set_profile(self, field: Literal["displayname", "avatar_url"], value: str) -> None:
        """Set a field of our own profile. Section "Profiles"."""
        await self._put("profile", self.user, field, json={field: value})

    # Reading

    async def sync(
        self,
        since: str | None,
        *,
        timeout_ms: int,
        filter: Content | str | None = None,
        full_state: bool = False,
    ) -> dict[str, Any]:
        """Return the raw answer of /sync. Section "Syncing".

        `filter` is a filter id or the filter itself. The server holds an empty answer back for `timeout_ms`; the
        deadline is that and a margin.
        """
        query = {"timeout": str(timeout_ms)}
        if since is not None:
            query["since"] = since
        if filter is not None:
            query["filter"] = filter if isinstance(filter, str) else orjson.dumps(filter).decode()
        if full_state:
            query["full_state"] = "true"
        margin_s = _FIRST_SYNC_S if since is None or full_state else self._timeout_s
        ask = Ask(
            method="GET",
            segments=("sync",),
            query=tuple(query.items()),
            timeout_s=timeout_ms / 1000 + margin_s,
        )
        answer = await self.wire.ask(ask)
        text_in(ask, answer, "next_batch")  # without it, the next sync would have to start over
        return answer

    async def messages(
        self,
        room: RoomId,
        *,
        from_token: str | None,
        direction: Literal["b", "f"],
        to_token: str | None = None,
        limit: int = 100,
        sender: UserId | None = None,
    ) -> dict[str, Any]:
        """Return `chunk`, `start`, and `end` unless that was all. Section "GET /rooms/{roomId}/messages".

        Without `from_token` it begins at the newest ("b") or the oldest ("f") event we may see. An empty `chunk` with
        an `end` is not the end: ask on from there.
        """
        query = {"dir": direction, "limit": str(limit)}
        if from_token is not None:
            query["from"] = from_token
        if to_token is not None:
            query["to"] = to_token
        if sender is not None:
            query["filter"] = orjson.dumps({"senders": [sender]}).decode()
        return await self._get("rooms", room, "messages", query=query.items())

    async def event(self, room: RoomId, event: EventId) -> dict[str, Any]:
        """Return an event. Section "GET /rooms/{roomId}/event/{eventId}".

        Raises `NotFound` also if we may not see it.
        """
        return await self._get("rooms", room, "event", event)

    async def event_before_redaction(self, room: RoomId, event: EventId) -> dict[str, Any]:
        """Return an event with its redacted content (MSC2815). Raises `Answered` if that is gone, or kept from us."""
        query = (("fi.mau.msc2815.include_unredacted_content", "true"),)
        return await self._get("rooms", room, "event", event, query=query)

    async def members(self, room: RoomId, *, membership: str | None = None) -> list[dict[str, Any]]:
        """Return raw `m.room.member` events, of one membership or all. Section "GET /rooms/{roomId}/members"."""
        query = () if membership is None else (("membership", membership),)
        return await self._get_list("rooms", room, "members", under="chunk", query=query)

    async def state(self, room: RoomId, *, at_most: int | None = None) -> list[dict[str, Any]]:
        """Return all current state events, including all members. Section "GET /rooms/{roomId}/state".

        An answer of more than `at_most` bytes raises `TooLarge`.
        """
        ask = Ask(method="GET", segments=("rooms", room, "state"), timeout_s=_SLOW_S)
        body = await self.wire.ask_bytes(ask, at_most=at_most)
        try:  # in a thread: the state of a large room is some megabytes
            answer = await asyncio.to_thread(decode, body)
        except ValueError as problem:
            raise Unreachable(f"an answer that is not JSON: {problem}", request=str(ask)) from None
        if not isinstance(answer, list):
            raise Unreachable("an answer that is no JSON array", request=str(ask))
        return answer

    async def state_at(self, room: RoomId, event: EventId) -> list[dict[str, Any]]:
        """Return all state events, members too, as of `event`. Section "GET /rooms/{roomId}/context/{eventId}"."""
        return await self._get_list("rooms", room, "context", event, under="state", query=(("limit", "0"),))

    async def state_event(self, room: RoomId, type: str, state_key: str = "") -> dict[str, Any] | None:
        """Return the content of a state event; None if not set.

        Section "GET /rooms/{roomId}/state/{eventType}/{stateKey}".
        """
        try:
            return await self._get("rooms", room, "state", type, *_key(state_key))
        except NotFound:
            return None

    async def whole_state_event(self, room: RoomId, type: str, state_key: str) -> dict[str, Any]:
        """Return a whole state event: the same section, with `format=event`. Raises `NotFound` if not set."""
        return await self._get("rooms", room, "state", type, *_key(state_key), query=(("format", "event"),))

    async def joined_rooms(self) -> list[RoomId]:
        """Return the rooms we are in. Section "GET /joined_rooms"."""
        return await self._get_list("joined_rooms", under="joined_rooms")

    async def space_rooms(self, space: RoomId) -> AsyncIterator[dict[str, Any]]:
        """Yield the summary of each room that a space lists and we may see. Section "GET /rooms/{roomId}/hierarchy"."""
        more: dict[str, str] = {}
        for _ in range(_PAGES):
            query = {"max_depth": "1", **more}
            answer = await self._get("rooms", space, "hierarchy", base=V1, query=query.items())
            rooms = answer.get("rooms")
            for each in rooms if isinstance(rooms, list) else ():
                if isinstance(each, dict) and each.get("room_id") != space:
                    yield each
            if not isinstance(token := answer.get("next_batch"), str):
                return
            more = {"from": token}

    async def keys_query(self, users: Sequence[UserId]) -> dict[str, Any]:
        """Return `device_keys`, `master_keys`, `failures` ... Section "POST /keys/query".

        Users of servers that are away are left out.
        """
        asked = {"device_keys": {user: [] for user in users}, "timeout": _KEYS_MS}
        return await self.wire.ask(Ask(method="POST", segments=("keys", "query"), json=asked))

    # Acting on events

    async def send(self, room: RoomId, type: str, content: Content, txn: str) -> EventId:
        """Send an event; return its id. Section "PUT /rooms/{roomId}/send/{eventType}/{txnId}".

        The same `txn` of the same device is one event, however often it is sent, and returns the same id again.
        """
        return await self._put_event("rooms", room, "send", type, txn, json=content)

    async def redact(self, room: RoomId, event: EventId, txn: str, reason: str | None = None) -> EventId:
        """Redact an event; return the id of the redaction; `txn` as for `send`. Section "Redactions"."""
        return await self._put_event("rooms", room, "redact", event, txn, json=_reason(reason))

    async def redact_all(self, room: RoomId, user: UserId, reason: str | None = None) -> bool:
        """Redact what a user has written, the newest first (MSC4194, unstable). Return whether there is more.

        Raises `Rejected` or `NotFound` if the server does not know it.
        """
        segments = ("rooms", room, "redact", "user", user)
        query = (("limit", str(_REDACT_AT_ONCE)),)
        ask = Ask(method="POST", base=MSC4194, segments=segments, query=query, json=_reason(reason), timeout_s=_SLOW_S)
        return (await self.wire.ask(ask)).get("is_more_events") is True

    async def set_state(self, room: RoomId, type: str, content: Content, state_key: str = "") -> EventId:
        """Set a state event; return its id. Section "PUT /rooms/{roomId}/state/{eventType}/{stateKey}".

        Synapse answers a repeat that changes nothing with the id of the existing event.
        """
        return await self._put_event("rooms", room, "state", type, *_key(state_key), json=content)

    # Acting on people

    async def invite(self, room: RoomId, user: UserId, reason: str | None = None) -> None:
        """Invite a user. Section "POST /rooms/{roomId}/invite".

        Raises `Forbidden` with `M_INVITE_BLOCKED` if they refuse all invitations.
        """
        await self._post("rooms", room, "invite", json={"user_id": user, **_reason(reason)})

    async def kick(self, room: RoomId, user: UserId, reason: str | None = None) -> None:
        """Remove a user. Section "POST /rooms/{roomId}/kick". Also withdraws an invite and refuses a knock."""
        await self._post("rooms", room, "kick", json={"user_id": user, **_reason(reason)})

    async def ban(self, room: RoomId, user: UserId, reason: str | None = None, *, redact_events: bool = False) -> None:
        """Ban a user. Section "POST /rooms/{roomId}/ban".

        With `redact_events` (MSC4293) servers and clients that know it also hide all that `user` sent (decision 0041).
        Nobody may rely on it: Synapse 1.163 has it off by default. /ban may drop the flag, so the membership is then
        set as a state event.
        """
        if redact_events:
            content = {"membership": "ban", **_reason(reason), REDACT_EVENTS: True}
            await self.set_state(room, "m.room.member", content, user)
        else:
            await self._post("rooms", room, "ban", json={"user_id": user, **_reason(reason)})

    async def unban(self, room: RoomId, user: UserId, reason: str | None = None) -> None:
        """End a ban. Section "POST /rooms/{roomId}/unban". Raises `Forbidden` for a member who is not banned."""
        await self._post("rooms", room, "unban", json={"user_id": user, **_reason(reason)})

    # Rooms

    async def create_room(self, body: Content) -> RoomId:
        """Make a room; return its id. Section "POST /createRoom".

        Not idempotent: after `Unreachable`, look in `joined_rooms`.
        """
        ask = Ask(method="POST", segments=("createRoom",), json=body, timeout_s=_SLOW_S)
        return RoomId(text_in(ask, await self.wire.ask(ask), "room_id"))

    async def join(self, room: str, via: Sequence[str] = ()) -> RoomId:
        """Join a room; return its id. Section "POST /join/{roomIdOrAlias}".

        `via`: servers to join through, in addition to our own.
        """
        query = tuple(("via", server) for server in via)
        ask = Ask(method="POST", segments=("join", room), query=query, json={}, timeout_s=_SLOW_S)
        return RoomId(text_in(ask, await self.wire.ask(ask), "room_id"))

    async def resolve(self, alias: str) -> tuple[RoomId, tuple[str, ...]]:
        """Return the room that an alias names, and servers to join through. Section "GET /directory/room/{roomAlias}".

        Raises `NotFound` if it names none.
        """
        ask = Ask(method="GET", segments=("directory", "room", alias), timeout_s=_SLOW_S)
        answer = await self.wire.ask(ask)
        servers = answer.get("servers")
        through = tuple(each for each in servers if isinstance(each, str)) if isinstance(servers, list) else ()
        return RoomId(text_in(ask, answer, "room_id")), through

    async def leave(self, room: RoomId, reason: str | None = None) -> None:
        """Leave a room, or refuse an invite. Section "POST /rooms/{roomId}/leave"."""
        await self._post("rooms", room, "leave", json=_reason(reason))

    async def forget(self, room: RoomId) -> None:
        """Give up access to a room's history. Leave it first. Section "POST /rooms/{roomId}/forget"."""
        await self._post("rooms", room, "forget", json={})

    # Files

    async def upload(self, data: bytes, mimetype: str, filename: str) -> str:
        """Upload a file; return its `mxc://` address. Section "Content repository", POST /upload."""
        ask = Ask(
            method="POST",
            base=MEDIA,
            segments=("upload",),
            query=(("filename", filename),),
            data=data,
            mimetype=mimetype,
            timeout_s=_SLOW_S,
        )
        return text_in(ask, await self.wire.ask(ask), "content_uri")

    async def download(self, mxc: str, *, at_most: int = MAX_DOWNLOAD) -> bytes:
        """Download a file, with our token (v1.11).

        Section "Content repository", GET /_matrix/client/v1/media/download. Raises `Invalid` for anything but an
        `mxc://` address, `TooLarge` if more than `at_most` bytes come.
        """
        server, _, media = mxc.removeprefix("mxc://").partition("/")
        if not mxc.startswith("mxc://") or not server or not media or "/" in media:
            raise Invalid(f"not the address of a Matrix file: {mxc[:100]!r}")
        ask = Ask(method="GET", base=V1, segments=("media", "download", server, media), timeout_s=_SLOW_S)
        return await self.wire.ask_bytes(ask, at_most=at_most)

    async def _get(
        self,
        *segments: str,
        base: str = V3,
        query: Iterable[tuple[str, str]] = (),
    ) -> dict[str, Any]:
        return await self.wire.ask(Ask(method="GET", base=base, segments=segments, query=tuple(query)))

    async def _get_list(self, *segments: str, under: str, query: tuple[tuple[str, str], ...] = ()) -> list[Any]:
        ask = Ask(method="GET", segments=segments, query=query, timeout_s=_SLOW_S)
        value = (await self.wire.ask(ask)).get(under)
        if not isinstance(value, list):
            raise Unreachable(f"an answer without {under}", request=str(ask))
        return value

    async def _put(self, *segments: str, json: Content) -> None:
        await self.wire.ask(Ask(method="PUT", segments=segments, json=json))

    async def _post(self, *segments: str, json: Content) -> None:
        await self.wire.ask(Ask(method="POST", segments=segments, json=json))

    async def _put_event(self, *segments: str, json: Content) -> EventId:
        ask = Ask(method="PUT", segments=segments, json=json)
        return EventId(text_in(ask, await self.wire.ask(ask), "event_id"))


def _reason(reason: str | None) -> dict[str, str]:
    return {} if reason is None else {"reason": reason}


def _key(state_key: str) -> tuple[str, ...]:
    """Return the last segment of a state event's path, which is left out if the key is empty."""
    return (state_key,) if state_key else ()
