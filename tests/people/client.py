"""A person with a Matrix client, for the tests: the raw client-server API over aiohttp.

Rules kept here:
- It shares no code with the product except the names of id types, so that it can find the product wrong.
- What the server said stays raw JSON.
- A refusal is raised as it came, and nothing is retried.

Left to others: what was seen, and how to wait for more (`feed.py`), the homeserver (`bot/demo/synapse.py`), encryption
(these people have none).

Specification: Matrix client-server API v1.19.
"""

import asyncio
import itertools
import json as json_module  # `json` is an argument below
import secrets
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from moderation.values.ids import EventId, RoomId, UserId
from tests.people.feed import Feed, Json, NotReceived, Seen
from tests.people.matrix_error import MatrixError

__all__ = ["Client", "MatrixError", "NotReceived", "Seen"]

_WAIT_S = 120.0


class Client:
    """One person, logged in on one device."""

    def __init__(self, url: str, user: str, token: str) -> None:
        self.url = url.rstrip("/")
        self.user = UserId(user)
        self.token = token
        self.device = ""  # the homeserver's name for it, once logged in here
        self._feed = Feed(self._get)
        self._session: aiohttp.ClientSession | None = None
        # Two clients of the same device must not use the same transaction id for different things.
        self._txns = (f"{secrets.token_hex(4)}.{number}" for number in itertools.count())

    def __repr__(self) -> str:
        return f"Client({self.user!r})"

    @classmethod
    async def register(cls, url: str, localpart: str, password: str) -> Self:
        """Register an account on a server with open registration. Section "Account registration"."""
        body = {"username": localpart, "password": password, "auth": {"type": "m.login.dummy"}}
        return await cls._enter(url, "register", body)

    @classmethod
    async def log_in(cls, url: str, localpart: str, password: str) -> Self:
        """Log in with a password. Section "Login"."""
        body = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": localpart},
            "password": password,
        }
        return await cls._enter(url, "login", body)

    @classmethod
    async def _enter(cls, url: str, how: str, body: Json) -> Self:
        client = cls(url, "", "")
        try:
            answer = await client.request("POST", how, json=body)
        except BaseException:
            await client.close()
            raise
        client.user, client.token = UserId(answer["user_id"]), answer["access_token"]
        client.device = answer["device_id"]
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Release the connections. The account stays logged in."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        *segments: str,
        json: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        base: str = "/_matrix/client/v3",
    ) -> Any:
        """Do any request: `segments` are quoted, the answer is decoded. Raises `MatrixError`."""
        if self._session is None:
            self._session = aiohttp.ClientSession()
        path = base + "".join(f"/{quote(part, safe='')}" for part in segments)
        url = URL(self.url + path, encoded=True).with_query(query or {})
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = None if json is None else orjson.dumps(json)
        async with self._session.request(method, url, data=data, headers=headers) as response:
            answer = _loaded(await response.read())
            if response.status != 200:
                raise MatrixError(f"{method} {path}", response.status, answer)
            return answer

    async def _get(self, *segments: str, query: Mapping[str, str]) -> Json:
        answer: Json = await self.request("GET", *segments, query=query)
        return answer

    # Rooms

    async def create_room(
        self,
        name: str | None = None,
        *,
        version: str | None = None,
        power: Mapping[str, Any] | None = None,
        invite: Sequence[str] = (),
        private: bool = True,
        **more: Any,
    ) -> RoomId:
        """Make a room; return its id.

        `power` overrides parts of the power levels, `more` goes into the request.
        """
        body: Json = {"preset": "private_chat" if private else "public_chat", "invite": list(invite), **more}
        if name is not None:
            body["name"] = name
        if version is not None:
            body["room_version"] = version
        if power is not None:
            body["power_level_content_override"] = dict(power)
        return RoomId((await self.request("POST", "createRoom", json=body))["room_id"])

    async def join(self, room: str) -> None:
        """Join a room by its id or alias."""
        await self.request("POST", "join", room, json={})

    async def leave(self, room: str) -> None:
        """Leave a room, or refuse an invite."""
        await self.request("POST", "rooms", room, "leave", json={})

    async def invite(self, room: str, user: str) -> None:
        """Invite a person."""
        await self.request("POST", "rooms", room, "invite", json={"user_id": user})

    async def kick(self, room: str, user: str) -> None:
        """Remove a person, who may come back."""
        await self.request("POST", "rooms", room, "kick", json={"user_id": user})

    async def ban(self, room: str, user: str) -> None:
        """Remove a person and keep them out."""
        await self.request("POST", "rooms", room, "ban", json={"user_id": user})

    async def set_power(self, room: str, levels: Mapping[str, int | None]) -> None:
        """Give people levels; None removes their entry. Reads the event and replaces it."""
        content = await self.power_levels(room)
        users = {**content.get("users", {}), **levels}
        content["users"] = {user: level for user, level in users.items() if level is not None}
        await self.set_state(room, "m.room.power_levels", content)

    async def power_levels(self, room: str) -> Json:
        """Return the content of the power levels event."""
        return await self.state(room, "m.room.power_levels") or {}

    async def set_state(self, room: str, type: str, content: Mapping[str, Any], key: str = "") -> EventId:
        """Set a state event; return its id."""
        answer = await self.request("PUT", "rooms", room, "state", type, key, json=content)
        return EventId(answer["event_id"])

    async def state(self, room: str, type: str, key: str = "") -> Json | None:
        """Return the present content of a state event; None if it is not set."""
        try:
            content: Json = await self.request("GET", "rooms", room, "state", type, key)
        except MatrixError as error:
            if error.status == 404:
                return None
            raise
        return content

    async def members(self, room: str) -> dict[str, str]:
        """Return every user the room knows, with their membership."""
        answer = await self.request("GET", "rooms", room, "members")
        return {event["state_key"]: event["content"]["membership"] for event in answer["chunk"]}

    # Events

    async def send(self, room: str, type: str, content: Mapping[str, Any]) -> EventId:
        """Send an event; return its id."""
        answer = await self.request("PUT", "rooms", room, "send", type, next(self._txns), json=content)
        return EventId(answer["event_id"])

    async def send_text(self, room: str, body: str, **extra: Any) -> EventId:
        """Send a text message; `extra` goes into its content (`**{"m.mentions": ...}`)."""
        return await self.send(room, "m.room.message", {"msgtype": "m.text", "body": body, **extra})

    async def react(self, room: str, event: str, key: str) -> EventId:
        """React to an event; return the reaction's id."""
        relation = {"rel_type": "m.annotation", "event_id": event, "key": key}
        return await self.send(room, "m.reaction", {"m.relates_to": relation})

    async def edit(self, room: str, event: str, body: str) -> EventId:
        """Replace the text of one's own message; return the edit's id."""
        return await self.send_text(
            room,
            f"* {body}",
            **{
                "m.new_content": {"msgtype": "m.text", "body": body},
                "m.relates_to": {"rel_type": "m.replace", "event_id": event},
            },
        )

    async def redact(self, room: str, event: str, reason: str | None = None) -> EventId:
        """Redact an event; return the redaction's id."""
        body = {} if reason is None else {"reason": reason}
        answer = await self.request("PUT", "rooms", room, "redact", event, next(self._txns), json=body)
        return EventId(answer["event_id"])

    async def event(self, room: str, event: str) -> Json:
        """Return an event as it stands on the server now."""
        found: Json = await self.request("GET", "rooms", room, "event", event)
        return found

    async def is_redacted(self, room: str, event: str) -> bool:
        """Tell whether the server has stripped the event."""
        return "redacted_because" in (await self.event(room, event)).get("unsigned", {})

    async def messages(self, room: str, limit: int = 100) -> list[Json]:
        """Return the newest events of a room, oldest first."""
        query = {"dir": "b", "limit": str(limit)}
        answer = await self.request("GET", "rooms", room, "messages", query=query)
        return list(reversed(answer["chunk"]))

    # Waiting

    @property
    def seen(self) -> Sequence[Seen]:
        """Everything the waits have seen so far, in order."""
        return self._feed.seen

    @property
    def position(self) -> int:
        """The present end of `seen`: give it as `after` to wait for what comes from here on."""
        return len(self._feed.seen)

    async def wait_for(
        self,
        wanted: Callable[[Seen], bool],
        *,
        what: str = "something",
        within_s: float = _WAIT_S,
        after: int = 0,
    ) -> Seen:
        """Return the first thing that is `wanted`, seen already or still to come. Raises `NotReceived`."""
        return await self._feed.wait_for(wanted, what=f"{what} as {self.user}", within_s=within_s, after=after)

    async def wait_event(
        self,
        room: str,
        wanted: Callable[[Seen], bool],
        *,
        what: str = "an event",
        within_s: float = _WAIT_S,
        after: int = 0,
    ) -> Seen:
        """Return the first event of the room's timeline that is `wanted`."""
        return await self.wait_for(
            lambda seen: seen.kind == "timeline" and seen.room == room and wanted(seen),
            what=f"{what} in {room}",
            within_s=within_s,
            after=after,
        )

    async def wait_invite(self, room: str | None = None, *, within_s: float = _WAIT_S, after: int = 0) -> Seen:
        """Return the invite to `room`, or to any: its `room` and `sender` say where and by whom."""
        return await self.wait_for(
            lambda seen: (
                seen.kind == "invite"
                and seen.type == "m.room.member"
                and seen.state_key == self.user
                and room in (None, seen.room)
            ),
            what=f"an invite to {room or 'any room'}",
            within_s=within_s,
            after=after,
        )

    async def wait_state(
        self,
        room: str,
        type: str,
        wanted: Callable[[Json], bool],
        *,
        key: str = "",
        what: str = "",
        within_s: float = _WAIT_S,
    ) -> Json:
        """Return the content of a state event as soon as it is `wanted`, which it may be already.

        A content that was there for a moment and is gone does not count; a state event not set counts as ``{}``.
        """
        content: Json = {}
        try:
            async with asyncio.timeout(within_s):
                while True:
                    here = self.position  # before the request: what changes from here on is seen below
                    content = await self.state(room, type, key) or {}
                    if wanted(content):
                        return content
                    await self._feed.next(
                        lambda seen: seen.room == room and seen.type == type and seen.state_key == key, here
                    )
        except TimeoutError:
            waited_for = f"{what or 'a change'} of {type} {key!r} in {room}, which is {content}, as {self.user}"
            raise self._feed.not_seen(waited_for, within_s) from None


def _loaded(body: bytes) -> Any:
    """Read JSON, also with numbers as large as old rooms hold, which orjson refuses."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json_module.loads(body)
