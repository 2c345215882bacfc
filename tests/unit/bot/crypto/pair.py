"""Two devices without a homeserver: each has a store of its own, and the test carries messages between them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bot.crypto import devices, outbound
from bot.crypto.account import AccountKeys, OurDevice, first_key
from bot.crypto.cross_signing import PrivateKeys
from bot.crypto.devices import Device
from bot.crypto.olm import Olm
from bot.crypto.outbound import Outbound, Recipients, RoomEncryption
from bot.crypto.room_keys import Decrypted, RoomKeys, Sealed
from bot.crypto.store import Db, Store, place_of
from bot.crypto.store_key import StoreKey
from bot.crypto.to_device import Heard, Inbox
from storage.database.small_store import SmallPlace
from tests.postgres.engines import Engine

T = TypeVar("T")

ROOM = "!room:x"
NOW = 1_800_000_000_000


_given: set[str] = set()  # one-time keys that were given away


@dataclass
class Side:
    """One device with all that `CryptoMachine` is made of."""

    user: str
    device: str
    where: SmallPlace
    store: Store
    recipients: Recipients = Recipients.ALL
    now: int = NOW

    def __post_init__(self) -> None:
        self.ours = OurDevice(self.store, self.user, self.device)
        self.olm = Olm(self.store, self.ours)
        self.keys = RoomKeys(self.store)
        self.inbox = Inbox(self.olm, self.keys)
        self.outbound = Outbound(self.store, self.olm, self.keys, self.recipients)

    @classmethod
    async def open(
        cls, engine: Engine, folder: Path, user: str, device: str, recipients: Recipients = Recipients.ALL
    ) -> "Side":
        """Open a device with a store of its own; an existing one is opened again."""
        shard = user[1:].partition(":")[0]
        where = place_of(engine.place(folder / shard, shard), device)
        store = await Store.open(where, StoreKey(bytes(32)), user, device, engine.epoch(shard))
        return cls(user, device, where, store, recipients)

    async def run(self, work: Callable[[Db], T]) -> T:
        """Do something in the store."""
        return await self.store.run(work)

    async def us(self) -> AccountKeys:
        """Return our public keys."""
        return await self.run(self.ours.identity)

    async def published(self, signing: PrivateKeys | None = None) -> dict[str, Any]:
        """Return the device's keys as others get them, signed by the account's keys if they are given."""
        keys = await self.run(self.ours.keys)
        return signing.self_signing.signed(keys, self.user) if signing else keys

    async def one_time_key(self) -> dict[str, Any]:
        """Return a one-time key as a homeserver would: each key only once."""
        upload = await self.run(lambda db: self.ours.upload(db, self.now))
        keys = {name: key for name, key in upload.body["one_time_keys"].items() if key["key"] not in _given}
        found = first_key(keys)
        _given.add(found["key"])
        return found

    async def learn(self, *others: "Side", signing: PrivateKeys | None = None, gone: Collection["Side"] = ()) -> None:
        """Learn the device lists of the others' users, which have only the devices in `others` that are not `gone`."""
        answer: dict[str, Any] = {"device_keys": {}, "master_keys": {}, "self_signing_keys": {}}
        for other in others:
            there = answer["device_keys"].setdefault(other.user, {})
            if other not in gone:
                there[other.device] = await other.published(signing)
            if signing:
                public = signing.public(other.user)
                answer["master_keys"][other.user] = public["master_key"]
                answer["self_signing_keys"][other.user] = public["self_signing_key"]
        await self.answer(answer)

    async def answer(self, answer: dict[str, Any]) -> None:
        """Process this answer to a query of all users that it names."""
        us = await self.us()
        me = Device(us.user, us.device, us.curve25519, us.ed25519)
        users = answer["device_keys"]
        await self.run(lambda db: devices.track(db, users))
        await self.run(
            lambda db: devices.learn(db, devices.stale(db, set(users)) or dict.fromkeys(users, 0), answer, me)
        )

    async def begin(self, other: "Side") -> None:
        """Begin a session with another device."""
        key = await other.one_time_key()
        device = await self.run(lambda db: devices.one(db, other.user, other.device))
        assert device is not None
        assert await self.run(lambda db: self.olm.begin(db, device, key, self.now))

    async def seal(self, other: "Side", type: str, content: dict[str, Any]) -> dict[str, Any]:
        """Return an encrypted message to the other's device, as it arrives there."""
        device = await self.run(lambda db: devices.one(db, other.user, other.device))
        assert device is not None
        sealed = await self.run(lambda db: self.olm.seal(db, device, type, content))
        assert sealed is not None
        return {"sender": self.user, "type": "m.room.encrypted", "content": sealed}

    async def take(self, *messages: object) -> Heard:
        """Get messages."""
        us = await self.us()
        return await self.run(lambda db: self.inbox.take(db, us, messages, self.now))

    async def outgoing(self, to: "Side") -> list[dict[str, Any]]:
        """Return the waiting messages to a device, and remove them from the queue."""
        found = []
        for each in await self.run(lambda db: outbound.waiting_requests(db)):
            content = each.messages.get(to.user, {}).get(to.device)
            if content is not None:
                found.append({"sender": self.user, "type": each.type, "content": content})
                await self.run(lambda db, each=each: outbound.remove_request(db, each))  # type: ignore[misc]
        return found

    async def encrypt(
        self, content: dict[str, Any], *members: str, how: RoomEncryption | None = None, room: str = ROOM
    ) -> dict[str, Any]:
        """Return an encrypted text message of ours; its keys wait to be sent."""
        us, settings = await self.us(), how or RoomEncryption()

        def work(db: Db) -> dict[str, Any]:
            session = self.outbound.prepare(db, us, room, members, settings, self.now)
            self.outbound.share(db, us, room, session, members, ())
            return self.outbound.encrypt(db, us, room, session, "m.room.message", content)

        return self.event(await self.run(work))

    def event(self, content: dict[str, Any], id: str = "$1") -> dict[str, Any]:
        """Return an encrypted event of ours as it comes in a timeline."""
        return {
            "type": "m.room.encrypted",
            "event_id": id,
            "sender": self.user,
            "origin_server_ts": NOW,
            "content": content,
        }

    async def read(self, raw: dict[str, Any], room: str = ROOM) -> Decrypted | Sealed:
        """Decrypt an event of a timeline."""
        us = await self.us()
        return await self.run(lambda db: self.keys.read(db, raw, room, (us.user, us.curve25519)))
