"""`CryptoMachine`: encryption for one device, as the rest of the bot sees it.

How it is used. `receive` takes the encrypting part of a `/sync` answer *before* its token is stored; when it returns,
what came is on disk, and the events that became readable are in its answer. `decrypt` reads a raw `m.room.encrypted`
event; one whose key is missing is kept until the caller says `done`. `encrypt` makes the content to send. `tend` does
what asks the homeserver: uploads keys, asks for device lists, mends sessions, sends what waits; call it after
`receive`, and again when it raised. `ready` gives what could be read but was not yet reported as `done`, for the
start.

Rules this module keeps: `receive` and `decrypt` ask nothing of the homeserver, so the receiving path never waits for
it; every change is one durable transaction (`store.py`); what is to be sent is on disk before it is sent, with its
transaction id, so a crash repeats and never loses it; requests follow each other, one at a time; errors of requests
are those of `bot/matrix/errors.py`, and everything can be called again after one.
Left to others: who is in a room, when to retry, what to tell people.
Specification: client-server API v1.19, "End-to-End Encryption".
"""

import asyncio
import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.matrix.errors import Answered, LoggedOut, Rejected
from bot.matrix.http import Wire
from bot.runtime.clock import Clock, wall_clock

from . import devices, outbound, store_age, undecrypted_events
from .account import AccountKeys, OurDevice, first_key
from .devices import Device, Person
from .encoding import MalformedKey, Object, object_of
from .errors import StoreLost
from .olm import Olm
from .outbound import IN_THE_CLEAR, Outbound, Outgoing, Recipients, RoomEncryption
from .requests import USERS_AT_ONCE, Requests
from .room_keys import MISSING, Decrypted, RoomKeys, Sealed
from .store import Db, Store, meta
from .store_key import StoreKey
from .sync_result import Late, News, SyncPart
from .to_device import Heard, Inbox

__all__ = ["CryptoMachine", "Late", "News", "SyncPart"]

_AT_ONCE = 20  # sessions that are begun in one transaction
MUTE_MS = 600_000  # a device without keys, or whose homeserver is away, is asked again after this


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
        self._asking = asyncio.Lock()  # what asks the homeserver, one after the other
        self._mute: dict[tuple[str, str], int] = {}  # devices of which no key could be claimed, and until when

    def __repr__(self) -> str:
        return f"CryptoMachine({self.user!r}, {self.device!r})"

    @classmethod
    async def open(
        cls,
        folder: Path,
        key: StoreKey,
        wire: Wire,
        user: str,
        device: str,
        *,
        recipients: Recipients = Recipients.ALL,
        clock: Clock = wall_clock,
    ) -> "CryptoMachine":
        """Open the store in `folder`, or make it. Raises `Broken`, `WrongKey`; asks nothing of the homeserver."""
        store = await Store.open(folder, key, user, device)
        machine = cls(store, Requests(wire, user), user, device, recipients, clock)
        await store.run(lambda db: devices.track(db, [user]))
        await machine.identity()  # the device's keys are made once, before anything can fail
        return machine

    async def close(self) -> None:
        """Close the store."""
        await self.store.close()

    # What comes

    async def receive(self, part: SyncPart) -> News:
        """Take in what a sync brought. It is on disk when this returns; only then may the sync token be stored."""
        return await self.store.run(functools.partial(self._receive, part))

    async def decrypt(self, raw: Object, room: str) -> Decrypted | Sealed:
        """Read an `m.room.encrypted` event of `room`. If its key is missing, the event is kept until `done`."""
        (result,) = await self.decrypt_all((raw,), room)
        return result

    async def decrypt_all(self, raws: Sequence[Object], room: str) -> list[Decrypted | Sealed]:
        """The same for many events at once: one flush of the disk for all."""
        return await self.store.run(lambda db: [self._decrypt(db, raw, room) for raw in raws])

    async def ready(self) -> tuple[Late, ...]:
        """The events that waited and can be read now, or never. They are given again until `done`."""
        return await self.store.run(self._ready)

    async def done(self, events: Iterable[str]) -> None:
        """These events (ids) are recorded, or given up: they need not wait any more."""
        ids = tuple(events)
        await self.store.run(lambda db: undecrypted_events.done(db, ids))

    async def given_up(self, before_ms: int) -> tuple[Sealed, ...]:
        """The events that have waited since before then, with the newest word on why. They wait on until `done`."""
        return await self.store.run(functools.partial(self._given_up, before_ms))

    async def waiting_count(self) -> int:
        """How many events wait for their key."""
        return await self.store.run(undecrypted_events.count)

    async def reasons(self) -> tuple[Sealed, ...]:
        """The events that wait, with another reason than was told last. They are given again until `told`."""
        found = await self.store.run(undecrypted_events.untold)
        return tuple(Sealed(*each, waits=True) for each in found)

    async def told(self, reasons: Iterable[tuple[str, str]]) -> None:
        """The reasons (event and code) are recorded."""
        noted = tuple(reasons)
        await self.store.run(lambda db: undecrypted_events.told(db, noted))

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

    # What goes

    async def encrypt(
        self,
        room: str,
        type: str,
        content: Object,
        members: Collection[str],
        how: RoomEncryption | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """The type and content to send instead, once every device of `members` that should have the key was given it.

        `members`: who is joined, and who is invited where they may read what is said before they join. What is sent in
        the clear (`IN_THE_CLEAR`) comes back as it is. Raises `Discarded` if somebody has gone meanwhile
        (`members_changed`): ask who is there, and call again.
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
        """Who is in an encrypted room now. Their devices are kept track of; if somebody has gone, the key changes."""

        def work(db: Db) -> None:
            devices.track(db, members)
            if gone:
                self._outbound.discard(db, room)

        await self.store.run(work)

    async def _prepared(self, us: AccountKeys, room: str, members: Collection[str], how: RoomEncryption) -> str:
        return await self.store.run(lambda db: self._outbound.prepare(db, us, room, members, how, self.clock()))

    async def _share(self, us: AccountKeys, room: str, session: str, members: Collection[str]) -> None:
        lacking = await self.store.run(lambda db: self._outbound.without_session(db, us, session, members))
        mute = {(each.user, each.device) for each in lacking if self._is_mute(each)}
        await self._begin_with([each for each in lacking if (each.user, each.device) not in mute])
        await self.store.run(lambda db: self._outbound.share(db, us, room, session, members, mute))
        await self._send_waiting(session)
        await self.store.run(lambda db: self._outbound.given(db, session))

    # What asks the homeserver

    async def tend(self) -> tuple[Person, ...]:
        """Bring our keys, other people's lists, sessions and messages in order with the homeserver.

        Returns whose master key has changed since we first saw it: whoever was verified must be verified again. Raises
        `StoreLost` if this device was made with another store.
        """
        async with self._asking:
            await self._known(None)
            await self._upload()
            await self._mend()
            await self._send_waiting(None)
            return tuple(await self.store.run(devices.take_changed))

    async def request_key(self, raw: Object, room: str) -> bool:
        """Ask our own other devices for the key of an event. False if that was done before."""
        session = object_of(raw.get("content")).get("session_id")
        if not isinstance(session, str):
            return False

        def work(db: Db) -> bool:
            content = undecrypted_events.ask(db, room, session, self.device)
            others = [each for each in devices.of_user(db, self.user) if each.signed]
            outbound.put(db, "m.room_key_request", [(each, content) for each in others if content is not None])
            return content is not None

        asked = await self.store.run(work)
        async with self._asking:
            await self._send_waiting(None)
        return asked

    async def known_devices(self, user: str) -> list[Device]:
        """The devices of a user; the homeserver is asked if what we know is not the newest."""
        async with self._asking:
            await self._known([user])
        return await self.store.run(lambda db: devices.of_user(db, user))

    async def person(self, user: str) -> Person:
        """The cross-signing keys of a user; the homeserver is asked if what we know is not the newest."""
        async with self._asking:
            await self._known([user])
        return await self.store.run(lambda db: devices.person(db, user))

    async def identity(self) -> AccountKeys:
        """Our device and its public keys."""
        return await self.store.run(self.ours.identity)

    async def refresh_own(self) -> None:
        """Ask anew what the homeserver has of our own account."""
        await self.store.run(lambda db: devices.note_changes(db, [self.user], ()))
        async with self._asking:
            await self._known([self.user])

    async def send_verification(self, user: str, device: str, type: str, content: Object) -> None:
        """Send a message of a verification to a device, in the clear as the specification has it."""
        await self.store.run(lambda db: outbound.put_raw(db, type, {user: {device: dict(content)}}))
        async with self._asking:
            await self._send_waiting(None)

    async def _known(self, users: Collection[str] | None) -> None:
        """Ask for the lists of these users, or of all we keep, that are not the newest."""
        if users is not None:
            await self.store.run(lambda db: devices.track(db, users))
        lists = await self.store.run(lambda db: devices.stale(db, users if users is None else set(users)))
        names = list(lists)
        us = await self.identity()
        me = Device(us.user, us.device, us.curve25519, us.ed25519)
        for start in range(0, len(names), USERS_AT_ONCE):
            asked = {user: lists[user] for user in names[start : start + USERS_AT_ONCE]}
            answer = await self.requests.query_keys(list(asked))
            await self.store.run(functools.partial(_learn, asked, answer, me))

    async def _upload(self) -> None:
        """Upload the keys that the homeserver lacks; ours come first, since without them nobody can know us."""
        if await self.store.run(store_age.is_of_no_use):
            raise StoreLost(f"the keys of the device {self.device} are not here any more: log in as a new device")
        published, there = await self.store.run(lambda db: (self.ours.is_published(db), meta(db, "own_at_server")))
        if published and there == devices.OWN_ABSENT:
            await self.store.run(self.ours.unpublished)
        upload = await self.store.run(lambda db: self.ours.upload(db, self.clock()))
        if not upload.body:
            return
        try:
            answer = await self.requests.upload_keys(upload.body)
        except Rejected:
            if upload.first:
                raise
            answer = {}  # one of them is there already, from a time before a backup of this store: make new ones
        counts = answer.get("one_time_key_counts")
        await self.store.run(lambda db: self.ours.uploaded(db, counts, self.clock()))

    async def _mend(self) -> None:
        """New sessions with devices whose messages we cannot read, and a word by which they learn of it."""
        broken = await self.store.run(self._olm.wedged)
        if broken:
            await self._begin_with(broken)
            await self.store.run(functools.partial(self._say_dummy, broken))
        us = await self.identity()
        await self.store.run(lambda db: self._inbox.pay(db, us, self.clock()))

    def _say_dummy(self, broken: Sequence[Device], db: Db) -> None:
        now = self.clock()
        for device in broken:
            message = self._olm.seal(db, device, "m.dummy", {})
            outbound.put(db, "m.room.encrypted", [(device, message)] if message is not None else [])
            self._olm.mended(db, device, now)

    async def _begin_with(self, wanted: Sequence[Device]) -> None:
        """Claim a key of each of these devices and begin a session with it; who has none is mute for a while."""
        if not wanted:
            return
        asked: dict[str, list[str]] = {}
        for device in wanted:
            asked.setdefault(device.user, []).append(device.device)
        answer = await self.requests.claim_keys(asked)
        claimed, begun = object_of(answer.get("one_time_keys")), set[tuple[str, str]]()
        for start in range(0, len(wanted), _AT_ONCE):  # each takes milliseconds, and reading must not wait for all
            some = wanted[start : start + _AT_ONCE]
            begun |= await self.store.run(functools.partial(self._begin, some, claimed))
        until = self.clock() + MUTE_MS
        ids = {(each.user, each.device) for each in wanted}
        self._mute |= dict.fromkeys(ids - begun, until)

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
        return self._mute.get((device.user, device.device), 0) > self.clock()

    async def _send_waiting(self, session: str | None) -> None:
        for each in await self.store.run(lambda db: outbound.waiting(db, session)):
            await self._send(each)

    async def _send(self, each: Outgoing) -> None:
        try:
            await self.requests.to_device(each.type, each.messages, each.txn)
        except LoggedOut:
            raise
        except Answered:
            pass  # it will never be taken, and what comes after it must not wait for it
        await self.store.run(lambda db: outbound.sent(db, each))


def _learn(asked: Mapping[str, int], answer: Object, me: Device, db: Db) -> None:
    devices.learn(db, asked, answer, me)
