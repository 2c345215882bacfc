"""`CryptoMachine`: encryption for one device, as the rest of the bot sees it.

Usage: `receive` takes the encryption part of a `/sync` answer *before* its token is stored; when it returns, everything
is on disk, and its result has the events that became readable. `decrypt` reads a raw `m.room.encrypted` event; an event
whose key is missing is kept until the caller says `done`. `encrypt` makes the content to send. `tend` does what needs
the homeserver: it uploads keys, fetches device lists, repairs sessions and sends waiting messages; call it after
`receive`, and again if it raised. At the start, `ready` returns readable events that were not yet reported as `done`.

Rules this module keeps:
- `receive` and `decrypt` make no requests, so that the receiving path never waits for the homeserver.
- Every change is one durable transaction (`store.py`).
- A message to be sent is on disk before it is sent, with its transaction id: a crash may repeat but never lose it.
- Requests are made one at a time.
- A server that answers late, or not at all, is not asked again for a minute (`late_servers.py`), so that it does not
  hold up each message. Its devices with which we have a session get their keys meanwhile.
- Errors of requests are those of `bot/matrix/errors.py`; after one, every method can be called again.
Left to others: who is in a room, when to retry, what to tell people.

Specification: client-server API v1.19, "End-to-End Encryption".
"""

import asyncio
import functools
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.matrix.errors import Answered, LoggedOut, Rejected
from bot.matrix.http import Wire
from bot.runtime.clock import Clock, wall_clock
from bot.runtime.newest import Newest
from moderation.values.ids import server_of
from storage.database.fence import Epoch
from storage.database.small_store import SmallPlace

from . import devices, outbound, store_age, undecrypted_events
from .account import AccountKeys, OurDevice, Upload, first_key
from .devices import Device, Person
from .encoding import MalformedKey, Object, object_of
from .errors import StoreLost
from .late_servers import LateServers
from .olm import Olm
from .outbound import IN_THE_CLEAR, Outbound, Outgoing, Recipients, RoomEncryption
from .requests import USERS_AT_ONCE, Requests
from .room_keys import MISSING, Decrypted, RoomKeys, Sealed
from .store import Db, Store, meta
from .store_key import StoreKey
from .sync_result import Late, News, SyncPart
from .to_device import Heard, Inbox

__all__ = ["CryptoMachine", "Late", "News", "SyncPart"]

_AT_ONCE = 20  # sessions begun in one transaction
_MUTE_MS = 600_000  # a device without keys, or with an unreachable homeserver, is asked again after this time
_MUTE_KEPT = 100_000  # such devices in memory


class CryptoMachine:
    """The encryption of one device. Make it with `CryptoMachine.open`, close it with `close`."""

    def __init__(
        self, store: Store, requests: Requests, user: str, device: str, recipients: Recipients, clock: Clock
    ) -> None:
        self.user = user
        self.device = device
        self.store = store
        self.requests = requests
        self.clock = clock
        self.ours = OurDevice(store, user, device)
        self.keys = RoomKeys(store)
        self._olm = Olm(store, self.ours)
        self._inbox = Inbox(self._olm, self.keys)
        self._outbound = Outbound(store, self._olm, self.keys, recipients)
        self.due = asyncio.Event()  # set when our keys need maintenance, such as one that the backup lacks
        self._sessions: dict[str, str] = {}  # the session that was used last in each room
        self._identity: AccountKeys | None = None
        self._asking = asyncio.Lock()  # requests to the homeserver, one at a time
        self._late = LateServers(server_of(user))
        self._mute: Newest[tuple[str, str], int] = Newest(_MUTE_KEPT)  # devices without a key, and until when (ms)

    def __repr__(self) -> str:
        return f"CryptoMachine({self.user!r}, {self.device!r})"

    @classmethod
    async def open(
        cls,
        where: SmallPlace,
        key: StoreKey,
        wire: Wire,
        user: str,
        device: str,
        *,
        recipients: Recipients = Recipients.ALL,
        clock: Clock = wall_clock,
        epoch: Epoch | None = None,
    ) -> "CryptoMachine":
        """Open the store, or create it. Raises `Broken`, `WrongKey`; makes no request."""
        store = await Store.open(where, key, user, device, epoch)
        machine = cls(store, Requests(wire, user), user, device, recipients, clock)
        await store.run(lambda db: devices.track(db, [user]))
        await machine.identity()  # the device's keys are created once, before anything can fail
        return machine

    async def close(self) -> None:
        """Close the store."""
        await self.store.close()

    # Receiving

    async def receive(self, part: SyncPart) -> News:
        """Take what a sync brought. It is on disk when this returns; only then may the sync token be stored."""
        return await self.store.run(functools.partial(self._receive, part))

    async def decrypt(self, raw: Object, room: str) -> Decrypted | Sealed:
        """Read an `m.room.encrypted` event of `room`. If its key is missing, the event is kept until `done`."""
        (result,) = await self.decrypt_all((raw,), room)
        return result

    async def decrypt_all(self, raws: Sequence[Object], room: str) -> list[Decrypted | Sealed]:
        """Read many events at once, with only one flush of the disk."""
        return await self.store.run(lambda db: [self._decrypt(db, raw, room) for raw in raws])

    async def ready(self) -> tuple[Late, ...]:
        """Return the waiting events that can be read now, or never will be. They are returned again until `done`."""
        return await self.store.run(self._ready)

    async def done(self, events: Iterable[str]) -> None:
        """Forget waiting events (ids) that were recorded or given up."""
        ids = tuple(events)
        await self.store.run(lambda db: undecrypted_events.delete_events(db, ids))

    async def given_up(self, before_ms: int) -> tuple[Sealed, ...]:
        """Return the events that have waited since before `before_ms`, with the latest reason.

        They keep waiting until `done`.
        """
        return await self.store.run(functools.partial(self._given_up, before_ms))

    async def waiting_count(self) -> int:
        """Return the number of events that wait for their key."""
        return await self.store.run(undecrypted_events.count)

    async def reasons(self) -> tuple[Sealed, ...]:
        """Return waiting events whose reason has changed since it was last reported, each time until `told`."""
        found = await self.store.run(undecrypted_events.untold)
        return tuple(Sealed(*each, waits=True) for each in found)

    async def told(self, reasons: Iterable[tuple[str, str]]) -> None:
        """Note that the reasons (event and code) are recorded."""
        noted = tuple(reasons)
        await self.store.run(lambda db: undecrypted_events.mark_told(db, noted))

    def _receive(self, part: SyncPart, db: Db) -> News:
        now = self.clock()
        if part.initial:
            devices.all_stale(db)
        devices.note_changes(db, part.changed, part.left)
        self.ours.note_counts(db, part.counts, part.unused_fallbacks, now)
        heard: Heard = self._inbox.take(db, self.ours.identity(db), part.to_device, now) if part.to_device else Heard()
        return News(
            tuple(heard.keys),
            self._ready(db) if heard.keys else (),
            tuple(heard.withheld),
            tuple(heard.verification),
            heard.unreadable,
        )

    def _decrypt(self, db: Db, raw: Object, room: str) -> Decrypted | Sealed:
        us = self.ours.identity(db)
        result = self.keys.read(db, raw, room, (us.user, us.curve25519))
        if isinstance(result, Sealed) and result.waits:
            code = undecrypted_events.code_of(db, room, result.session, str(raw.get("sender", ""))) or MISSING
            undecrypted_events.wait(db, result.event, room, result.session, raw, code, self.clock())
            return replace(result, code=code)
        return result

    def _ready(self, db: Db) -> tuple[Late, ...]:
        read = [(room, self._decrypt(db, raw, room), raw) for room, raw in undecrypted_events.readable(db)]
        return tuple(
            Late(room, str(raw.get("event_id", "")), result)
            for room, result, raw in read
            if not (isinstance(result, Sealed) and result.waits)
        )

    def _given_up(self, before_ms: int, db: Db) -> tuple[Sealed, ...]:
        found = undecrypted_events.given_up(db, before_ms)
        return tuple(
            Sealed(event, room, session, undecrypted_events.code_of(db, room, session, sender) or MISSING)
            for event, room, session, sender in found
        )

    # Sending

    async def encrypt(
        self,
        room: str,
        type: str,
        content: Object,
        members: Collection[str],
        how: RoomEncryption | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """Return the encrypted type and content, after giving the key to the devices of `members` that should have it.

        `members` are those who are joined, and those invited if they may read messages from before they join. Content
        that is sent in the clear (`IN_THE_CLEAR`) is returned unchanged. Raises `Discarded` if somebody has left
        meanwhile (`members_changed`): find out who is in the room, and call again.
        """
        if type in IN_THE_CLEAR:
            return type, dict(content)
        async with self._asking:
            await self._known({*members, self.user})
            if not await self.store.run(self.ours.is_published):
                await self._upload()
            us = await self.identity()
            session = await self._prepared(us, room, members, how or RoomEncryption())
            await self._share(us, room, session, members)
            encrypted = await self.store.run(lambda db: self._outbound.encrypt(db, us, room, session, type, content))
        return "m.room.encrypted", encrypted

    async def members_changed(self, room: str, members: Collection[str], gone: Collection[str] = ()) -> None:
        """Track the devices of a room's members; if somebody has left (`gone`), the next message uses a new key."""

        def work(db: Db) -> None:
            devices.track(db, members)
            if gone:
                self._outbound.discard(db, room)

        await self.store.run(work)

    async def _prepared(self, us: AccountKeys, room: str, members: Collection[str], how: RoomEncryption) -> str:
        session = await self.store.run(lambda db: self._outbound.prepare(db, us, room, members, how, self.clock()))
        if self._sessions.get(room) != session:
            self._sessions[room] = session
            self.due.set()
        return session

    async def _share(self, us: AccountKeys, room: str, session: str, members: Collection[str]) -> None:
        lacking = await self.store.run(lambda db: self._outbound.without_session(db, us, session, members))
        mute = {(each.user, each.device) for each in lacking if self._is_mute(each)}
        await self._begin_with([each for each in lacking if (each.user, each.device) not in mute])
        await self.store.run(lambda db: self._outbound.share(db, us, room, session, members, mute))
        await self._send_waiting(session)
        await self.store.run(lambda db: self._outbound.given(db, session))

    # Work that needs the homeserver

    async def tend(self) -> tuple[Person, ...]:
        """Upload our keys, fetch device lists, repair sessions and send waiting messages.

        Returns the persons whose master key has changed since we first saw it; they must be verified again. Raises
        `StoreLost` if this device was made with another store.
        """
        async with self._asking:
            await self._known(None)
            us = await self.identity()
            upload, changed = await self.store.run(functools.partial(self._looked_over, us))
            if changed is None:
                await self._upload(upload)
                await self._mend()
                await self._send_waiting(None)
                changed = await self.store.run(devices.take_changed)
            return tuple(changed)

    async def request_key(self, raw: Object, room: str) -> bool:
        """Ask our own other devices for the key of an event. Returns False if that was done before."""
        session = object_of(raw.get("content")).get("session_id")
        if not isinstance(session, str):
            return False

        def work(db: Db) -> bool:
            content = undecrypted_events.request_key(db, room, session, self.device)
            others = [each for each in devices.of_user(db, self.user) if each.signed]
            outbound.put(db, "m.room_key_request", [(each, content) for each in others if content is not None])
            return content is not None

        asked = await self.store.run(work)
        async with self._asking:
            await self._send_waiting(None)
        return asked

    async def known_devices(self, user: str) -> list[Device]:
        """Return the devices of a user, from the homeserver if our list may be out of date."""
        await self.learn_of(user)
        return await self.store.run(lambda db: devices.of_user(db, user))

    async def person(self, user: str) -> Person:
        """Return the cross-signing keys of a user, from the homeserver if ours may be out of date."""
        await self.learn_of(user)
        return await self.store.run(lambda db: devices.person(db, user))

    async def learn_of(self, user: str) -> None:
        """Ask the homeserver for the keys of a user, if ours may be out of date."""
        async with self._asking:
            await self._known([user])

    async def identity(self) -> AccountKeys:
        """Return our device and its public keys."""
        if self._identity is None:  # it never changes
            self._identity = await self.store.run(self.ours.identity)
        return self._identity

    async def refresh_own(self) -> None:
        """Fetch our own account's keys from the homeserver again."""
        await self.store.run(lambda db: devices.note_changes(db, [self.user], ()))
        async with self._asking:
            await self._known([self.user])

    async def send_verification(self, user: str, device: str, type: str, content: Object) -> None:
        """Send a message of a verification to a device, in the clear as the specification requires."""
        await self.store.run(lambda db: outbound.put_raw(db, type, {user: {device: dict(content)}}))
        async with self._asking:
            await self._send_waiting(None)

    async def _known(self, users: Collection[str] | None) -> None:
        """Fetch the outdated lists of these users, or with None of all whose lists we keep."""

        def outdated(db: Db) -> dict[str, int]:
            if users is not None:
                devices.track(db, users)
            return devices.stale(db, users if users is None else set(users))

        lists = await self.store.run(outdated)
        us = await self.identity()
        me = Device(us.user, us.device, us.curve25519, us.ed25519)
        while some := self._late.next_portion(lists, self.clock(), USERS_AT_ONCE):
            asked = {user: lists.pop(user) for user in some}
            answer = await self._timed(some, self.requests.query_keys(some))
            await self.store.run(functools.partial(_learn, asked, answer, me))

    async def _timed(self, users: Sequence[str], request: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        """Return the answer to a request about these users, and note if it was late."""
        began = self.clock()
        answer = await request
        now = self.clock()
        self._late.answered(users, now - began, object_of(answer.get("failures")), now)
        return answer

    async def _upload(self, upload: Upload | None = None) -> None:
        """Upload keys that the homeserver lacks; the device's keys come first, since without them nobody knows us."""
        if upload is None:
            upload = await self.store.run(self._to_upload)
        if not upload.body:
            return
        try:
            answer = await self.requests.upload_keys(upload.body)
        except Rejected:
            if upload.first:
                raise
            answer = {}  # one of them exists already, from before a backup of this store was restored: make new ones
        counts = answer.get("one_time_key_counts")
        await self.store.run(lambda db: self.ours.uploaded(db, counts, self.clock()))

    def _to_upload(self, db: Db) -> Upload:
        if store_age.is_of_no_use(db):
            raise StoreLost(f"the keys of the device {self.device} are not here any more: log in as a new device")
        if self.ours.is_published(db) and meta(db, "own_at_server") == devices.OWN_ABSENT:
            self.ours.unpublished(db)
        return self.ours.upload(db, self.clock())

    async def _mend(self) -> None:
        """Begin sessions with devices whose messages we cannot read, and send each a message in its new session."""
        broken = [each for each in await self.store.run(self._olm.wedged) if not self._is_mute(each)]
        if broken:
            await self._begin_with(broken)
            await self.store.run(functools.partial(self._say_dummy, broken))
        us = await self.identity()
        await self.store.run(lambda db: self._inbox.pay(db, us, self.clock()))

    def _looked_over(self, us: AccountKeys, db: Db) -> tuple[Upload, Sequence[Person] | None]:
        """Return what is to be uploaded, and the persons whose master key has changed.

        Instead of the persons None, if something is to be uploaded, mended or sent first.
        """
        upload = self._to_upload(db)
        if upload.body or self._olm.wedged(db):
            return upload, None
        self._inbox.pay(db, us, self.clock())
        return upload, None if outbound.waiting_requests(db, None) else devices.take_changed(db)

    def _say_dummy(self, broken: Sequence[Device], db: Db) -> None:
        now = self.clock()
        for device in broken:
            message = self._olm.seal(db, device, "m.dummy", {})
            outbound.put(db, "m.room.encrypted", [(device, message)] if message is not None else [])
            self._olm.mended(db, device, now)

    async def _begin_with(self, wanted: Sequence[Device]) -> None:
        """Claim a key of each of these devices and begin a session, except if their server rests."""
        devices_of: dict[str, list[Device]] = {}
        for device in wanted:
            devices_of.setdefault(device.user, []).append(device)
        while some := self._late.next_portion(devices_of, self.clock()):
            await self._claim({user: devices_of.pop(user) for user in some})

    async def _claim(self, devices_of: Mapping[str, Sequence[Device]]) -> None:
        """Claim keys in one request and begin sessions; a device without a key is not asked for a while."""
        wanted = {user: [each.device for each in owned] for user, owned in devices_of.items()}
        answer = await self._timed(list(wanted), self.requests.claim_keys(wanted))
        claimed, begun = object_of(answer.get("one_time_keys")), set[tuple[str, str]]()
        asked = [device for owned in devices_of.values() for device in owned]
        for start in range(0, len(asked), _AT_ONCE):  # each takes milliseconds, and reading must not wait for all
            some = asked[start : start + _AT_ONCE]
            begun |= await self.store.run(functools.partial(self._begin, some, claimed))
        until = self.clock() + _MUTE_MS
        for device in {(each.user, each.device) for each in asked} - begun:
            self._mute[device] = until

    def _begin(self, wanted: Sequence[Device], claimed: Mapping[str, Any], db: Db) -> set[tuple[str, str]]:
        now, begun = self.clock(), set()
        for device in wanted:
            try:
                key = first_key(object_of(claimed.get(device.user)).get(device.device))
            except MalformedKey:
                continue
            if self._olm.begin(db, device, key, now):
                begun.add((device.user, device.device))
        return begun

    def _is_mute(self, device: Device) -> bool:
        now = self.clock()
        return self._late.rests(device.user, now) or self._mute.get((device.user, device.device), 0) > now

    async def _send_waiting(self, session: str | None) -> None:
        for each in await self.store.run(lambda db: outbound.waiting_requests(db, session)):
            await self._send(each)

    async def _send(self, each: Outgoing) -> None:
        try:
            await self.requests.to_device(each.type, each.messages, each.txn)
        except LoggedOut:
            raise
        except Answered:
            pass  # it will never be accepted, and later messages must not wait for it
        await self.store.run(lambda db: outbound.remove_request(db, each))


def _learn(asked: Mapping[str, int], answer: Object, me: Device, db: Db) -> None:
    devices.learn(db, asked, answer, me)
