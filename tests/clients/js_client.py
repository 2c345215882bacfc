"""A person with a current Matrix client: matrix-js-sdk with its Rust cryptography, in a Node.js process of its own.

A `JsClient` is a `Client` in every respect, so that it can take the place of one: messages are sent through the SDK,
which encrypts if the room requires it, and `seen` has what the SDK could decrypt. Requests that need no keys (rooms,
members, power, redactions) go to the homeserver directly, as the same device. So `event()` and `messages()` return
events as the server has them, encrypted.

Only the log is kept on disk. A wait has a deadline, and its error tells what was seen instead. Events between two syncs
are missed if more than a hundred come at once.
Left to others: the process (`tests/clients/js_process.py`), the program in it (`tests/clients/client.mjs`).

Specification: Matrix client-server API v1.19, "End-to-End Encryption".
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

from moderation.values.ids import EventId, RoomId
from tests.clients.js_process import JsEnded, JsProcess
from tests.people.client import Client, Seen
from tests.people.feed import Feed

T = TypeVar("T")

# The devices to which the client gives keys. "signed": devices signed by their owner, and it decrypts only messages of
# these (current clients, spec v1.18; an unsigned device cannot send then). "verified": devices that this person has
# verified. "all": all devices, as in older clients.
Isolation = Literal["signed", "verified", "all"]

_WAIT_S = 120.0
WITHHELD = "MEGOLM_KEY_WITHHELD_FOR_UNVERIFIED_DEVICE"
UNSIGNED = "UNSIGNED_SENDER_DEVICE"
ENCRYPTION = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}


@dataclass(frozen=True, slots=True)
class Read(Seen):
    """One event as a client with encryption has it: decrypted, or with the reason why it could not be.

    An event that could not be decrypted has the type "m.room.encrypted". `failure` is the SDK's
    `DecryptionFailureCode`; `shield` ("none", "grey", "red") and `reason` are what a client would show next to the
    message. `notified` and `highlighted` are the results of the account's push rules for the decrypted event.
    """

    encrypted: bool = False
    failure: str = ""
    shield: str = ""
    reason: str = ""
    notified: bool = False
    highlighted: bool = False

    def __str__(self) -> str:
        how = self.failure or ("encrypted" if self.encrypted else "in clear")
        return f"{Seen.__str__(self)} ({how})"


@dataclass(frozen=True, slots=True)
class Device:
    """A device of somebody, as another client sees it."""

    id: str
    name: str
    keys: Mapping[str, str]
    signed: bool  # by its owner's cross-signing key
    verified: bool  # and that key was verified by the client's user


@dataclass(frozen=True, slots=True)
class Trust:
    """A user's cross-signing identity, as another client sees it."""

    known: bool  # there is one
    verified: bool
    was_verified: bool
    changed: bool  # since it was first seen, and nobody has looked at it


@dataclass(frozen=True, slots=True)
class Sas:
    """The short string that two people compare: seven emoji with their English names, or three numbers."""

    emoji: tuple[tuple[str, str], ...]
    decimal: tuple[int, int, int]


class JsClient(Client):
    """One person, logged in on one device, once `start` has been awaited."""

    def __init__(self, url: str, user: str, token: str, device: str = "") -> None:
        super().__init__(url, user, token)
        self.device = device
        self.recovery_key = ""
        self._pushes = _PushedFeed()
        self._feed = self._pushes
        self._process: JsProcess | None = None
        self._who = 0  # its number in the process
        self._stopped = False
        self._flows: list[dict[str, Any]] = []

    async def start(
        self,
        process: JsProcess,
        password: str = "",
        *,
        name: str = "",
        signed: bool = True,
        recovery_key: str = "",
        isolation: Isolation = "signed",
    ) -> Self:
        """Start the client in a process; when this returns, others can find its keys.

        With `signed` the device is cross-signed: with the keys that `recovery_key` opens, else with new ones, for which
        the homeserver may want the `password`; `recovery_key` is then the key that another device may use.
        """
        assert self._process is None, "it runs already"
        self._process, self._who = process, process.new_client(self._pushed)
        await self._ask(
            "start", url=self.url, user=self.user, device=self.device, token=self.token, isolation=isolation
        )
        if name:
            await self.request("PUT", "profile", self.user, "displayname", json={"displayname": name})
        if recovery_key:
            await self.sign_with(recovery_key)
        elif signed:
            await self.sign(password)
        return self

    async def stop(self) -> None:
        """End the client and everything it knew. Harmless if it has ended already."""
        if self._process is not None and not self._stopped:
            self._stopped = True
            await self._process.leave(self._who)

    async def close(self) -> None:
        """Stop the client and release the connections. The account stays logged in."""
        await self.stop()
        await super().close()

    @property
    def pid(self) -> int:
        """The process."""
        return self._running.pid

    def log(self) -> str:
        """Return the last lines that the SDK logged."""
        return "" if self._process is None else self._process.log()

    # Keys.

    async def sign(self, password: str) -> None:
        """Make cross-signing keys, publish them, sign this device, and keep their private parts in secret storage."""
        self.recovery_key = await self._ask("sign", password=password)

    async def sign_with(self, recovery_key: str) -> None:
        """Sign this device with the keys in secret storage."""
        await self._ask("signWith", recoveryKey=recovery_key)
        self.recovery_key = recovery_key

    async def set_isolation(self, mode: Isolation) -> None:
        """Set the isolation mode from the next message on. Keys already given stay given: see `forget_session`."""
        await self._ask("isolation", mode=mode)

    async def forget_session(self, room: str) -> None:
        """Encrypt the next message to the room with a new key."""
        await self._ask("forget", room=room)

    async def devices(self, user: str) -> list[Device]:
        """Return the devices of `user` that have keys."""
        return [Device(**device) for device in await self._ask("devices", user=user)]

    async def trust(self, user: str) -> Trust:
        """Return the client's trust in `user`."""
        return Trust(**await self._ask("trust", user=user))

    async def wait_devices(
        self, user: str, wanted: Callable[[Sequence[Device]], bool], *, what: str = "other", within_s: float = _WAIT_S
    ) -> list[Device]:
        """Wait until `wanted` accepts the devices of `user`, and return them."""
        return await self._wait_keys(lambda: self.devices(user), wanted, f"devices of {user} to be {what}", within_s)

    async def wait_trust(
        self, user: str, wanted: Callable[[Trust], bool], *, what: str = "other", within_s: float = _WAIT_S
    ) -> Trust:
        """Wait until `wanted` accepts the client's trust in `user`, and return it."""
        return await self._wait_keys(lambda: self.trust(user), wanted, f"trust in {user} to be {what}", within_s)

    # Rooms and events.

    async def create_room(self, name: str | None = None, *, encrypted: bool = True, **more: Any) -> RoomId:
        """Make a room, encrypted from its beginning, as current clients make private rooms."""
        if encrypted:
            more["initial_state"] = [*more.get("initial_state", ()), ENCRYPTION]
        return await super().create_room(name, **more)

    async def send(self, room: str, type: str, content: Mapping[str, Any]) -> EventId:
        """Send an event, encrypted if the room is; its id."""
        return EventId(await self._ask("send", room=room, type=type, content=dict(content)))

    async def reply(self, room: str, event: str, body: str, **extra: Any) -> EventId:
        """Answer an event."""
        return await self.send_text(room, body, **{"m.relates_to": {"m.in_reply_to": {"event_id": event}}}, **extra)

    async def send_image(self, room: str, data: bytes, name: str, mimetype: str = "image/png", **info: Any) -> EventId:
        """Send an image, encrypted with its own key, which is in the message."""
        content = {"msgtype": "m.image", "body": name, "info": {"mimetype": mimetype, "size": len(data), **info}}
        return EventId(await self._ask("sendFile", room=room, data=base64.b64encode(data).decode(), content=content))

    async def download(self, seen: Seen) -> bytes:
        """Download and decrypt the file of a message. Raises `JsError` if it is not what was sent."""
        return base64.b64decode(await self._ask("download", file=seen.content["file"]))

    async def wait_readable(self, room: str, event: str, *, within_s: float = _WAIT_S) -> Read:
        """Wait until an event can be read, and return it."""
        return await self._wait_read(room, event, lambda read: not read.failure, f"{event} to be readable", within_s)

    async def wait_unreadable(self, room: str, event: str, why: str, *, within_s: float = _WAIT_S) -> Read:
        """Wait until an event is unreadable for the reason `why` (`WITHHELD`, `UNSIGNED` ...), and return it."""
        return await self._wait_read(
            room, event, lambda read: read.failure == why, f"{event} to be unreadable ({why})", within_s
        )

    # Verification.

    async def request_verification(self, user: str, *, room: str = "", device: str = "") -> "Verification":
        """Ask for a verification: `user` in `room` or on their `device`, or else one's own other devices."""
        return Verification(self, await self._ask("verify", user=user, room=room, device=device))

    async def wait_verification(self, user: str, *, within_s: float = _WAIT_S) -> "Verification":
        """Wait for an open request of `user`, and return the newest."""

        def look() -> "Verification | None":
            for number, flow in reversed(list(enumerate(self._flows))):
                if (flow["user"], flow["mine"], flow["phase"]) == (user, False, "Requested"):
                    return Verification(self, number)
            return None

        return await self._wait(look, f"a verification request of {user}", within_s)

    # Within.

    @property
    def _running(self) -> JsProcess:
        assert self._process is not None, "it was not started"
        return self._process

    async def _ask(self, do: str, /, **fields: Any) -> Any:
        return await self._running.ask(self._who, do, **fields)

    def _pushed(self, line: dict[str, Any]) -> None:
        match line.pop("push"):
            case "event":
                self._pushes.take(Read(**line))
            case "verification":
                number = line.pop("flow")
                self._flows[number : number + 1] = [line]
            case "ended":
                self._pushes.end(self._running.ended())
        self._pushes.stir()

    async def _wait(self, look: Callable[[], T | None], what: str, within_s: float) -> T:
        """Wait until `look` finds something, now or after a push, and return it."""
        try:
            async with asyncio.timeout(within_s):
                while (found := look()) is None:
                    await self._pushes.stirred()
                return found
        except TimeoutError:
            raise self._pushes.not_seen(f"{what} as {self.user}", within_s) from None

    async def _wait_keys(
        self, ask: Callable[[], Awaitable[T]], wanted: Callable[[T], bool], what: str, within_s: float
    ) -> T:
        found: T | None = None
        try:
            async with asyncio.timeout(within_s):
                while True:
                    here = self._pushes.count  # before the question: what changes from here on is seen below
                    found = await ask()
                    if wanted(found):
                        return found
                    await self._pushes.stirred(here)
        except TimeoutError:
            raise self._pushes.not_seen(f"{what}, found {found}, as {self.user}", within_s) from None

    async def _wait_read(
        self, room: str, event: str, wanted: Callable[[Read], bool], what: str, within_s: float
    ) -> Read:
        found = await self.wait_for(
            lambda seen: isinstance(seen, Read) and (seen.room, seen.id) == (room, event) and wanted(seen),
            what=f"{what} in {room}",
            within_s=within_s,
        )
        assert isinstance(found, Read)
        return found


class Verification:
    """One verification, as one of its two sides sees it. Section "Short Authentication String (SAS) verification"."""

    def __init__(self, client: JsClient, number: int) -> None:
        self._client = client
        self._number = number

    @property
    def phase(self) -> str:
        """The phase: "Requested", "Ready", "Started", "Done" or "Cancelled"."""
        return str(self._flow["phase"])

    @property
    def code(self) -> str:
        """The reason of the cancellation: "m.user", "m.mismatched_sas" ..."""
        return str(self._flow["code"] or "")

    @property
    def room(self) -> str:
        """The room of the verification; empty if it is between devices."""
        return str(self._flow["room"] or "")

    async def accept(self) -> None:
        """Say yes to a request."""
        await self._ask("accept")

    async def begin(self) -> None:
        """Begin to compare emoji, once the request is accepted. One side does."""
        await self._ask("begin")

    async def sas(self) -> Sas:
        """Return the short string to compare, once one side has started."""
        found = await self._ask("emoji")
        return Sas(tuple((symbol, name) for symbol, name in found["emoji"]), tuple(found["decimal"]))

    async def confirm(self) -> None:
        """Confirm that it is the same, and wait until the other side has confirmed and both are done."""
        await self._ask("confirm")

    async def mismatch(self) -> None:
        """Say that it is not the same."""
        await self._ask("mismatch")

    async def cancel(self) -> None:
        """Cancel the verification."""
        await self._ask("cancel")

    async def wait_phase(self, phase: str, *, within_s: float = _WAIT_S) -> None:
        """Wait until it is there."""
        await self._client._wait(lambda: self.phase == phase or None, f"a verification to be {phase}", within_s)

    async def _ask(self, do: str) -> Any:
        return await self._client._ask(do, flow=self._number)

    @property
    def _flow(self) -> dict[str, Any]:
        return self._client._flows[self._number]


class _PushedFeed(Feed):
    """The messages that a client pushes without a request; one can wait for more."""

    def __init__(self) -> None:
        super().__init__(_nothing)
        self.count = 0  # of pushes
        self._stirred = asyncio.Event()
        self._ended: JsEnded | None = None

    def take(self, read: Read) -> None:
        """Add one event."""
        self.seen.append(read)

    def end(self, error: JsEnded) -> None:
        """Note that nothing more will come."""
        self._ended = error

    def stir(self) -> None:
        """Wake all waiting tasks."""
        self.count += 1
        stirred, self._stirred = self._stirred, asyncio.Event()
        stirred.set()

    async def stirred(self, since: int | None = None) -> None:
        """Wait for the next push, or for one after the push number `since`."""
        if self._ended is not None:
            raise self._ended
        if since is None or since == self.count:
            await self._stirred.wait()

    async def _more_than(self, known: int) -> None:
        while len(self.seen) <= known:
            await self.stirred()


async def _nothing(*segments: str, query: Mapping[str, str]) -> dict[str, Any]:
    raise AssertionError("what is pushed is not asked for")
