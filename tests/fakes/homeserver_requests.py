"""Answers of the simulated homeserver to requests, and what these do to its rooms, accounts and files."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.runtime.clock import Clock
from tests.fakes import homeserver_answers as answers
from tests.fakes.homeserver_devices import Devices
from tests.fakes.homeserver_keys import Keys
from tests.fakes.homeserver_rooms import Json, Refused, World, not_found

REDACT_ALL = "org.matrix.msc4194"
UNRECOGNIZED = Refused(404, "M_UNRECOGNIZED", "Unrecognized request")


@dataclass(frozen=True)
class Asked:
    """One parsed request."""

    user: str
    device: str
    segments: tuple[str, ...]
    query: dict[str, str]
    body: Json
    file: bytes = b""  # what is uploaded
    mimetype: str = ""

    @property
    def txn(self) -> tuple[str, str]:
        """The device and the transaction id of the request, if it has one."""
        return self.device, self.segments[-1]


class Requests:
    """The requests of one homeserver but `/sync`, a method each; `REQUESTS` names them."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.world = World(name, clock)
        self.keys = Keys()
        self.devices = Devices()
        self.redacts_all = False  # whether it has the request of MSC4194
        self._done: dict[tuple[str, str, str], str] = {}  # what became of a transaction
        self._data: dict[tuple[str, str], Json] = {}
        self._files: dict[str, tuple[bytes, str]] = {}  # with their types, by address
        self._news = asyncio.Event()

    def tell(self) -> None:
        """Wake the requests that wait for news."""
        self._news.set()
        self._news = asyncio.Event()

    async def until_news(self) -> None:
        """Wait until something has happened."""
        await self._news.wait()

    def messages(self, asked: Asked) -> Json:
        return answers.messages(self.world, asked.user, asked.device, asked.segments[1], asked.query)

    def context(self, asked: Asked) -> Json:
        _, room, _, event = asked.segments
        return answers.context(self.world, asked.user, asked.device, room, event)

    def members(self, asked: Asked) -> Json:
        return answers.members(self.world, asked.user, asked.segments[1], asked.query)

    def state(self, asked: Asked) -> Any:
        _, room, _, *key = asked.segments
        if not key:
            return answers.state(self.world, asked.user, room)
        found = self.world.room_for(asked.user, room).current(key[0], key[1] if len(key) > 1 else "")
        if found is None:
            raise not_found("Event not found.")
        return answers.alone(found, asked.device) if asked.query.get("format") == "event" else found.raw["content"]

    def event(self, asked: Asked) -> Json:
        room = self.world.room_for(asked.user, asked.segments[1])
        found = self.world.by_id.get(asked.segments[3])
        if found is None or found[0] is not room:
            raise not_found("Event not found.")
        return answers.alone(found[1], asked.device)

    def set_state(self, asked: Asked) -> Json:
        _, room, _, type, *key = asked.segments
        there = self.world.room_for(asked.user, room)
        event = self.world.set_state(there, asked.user, type, key[0] if key else "", asked.body)
        return self._told({"event_id": event.id})

    def send(self, asked: Asked) -> Json:
        _, room, _, type, _ = asked.segments
        return self._once(
            asked,
            lambda: self.world.send(self.world.room_for(asked.user, room), asked.user, type, asked.body, asked.txn).id,
        )

    def redact(self, asked: Asked) -> Json:
        _, room, _, target, _ = asked.segments
        return self._once(
            asked,
            lambda: (
                self.world.redact(self.world.room_for(asked.user, room), asked.user, target, asked.body, asked.txn).id
            ),
        )

    def redact_all(self, asked: Asked) -> Json:
        """Redact what somebody wrote, the newest first (MSC4194)."""
        if not self.redacts_all:
            raise UNRECOGNIZED
        _, room, _, _, whose = asked.segments
        there, most = self.world.room_for(asked.user, room), int(asked.query.get("limit", "25"))
        left = [e for e in there.events if e.raw["sender"] == whose and "state_key" not in e.raw and not e.gone]
        for event in left[::-1][:most]:
            self.world.redact(there, asked.user, event.id, asked.body)
        return self._told({"is_more_events": len(left) > most, "redacted_events": min(len(left), most)})

    def versions(self, _asked: Asked) -> Json:
        features = {REDACT_ALL: True} if self.redacts_all else {}
        return {"versions": ["v1.11", "v1.12"], "unstable_features": features}

    def _once(self, asked: Asked, work: Callable[[], str]) -> Json:
        """Do the work once for each transaction of a device and path (section "Transaction identifiers")."""
        key = self._key(asked)
        if key not in self._done:
            self._done[key] = work()
        return self._told({"event_id": self._done[key]})

    def _key(self, asked: Asked) -> tuple[str, str, str]:
        return asked.device, "/".join(asked.segments), asked.segments[-1]

    def _told(self, answer: Json) -> Json:
        self.tell()
        return answer

    def create(self, asked: Asked) -> Json:
        return self._told({"room_id": self.world.create(asked.user, asked.body).id})

    def join(self, asked: Asked) -> Json:
        room = asked.segments[1]
        return self._told({"room_id": self.world.join(room, asked.user).id})

    def resolve(self, asked: Asked) -> Json:
        room = self.world.aliases.get(asked.segments[2])
        if room is None:
            raise not_found(f"Room alias {asked.segments[2]} not found")
        return {"room_id": room, "servers": [self.world.server]}

    def knock(self, asked: Asked) -> Json:
        return self._told({"room_id": self.world.knock(asked.segments[1], asked.user, _reason(asked.body)).id})

    def leave(self, asked: Asked) -> Json:
        self.world.leave(asked.segments[1], asked.user, _reason(asked.body))
        return self._told({})

    def forget(self, asked: Asked) -> Json:
        self.world.rooms_of.get(asked.user, {}).pop(asked.segments[1], None)
        return {}

    def invite(self, asked: Asked) -> Json:
        room = self.world.room_for(asked.user, asked.segments[1])
        self.world.invite(room, asked.user, asked.body["user_id"])
        return self._told({})

    def remove(self, asked: Asked) -> Json:
        room = self.world.room_for(asked.user, asked.segments[1])
        self.world.remove(room, asked.user, asked.body["user_id"], asked.segments[2], _reason(asked.body))
        return self._told({})

    def joined_rooms(self, asked: Asked) -> Json:
        mine = self.world.rooms_of.get(asked.user, {}).values()
        return {"joined_rooms": [room.id for room in mine if room.membership(asked.user) == "join"]}

    def whoami(self, asked: Asked) -> Json:
        return {"user_id": asked.user, "is_guest": False, "device_id": asked.device}

    def upload_keys(self, asked: Asked) -> Json:
        answer = self.keys.upload(asked.user, asked.device, asked.body)
        if "device_keys" in asked.body:
            self.devices.changed(asked.user)
        return self._told(answer)

    def sign_in(self, asked: Asked) -> Json:
        self.devices.changed(asked.user)
        return self._told(self.keys.sign_in(asked.user, asked.body))

    def add_signatures(self, asked: Asked) -> Json:
        for user in asked.body:
            self.devices.changed(user)
        return self._told(self.keys.add_signatures(asked.body))

    def send_to_device(self, asked: Asked) -> Json:
        _, type, txn = asked.segments
        return self._told(self.devices.send(asked.user, asked.device, type, txn, asked.body))

    def rename(self, asked: Asked) -> Json:
        if asked.segments[1] != asked.user:
            raise Refused(400, "M_FORBIDDEN", "Cannot set another user's displayname")
        self.world.rename(asked.user, asked.body["displayname"])
        return self._told({})

    def upload(self, asked: Asked) -> Json:
        address = f"{self.world.server}/{secrets.token_hex(12)}"
        self._files[address] = (asked.file, asked.mimetype)
        return {"content_uri": f"mxc://{address}"}

    def download(self, asked: Asked) -> web.Response:
        found = self._files.get("/".join(asked.segments[2:4]))
        if found is None:
            raise not_found("Not found")
        return web.Response(body=found[0], content_type=found[1])

    def data(self, asked: Asked) -> Json:
        found = self._data.get((asked.user, asked.segments[3]))
        if found is None:
            raise not_found("Account data not found")
        return found

    def set_data(self, asked: Asked) -> Json:
        self._data[asked.user, asked.segments[3]] = asked.body
        return {}


def _reason(body: Json) -> Json:
    return {"reason": body["reason"]} if "reason" in body else {}


_S = Requests
REQUESTS: dict[tuple[str, str], Callable[[Requests, Asked], Any]] = {
    ("GET", "rooms/messages"): _S.messages,
    ("GET", "rooms/context"): _S.context,
    ("GET", "rooms/members"): _S.members,
    ("GET", "rooms/state"): _S.state,
    ("GET", "rooms/hierarchy"): lambda server, asked: answers.hierarchy(server.world, asked.user, asked.segments[1]),
    ("GET", "rooms/event"): _S.event,
    ("PUT", "rooms/state"): _S.set_state,
    ("PUT", "rooms/send"): _S.send,
    ("PUT", "rooms/redact"): _S.redact,
    ("POST", "rooms/redact-all"): _S.redact_all,
    ("POST", "createRoom"): _S.create,
    ("POST", "join"): _S.join,
    ("GET", "directory"): _S.resolve,
    ("POST", "knock"): _S.knock,
    ("POST", "rooms/leave"): _S.leave,
    ("POST", "rooms/forget"): _S.forget,
    ("POST", "rooms/invite"): _S.invite,
    ("POST", "rooms/kick"): _S.remove,
    ("POST", "rooms/ban"): _S.remove,
    ("POST", "rooms/unban"): _S.remove,
    ("GET", "joined_rooms"): _S.joined_rooms,
    ("GET", "account/whoami"): _S.whoami,
    ("GET", "user/account_data"): _S.data,
    ("PUT", "user/account_data"): _S.set_data,
    ("GET", "profile"): lambda server, asked: server.world.profile(asked.segments[1]),
    ("PUT", "profile/displayname"): _S.rename,
    ("GET", "versions"): _S.versions,
    ("GET", "capabilities"): lambda _server, _asked: {"capabilities": {"m.room_versions": {"default": "12"}}},
    ("POST", "keys/upload"): _S.upload_keys,
    ("POST", "keys/query"): lambda server, asked: server.keys.query(asked.body),
    ("POST", "keys/claim"): lambda server, asked: server.keys.claim(asked.body),
    ("POST", "keys/device_signing/upload"): _S.sign_in,
    ("POST", "keys/signatures/upload"): _S.add_signatures,
    ("PUT", "sendToDevice"): _S.send_to_device,
    ("POST", "upload"): _S.upload,
    ("GET", "media"): _S.download,
    ("GET", "room_keys/version"): lambda _server, _asked: _no_backup(),
}


def _no_backup() -> Json:
    raise not_found("No backup found")
