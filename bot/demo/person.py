"""A person of the story: an ordinary Matrix client, that of matrix-nio, and waiting for what it hears.

Rules kept here:
- Every request is nio's own, and events are what nio makes of them: what it cannot read of the bot's, the story misses.
- What was heard stays, so that nothing is lost between two waits.
- nio returns errors; here they are raised.
- Waiting is on a condition with a deadline. A deadline that passes tells what was awaited and what was heard last.

Left to others: the homeserver (`synapse.py`), the story, encryption (without a folder for keys, nio has none).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from nio import (
    AsyncClient,
    ErrorResponse,
    Event,
    InviteEvent,
    InviteMemberEvent,
    MatrixRoom,
    RedactedEvent,
    Response,
    RoomPreset,
)

from moderation.values.ids import EventId, RoomId, UserId

Json = dict[str, Any]

_WAIT_S = 120.0
_SYNC_MS = 20_000  # how long the server may hold an empty answer back
_FILTER = {"presence": {"types": []}, "room": {"timeline": {"limit": 100}}}
_LAST_HEARD = 8


class NotHeard(AssertionError):
    """The awaited event did not come in time."""


class ClientRefused(Exception):
    """The homeserver refused a request; `status` is that of HTTP, `words` what it said."""

    def __init__(self, answer: Response) -> None:
        super().__init__(str(answer))
        self.words = str(getattr(answer, "message", ""))
        self.status: int = answer.transport_response.status


class DemoPerson:
    """One person, logged in on one device."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client
        self.user = UserId(client.user_id)
        self._heard: list[tuple[str, Event | InviteEvent]] = []  # with their rooms
        client.add_event_callback(self._hear, (Event, InviteEvent))

    @classmethod
    async def log_in(cls, url: str, user: str, password: str) -> Self:
        """Log in with a password."""
        client = AsyncClient(url, user)
        try:
            _done(await client.login(password))
        except BaseException:
            await client.close()
            raise
        return cls(client)

    async def close(self) -> None:
        """Release the connections. The account stays logged in."""
        await self.client.close()

    # Doing

    async def create_room(self, name: str, invite: Sequence[str]) -> RoomId:
        """Make a room for these people; return its id."""
        made = await self.client.room_create(name=name, invite=invite, preset=RoomPreset.private_chat)
        return RoomId(_done(made).room_id)

    async def join(self, room: str) -> None:
        """Join a room."""
        _done(await self.client.join(room))

    async def invite(self, room: str, user: str) -> None:
        """Invite a person."""
        _done(await self.client.room_invite(room, user))

    async def set_power(self, room: str, levels: Mapping[str, int]) -> None:
        """Give people levels."""
        content = await self.state(room, "m.room.power_levels")
        content["users"] = {**content.get("users", {}), **levels}
        _done(await self.client.room_put_state(room, "m.room.power_levels", content))

    async def send_text(self, room: str, body: str) -> EventId:
        """Send a text message; return its id."""
        return await self._send(room, "m.room.message", {"msgtype": "m.text", "body": body})

    async def react(self, room: str, event: str, key: str) -> EventId:
        """React to an event; return the reaction's id."""
        relation = {"rel_type": "m.annotation", "event_id": event, "key": key}
        return await self._send(room, "m.reaction", {"m.relates_to": relation})

    async def _send(self, room: str, type: str, content: Json) -> EventId:
        return EventId(_done(await self.client.room_send(room, type, content)).event_id)

    # Looking

    async def state(self, room: str, type: str, key: str = "") -> Json:
        """Return the present content of a state event; empty if it is not set."""
        found = await self.client.room_get_state_event(room, type, key)
        if found.transport_response.status == 404:
            return {}
        if found.transport_response.status != 200:  # nio takes a refusal for the content
            raise ClientRefused(found)
        content: Json = found.content
        return content

    async def members(self, room: str) -> dict[str, str]:
        """Return every user the room knows, with their membership."""
        events = _done(await self.client.room_get_state(room)).events
        return {e["state_key"]: e["content"]["membership"] for e in events if e["type"] == "m.room.member"}

    async def is_redacted(self, room: str, event: str) -> bool:
        """Tell whether the server has stripped the event."""
        return isinstance(_done(await self.client.room_get_event(room, event)).event, RedactedEvent)

    def has_heard(self, room: str, words: str) -> bool:
        """Tell whether a message with these words has arrived in a room."""
        return any(at == room and words in str(event.source) for at, event in self._heard)

    # Waiting

    async def wait_event(self, room: str, wanted: Callable[[Event], bool], *, what: str) -> Event:
        """Return the first event of the room that is `wanted`, heard already or still to come. Raises `NotHeard`."""
        found = await self._wait(lambda at, event: at == room and wanted(event), f"{what} in {room}")
        return found[1]

    async def wait_invite(self, wanted: Callable[[InviteMemberEvent], bool], *, what: str) -> RoomId:
        """Return the room of the first invitation that is `wanted`."""
        found = await self._wait(
            lambda _, event: isinstance(event, InviteMemberEvent) and event.state_key == self.user and wanted(event),
            what,
        )
        return RoomId(found[0])

    async def wait_state(
        self,
        room: str,
        type: str,
        wanted: Callable[[Json], bool],
        *,
        what: str,
        key: str = "",
        within_s: float = _WAIT_S,
    ) -> Json:
        """Return the content of a state event as soon as it is `wanted`, which it may be already.

        A content that was there for a moment and is gone does not count; a state event not set counts as ``{}``.
        """
        content: Json = {}
        change = (room, type, key)
        try:
            async with asyncio.timeout(within_s):
                while True:
                    here = len(self._heard)  # before the request: what changes from here on is heard below
                    content = await self.state(room, type, key)
                    if wanted(content):
                        return content
                    await self._next(
                        lambda at, event: (at, event.source.get("type"), event.source.get("state_key")) == change, here
                    )
        except TimeoutError:
            raise self._not_heard(f"{what}: {type} {key!r} in {room} is {content}", within_s) from None

    async def _wait(self, wanted: Callable[[str, Event], bool], what: str) -> tuple[str, Event]:
        try:
            async with asyncio.timeout(_WAIT_S):
                return await self._next(wanted, 0)
        except TimeoutError:
            raise self._not_heard(what, _WAIT_S) from None

    async def _next(self, wanted: Callable[[str, Event], bool], after: int) -> tuple[str, Event]:
        while True:
            for room, event in self._heard[after:]:
                after += 1
                if wanted(room, event):
                    return room, event
            await self._sync()

    async def _sync(self) -> None:
        known = set(self.client.rooms)
        answer = _done(await self.client.sync(_SYNC_MS, _FILTER))
        gaps = {room for room, part in answer.rooms.join.items() if part.timeline.limited} & known
        if gaps:  # nio does not fill them
            raise NotHeard(f"more happened in {gaps} than one answer holds, as {self.user}")

    def _hear(self, room: MatrixRoom, event: Event | InviteEvent) -> None:
        self._heard.append((room.room_id, event))

    def _not_heard(self, what: str, within_s: float) -> NotHeard:
        last = "\n".join(f"  {room} {event}"[:300] for room, event in self._heard[-_LAST_HEARD:]) or "  nothing at all"
        return NotHeard(f"waited {within_s:g} s for {what}, as {self.user}. Last heard:\n{last}")


def _done(answer: Any) -> Any:
    if isinstance(answer, ErrorResponse):
        raise ClientRefused(answer)
    return answer
