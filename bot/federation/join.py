"""Joining and leaving rooms through servers that are in them.

Rules this module keeps:
- We sign nothing that another server made: from its template come only the references to other events, the depth and
  who vouches for us in a restricted room. All else is ours, and must agree with the template.
- The servers are tried in turn; the last refusal is raised.
- The answer to a join must name a room of the version that we signed for; otherwise the room was not joined.

Left to others: which servers to try, when to try again.

Specification: server-server API v1.19, "Joining Rooms", "Restricted rooms", "Leaving Rooms".
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bot.crypto.encoding import object_of
from moderation.values.ids import EventId, RoomId, UserId, is_user_id, server_of

from .client import FEDERATION_V1, FEDERATION_V2, AsksServers, ServerIdentity
from .errors import MalformedPdu, ServerRefused, ServerUnreachable, UnknownRoomVersion
from .pdu import Pdu, hashed_and_signed
from .room_versions import ROOM_VERSIONS, RoomVersion, room_version

Membership = Literal["join", "leave"]

VOUCHED = "join_authorised_via_users_server"
INCOMPATIBLE = "M_INCOMPATIBLE_ROOM_VERSION"
_MOST_JOIN_BYTES = 64 * 2**20  # the state of a large room, members omitted
_MOST_SERVERS = 10


@dataclass(frozen=True, slots=True)
class RoomJoinedThrough:
    """A room that we have joined. `state` is what the server gave of it, unchecked and without most members."""

    room: RoomId
    version: RoomVersion
    event_id: EventId
    through: str
    state: tuple[Mapping[str, Any], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class FederatedMember:
    """A user of a server of ours."""

    user: UserId
    us: ServerIdentity
    servers: AsksServers
    display_name: str = ""

    async def join(self, room: RoomId, via: Sequence[str], now: int) -> RoomJoinedThrough:
        """Join a room at the time `now` (ms). Raises `ServerRefused`, `ServerUnreachable`, `UnknownRoomVersion`."""
        versions = [("ver", name) for name in ROOM_VERSIONS]
        last: ServerRefused | ServerUnreachable = ServerUnreachable("no server to join through")
        for server in self._others(via):
            try:
                version, event = await self._made("join", server, room, now, versions)
                return await self._join_through(server, version, event)
            except ServerRefused as error:
                if error.errcode == INCOMPATIBLE:
                    raise UnknownRoomVersion(error.error) from None
                last = error
            except MalformedPdu as error:
                last = ServerUnreachable(f"{server}: {error}")
            except ServerUnreachable as error:
                last = error if not isinstance(last, ServerRefused) else last
        raise last

    async def leave(self, room: RoomId, via: Sequence[str], now: int) -> EventId:
        """Leave a room, or turn an invitation down. Raises `ServerRefused`, `ServerUnreachable`."""
        last: ServerRefused | ServerUnreachable = ServerUnreachable("no server to leave through")
        for server in self._others(via):
            try:
                version, event = await self._made("leave", server, room, now, ())
                event_id = Pdu.of(event, version).event_id
                await self.servers.put(server, FEDERATION_V2, ("send_leave", room, event_id), event)
            except (ServerRefused, ServerUnreachable) as error:
                last = error
            except MalformedPdu as error:
                last = ServerUnreachable(f"{server}: {error}")
            else:
                return event_id
        raise last

    def _others(self, via: Sequence[str]) -> list[str]:
        return [server for server in dict.fromkeys(via) if server != self.us.server][:_MOST_SERVERS]

    async def _made(
        self, membership: Membership, server: str, room: RoomId, now: int, query: Sequence[tuple[str, str]]
    ) -> tuple[RoomVersion, dict[str, Any]]:
        """Return our membership, signed, from a server's template."""
        answer = await self.servers.get(server, FEDERATION_V1, (f"make_{membership}", room, self.user), query)
        version = room_version(answer.get("room_version", "1"))
        template = object_of(answer.get("event"))
        self._check(template, membership, room)
        event: dict[str, Any] = {
            "type": "m.room.member",
            "room_id": room,
            "sender": self.user,
            "state_key": self.user,
            "content": self._content(membership, object_of(template["content"]), server, version),
            "origin_server_ts": now,
            **{name: template.get(name) for name in ("depth", "prev_events", "auth_events")},
        }
        if version.event_ids == "given":
            event["event_id"] = f"${secrets.token_urlsafe(18)}:{self.us.server}"
        return version, hashed_and_signed(event, version, self.us.server, self.us.key_id, self.us.key)

    def _check(self, template: Mapping[str, Any], membership: Membership, room: RoomId) -> None:
        right = {
            "type": template.get("type") == "m.room.member",
            "room_id": template.get("room_id") == room,
            "sender": template.get("sender") == self.user,
            "state_key": template.get("state_key") == self.user,
            "membership": object_of(template.get("content")).get("membership") == membership,
        }
        if wrong := [name for name, holds in right.items() if not holds]:
            raise MalformedPdu(f"a template that is not of our membership: {', '.join(wrong)}")

    def _content(
        self, membership: Membership, proposed: Mapping[str, Any], server: str, version: RoomVersion
    ) -> dict[str, Any]:
        content: dict[str, Any] = {"membership": membership}
        if membership == "join" and self.display_name:
            content["displayname"] = self.display_name
        vouching = proposed.get(VOUCHED)
        if membership == "join" and vouching is not None:
            if not version.restricted or not is_user_id(vouching) or server_of(vouching) != server:
                raise MalformedPdu("somebody vouches for us who is not of the server that was asked")
            content[VOUCHED] = vouching
        return content

    async def _join_through(self, server: str, version: RoomVersion, event: Mapping[str, Any]) -> RoomJoinedThrough:
        pdu = Pdu.of(event, version)
        answer = await self.servers.put(
            server,
            FEDERATION_V2,
            ("send_join", pdu.room, pdu.event_id),
            event,
            (("omit_members", "true"),),
            most_bytes=_MOST_JOIN_BYTES,
        )
        given = answer.get("state")
        state = tuple(each for each in given if isinstance(each, dict)) if isinstance(given, list) else ()
        _check_version(state, pdu.room, version)
        return RoomJoinedThrough(pdu.room, version, pdu.event_id, server, state)


def _check_version(state: Sequence[Mapping[str, Any]], room: RoomId, version: RoomVersion) -> None:
    """Raise `MalformedPdu` if the first event of the room is of another version, or not of this room."""
    firsts = [each for each in state if each.get("type") == "m.room.create" and each.get("state_key") == ""]
    if len(firsts) != 1 or object_of(firsts[0].get("content")).get("room_version", "1") != version.name:
        raise MalformedPdu("the state of the room is not of the version that was signed for")
    if Pdu.of(firsts[0], version).room != room:
        raise MalformedPdu("the state is that of another room")
