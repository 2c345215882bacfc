"""Encryption as the listener uses it: takes in keys and decrypts events.

Rules kept here:
- Messages for our device are on disk before the sync token is (`receive` is called first).
- An event whose key is missing is passed on encrypted and recorded as unread. When its key arrives it is passed on
  again, marked as late.
- The reason why a key is missing is passed on whenever it is learnt.
- Receiving never waits for the homeserver: what needs it becomes `KeyWork`.
Left to others: that work (`key_upkeep.py`), keys and devices (`bot/crypto/`), sending
(`bot/crypto/encrypting_client.py`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog

from bot.crypto.encrypting_client import ENCRYPTION, VISIBILITY, SealedHomeserver
from bot.crypto.machine import CryptoMachine, Late, SyncPart
from bot.crypto.outbound import Recipients, discard_all
from bot.crypto.room_keys import Decrypted, Sealed
from bot.crypto.store import place_of
from bot.crypto.store_key import StoreKey, load_or_create
from bot.crypto.to_device import ToDevice
from bot.events.parse_event import receive
from bot.events.sync_response import SyncResponse
from bot.matrix.client import Session
from bot.matrix.errors import HomeserverError
from bot.matrix.http import Wire
from bot.runtime.clock import Clock
from moderation.values.events import IN_A_PLAIN_ROOM, MembershipChanged, Received, StateChanged, Undecryptable
from moderation.values.ids import EventId, RoomId
from storage.database.fence import Epoch
from storage.database.place import DatabasePlace
from storage.database.small_store import SmallPlace, is_there

log = structlog.get_logger()

_GONE = ("leave", "ban")


async def open_machine(
    place: DatabasePlace,
    session: Session,
    wire: Wire,
    clock: Clock,
    readers: str = "all",
    epoch: Epoch | None = None,
) -> CryptoMachine:
    """Open the machine of this session's device; each device has a store. Raises `Broken` if it cannot be used.

    `readers` selects the members' devices that are given keys: "all" or only those that are "signed". In a new `epoch`
    the next message in each room begins a new session.
    """
    where = place_of(place, session.device)
    key = await asyncio.to_thread(_key, where)
    machine = await CryptoMachine.open(
        where, key, wire, session.user, session.device, recipients=Recipients(readers), clock=clock, epoch=epoch
    )
    if epoch is not None:
        await machine.store.run(discard_all)
    return machine


def _key(where: SmallPlace) -> StoreKey:
    return load_or_create(where.place.data_dir, store_exists=is_there(where))


class KeyWork:
    """The work on keys that comes up while events are read and sent; `due` is set whenever there is some."""

    def __init__(self, due: asyncio.Event) -> None:
        self.due = due
        self.changed = asyncio.Event()  # our keys may have changed since they were examined
        self.changed.set()
        self.asked: list[ToDevice] = []  # messages about emoji comparison
        self.wanted: list[tuple[dict[str, object], RoomId]] = []  # events whose keys we ask our other devices for


class Encryption:
    """Reads by means of one crypto machine."""

    def __init__(self, machine: CryptoMachine, homeserver: SealedHomeserver, clock: Clock) -> None:
        self.work = KeyWork(machine.due)
        self._machine = machine
        self._homeserver = homeserver
        self._clock = clock
        self._counts: object = None  # numbers of our keys at the homeserver
        self._hopeless: list[Sealed] = []  # events whose key came but does not open them
        self._reasons_due = True

    # Coming in.

    async def receive(self, response: SyncResponse, *, initial: bool) -> list[Received]:
        """Take what a sync brought for our device. Returns earlier events that can be read now."""
        part = SyncPart.of(response.to_device, response.encryption, initial=initial)
        counts = (part.counts, part.unused_fallbacks)
        if not (part.to_device or part.changed or part.left or initial) and counts == self._counts:
            return []  # most answers bring only messages: then there is nothing to store or maintain
        news = await self._machine.receive(part)
        self.work.asked.extend(news.verification)
        if self._machine.user in part.changed:
            self.work.changed.set()  # somebody may have replaced them
        self.work.due.set()
        self._counts = counts
        self._reasons_due |= bool(news.withheld)
        return self._late(news.ready)

    async def left_over(self) -> list[Received]:
        """Return events that became readable before the last stop and may not have been recorded."""
        return self._late(await self._machine.ready())

    def _late(self, ready: Sequence[Late]) -> list[Received]:
        self._hopeless += [late.result for late in ready if isinstance(late.result, Sealed)]
        return [
            receive(late.result.event, RoomId(late.room), self._clock(), encrypted=True)
            for late in ready
            if isinstance(late.result, Decrypted)
        ]

    async def recorded(self, late: Sequence[Received]) -> None:
        """Stop waiting for the keys of these late events, which are in the journal now."""
        await self._machine.done([event.event for event in late if event.event])

    async def reasons(self) -> list[tuple[EventId, str]]:
        """Return why events cannot be read (a code each), where that was unknown when they came."""
        if not (self._reasons_due or self._hopeless):
            return []
        found = [*await self._machine.reasons(), *self._hopeless]
        self._reasons_due = bool(found)
        return [(EventId(each.event), each.code) for each in found]

    async def told(self, reasons: Sequence[tuple[EventId, str]]) -> None:
        """Note that these reasons are in the journal; stop waiting for keys of events that will never be readable."""
        await self._machine.told(reasons)
        await self._machine.done([each.event for each in self._hopeless])
        self._hopeless.clear()
        self._reasons_due = False

    async def read(self, events: Sequence[Received]) -> list[Received]:
        """Return the events in the same order, with readable ones in place of their ciphertext."""
        sealed = [event for event in events if isinstance(event, Undecryptable)]
        if not sealed:
            return list(events)
        opened: dict[str, Received] = {}
        for room in dict.fromkeys(event.room for event in sealed):
            here = [event for event in sealed if event.room == room]
            for event, result in zip(
                here, await self._machine.decrypt_all([_raw(event) for event in here], room), strict=True
            ):
                if isinstance(result, Decrypted):
                    opened[event.event] = receive(result.event, room, event.received_ms, encrypted=True)
                else:
                    code = result.code if await self._may_be_sealed(room) else IN_A_PLAIN_ROOM
                    opened[event.event] = replace(event, code=code)
                    self._want(event if result.waits else None)
        return [opened.get(event.event or "", event) for event in events]

    async def _may_be_sealed(self, room: RoomId) -> bool:
        """Tell whether the room is encrypted; also True if that cannot be found out now."""
        try:
            return await self._homeserver.is_encrypted(room)
        except HomeserverError:
            return True

    def _want(self, event: Undecryptable | None) -> None:
        if event is not None:
            self.work.wanted.append((_raw(event), event.room))
            self.work.due.set()

    async def noticed(self, events: Sequence[Received], missed: Sequence[RoomId] = ()) -> None:
        """Note what these events change about rooms: their encryption, and who may read.

        We did not see everything that happened in the rooms `missed`: for these, both are fetched again.
        """
        for room in missed:
            self._homeserver.room_changed(room)
        gone: dict[RoomId, set[str]] = {}
        for event in events:
            if isinstance(event, StateChanged) and event.type in (ENCRYPTION, VISIBILITY):
                self._homeserver.room_changed(event.room)
            elif isinstance(event, MembershipChanged):
                self._homeserver.members_changed(event.room)
                if event.membership in _GONE:
                    gone.setdefault(event.room, set()).add(event.user)
        for room, users in gone.items():
            await self._machine.members_changed(room, (), users)


def _raw(event: Undecryptable) -> dict[str, object]:
    """Return the event in its original form."""
    return {
        "event_id": event.event,
        "room_id": event.room,
        "sender": event.sender,
        "origin_server_ts": event.sent_ms,
        "type": event.type,
        "content": dict(event.content),
    }
