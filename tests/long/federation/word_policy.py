"""A policy server of the library alone, which refuses events with a word in them, and remembers what it was asked."""

from typing import Any

from aiohttp import web

from bot.crypto.signing import SigningKey
from bot.demo.authority import TlsAuthority
from bot.federation.errors import Unauthorized
from bot.federation.join import RoomJoinedThrough
from bot.federation.pdu import MOST_BYTES, Pdu
from bot.federation.room_versions import RoomVersion
from bot.federation.strict_json import parse_strictly
from bot.federation.x_matrix import origin_of
from moderation.values.ids import RoomId, server_of
from tests.long.federation.our_server import OurServer
from tests.people.client import Client

BAD_WORD = "elephant"
REFUSAL = "No elephants here."


class WordPolicy(OurServer):
    """Use as ``async with WordPolicy(authority) as policy``."""

    def __init__(self, authority: TlsAuthority) -> None:
        super().__init__(authority)
        self.event_key = SigningKey.new()
        self.asked: list[tuple[str, Pdu]] = []  # by whom, about what
        self._rooms: dict[RoomId, RoomVersion] = {}

    async def look_after(self, owner: Client, room: RoomId) -> None:
        """Join a public room of `owner`, who makes it ask from then on."""
        joined: RoomJoinedThrough = await self.join(room, server_of(owner.user))
        self._rooms[room] = joined.version
        content = {"via": self.name, "public_keys": {"ed25519": self.event_key.public}}
        await owner.set_state(room, "m.room.policy", content)

    def was_asked(self, event_id: str) -> list[str]:
        """Return the servers that asked about an event."""
        return [origin for origin, pdu in self.asked if pdu.event_id == event_id]

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse | None:
        """Sign what has no bad word in it."""
        if request.method != "POST" or request.path != "/_matrix/policy/v1/sign":
            return None
        event = parse_strictly(await request.read(), 2 * MOST_BYTES)
        header = request.headers.getall("Authorization")
        try:
            origin = await origin_of(header, "POST", request.raw_path, event, ours=self.name, keys=self.keys)
        except Unauthorized as error:
            return _refused(401, "M_UNAUTHORIZED", str(error))
        pdu = Pdu.of(event, self._rooms[event["room_id"]])
        self.asked.append((origin, pdu))
        if not pdu.has_its_content or not await self.keys.event_is_signed(pdu, server_of(pdu.sender)):
            return _refused(400, "M_BAD_JSON", "not the event that was signed")
        if BAD_WORD in str(pdu.event["content"]):
            return _refused(400, "M_FORBIDDEN", REFUSAL)
        return _json({self.name: {"ed25519:policy_server": pdu.signature(self.event_key)}})


def _refused(status: int, errcode: str, error: str) -> web.Response:
    return _json({"errcode": errcode, "error": error}, status)


def _json(value: dict[str, Any], status: int = 200) -> web.Response:
    return web.json_response(value, status=status)
