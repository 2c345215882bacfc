"""Encryption as the listener uses it: takes in keys, decrypts events, and maintains our keys.

Rules kept here:
- Messages for our device are on disk before the sync token is (`receive` is called first).
- An event whose key is missing is passed on encrypted and recorded as unread. When its key arrives it is passed on
  again, marked as late.
- The reason why a key is missing is passed on whenever it is learnt.
- Requests to the homeserver run in parallel to the listener (`run`), so that receiving never waits.
Left to others: keys and devices (`bot/crypto/`), sending (`bot/crypto/encrypting_client.py`), emoji comparison
(`emoji_dialogue.py`), telling people about the state of the keys (`key_alerts.py`).
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import structlog

from bot.crypto.cross_signing import CrossSigning, KeyStanding, KeyState
from bot.crypto.encrypting_client import ENCRYPTION, VISIBILITY, SealedHomeserver
from bot.crypto.errors import CryptoError, NeedsPassword, NotOurs, StoreLost
from bot.crypto.key_backup import KeyBackup
from bot.crypto.machine import CryptoMachine, Late, SyncPart
from bot.crypto.outbound import Recipients
from bot.crypto.room_keys import Decrypted, Sealed
from bot.crypto.store import FILE
from bot.crypto.store_key import load_or_create
from bot.crypto.to_device import ToDevice
from bot.events.parse_event import receive
from bot.events.sync_response import SyncResponse
from bot.matrix.client import Session
from bot.matrix.errors import Answered, HomeserverError, LoggedOut, RateLimited, Unreachable
from bot.matrix.http import Wire
from bot.runtime.clock import Clock
from moderation.values.events import IN_A_PLAIN_ROOM, MembershipChanged, Received, StateChanged, Undecryptable
from moderation.values.ids import EventId, RoomId

log = structlog.get_logger()

FOLDER = "crypto"  # in the data directory, one folder for each device
FIRST_RETRY_S, LAST_RETRY_S = 0.5, 60.0
TEND_S = 3_600.0  # longest interval between two rounds of maintenance
LOOK_AGAIN_S = 1.0  # pause before a second look, when keys were not in order and before that is reported
WAIT_FOR_KEYS_MS = 30 * 86_400_000  # an event whose key does not come in this time is no longer kept for it
_GONE = ("leave", "ban")
_FOREIGN = "foreign"  # in place of a version: the backup is not ours, or there is none

Verifying = Callable[[Sequence[ToDevice]], Awaitable[None]]
Stood = Callable[[KeyStanding], Awaitable[None]]


async def _nobody_asks(_messages: Sequence[ToDevice]) -> None:
    """Ignore messages about emoji comparison."""


async def _nobody_told(_standing: KeyStanding) -> None:
    """Tell nobody about the state of the keys."""


async def open_machine(
    data_dir: Path, session: Session, wire: Wire, clock: Clock, readers: str = "all"
) -> CryptoMachine:
    """Open the machine of this session's device; each device has a store. Raises `Broken` if it cannot be used.

    `readers` selects the members' devices that are given keys: "all" or only those that are "signed".
    """
    folder = data_dir / FOLDER / hashlib.sha256(session.device.encode()).hexdigest()[:16]
    key = await asyncio.to_thread(load_or_create, data_dir, store_exists=(folder / FILE).exists())
    return await CryptoMachine.open(
        folder, key, wire, session.user, session.device, recipients=Recipients(readers), clock=clock
    )


class _LookAgain(Exception):
    """Raised if our keys are not in order and have been looked at only once."""


class Encryption:
    """Runs one crypto machine."""

    def __init__(
        self,
        machine: CryptoMachine,
        homeserver: SealedHomeserver,
        clock: Clock,
        verifying: Verifying = _nobody_asks,
        stood: Stood = _nobody_told,
    ) -> None:
        self.machine = machine
        self._homeserver = homeserver
        self._clock = clock
        self._verifying = verifying
        self._stood = stood
        self._ready = False  # our keys were examined, and no change is known since
        self._was_ready = False  # they were in order when they were last examined
        self._doubted = False  # they were not in order; a very recent change may show only at the second look
        self._backup = ""  # the version of the backup, if it is ours; "" if unknown
        self.looked = asyncio.Event()  # the keys were examined for the first time, whatever the result
        self._work = asyncio.Event()
        self._asked: list[ToDevice] = []
        self._wanted: list[tuple[dict[str, object], RoomId]] = []  # events whose keys we ask our other devices for
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
        news = await self.machine.receive(part)
        self._asked += news.verification
        if self.machine.user in part.changed:
            self._ready = False  # somebody may have replaced our keys
        self._work.set()
        self._counts = counts
        self._reasons_due |= bool(news.withheld)
        return self._late(news.ready)

    async def left_over(self) -> list[Received]:
        """Return events that became readable before the last stop and may not have been recorded."""
        return self._late(await self.machine.ready())

    def _late(self, ready: Sequence[Late]) -> list[Received]:
        self._hopeless += [late.result for late in ready if isinstance(late.result, Sealed)]
        return [
            receive(late.result.event, RoomId(late.room), self._clock(), encrypted=True)
            for late in ready
            if isinstance(late.result, Decrypted)
        ]

    async def recorded(self, late: Sequence[Received]) -> None:
        """Stop waiting for the keys of these late events, which are in the journal now."""
        await self.machine.done([event.event for event in late if event.event])

    async def reasons(self) -> list[tuple[EventId, str]]:
        """Return why events cannot be read (a code each), where that was unknown when they came."""
        if not (self._reasons_due or self._hopeless):
            return []
        found = [*await self.machine.reasons(), *self._hopeless]
        self._reasons_due = bool(found)
        return [(EventId(each.event), each.code) for each in found]

    async def told(self, reasons: Sequence[tuple[EventId, str]]) -> None:
        """Note that these reasons are in the journal; stop waiting for keys of events that will never be readable."""
        await self.machine.told(reasons)
        await self.machine.done([each.event for each in self._hopeless])
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
                here, await self.machine.decrypt_all([_raw(event) for event in here], room), strict=True
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
            self._wanted.append((_raw(event), event.room))
            self._work.set()

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
            await self.machine.members_changed(room, (), users)

    # Runs in parallel to the listener.

    async def run(self) -> None:
        """Maintain our keys until cancelled."""
        self._wanted = [*await self._waiting(), *self._wanted]
        pause = FIRST_RETRY_S
        while True:
            self._work.clear()
            try:
                await self._make_ready()
                await self._tend()
            except LoggedOut:
                raise
            except RateLimited as error:
                wait = error.retry_after_ms / 1000
            except (Unreachable, Answered) as error:
                log.warning("keys_later", why=str(error), again_in_s=pause)
                wait, pause = pause, min(pause * 2, LAST_RETRY_S)
            except StoreLost:
                await self._is_lost()
            except _LookAgain:
                wait = LOOK_AGAIN_S
            else:
                wait, pause = 0.0, FIRST_RETRY_S
            finally:
                self.looked.set()
            if wait:  # wait to the end, whatever comes meanwhile
                await asyncio.sleep(wait)
                continue
            # Not `wait_for`: before Python 3.12 it can lose a cancellation that comes just as the wait ends.
            with suppress(TimeoutError):
                async with asyncio.timeout(TEND_S):
                    await self._work.wait()

    async def _waiting(self) -> list[tuple[dict[str, object], RoomId]]:
        """Return events that waited before the start: a stop may have come before their keys were asked for."""
        found = await self.machine.given_up(self._clock() + 1)
        return [({"content": {"session_id": each.session}}, RoomId(each.room)) for each in found]

    def look_again(self) -> None:
        """Examine our keys again, as an operator has changed them."""
        self._ready, self._was_ready, self._backup = False, False, ""
        self._work.set()

    async def _make_ready(self) -> None:
        """Make sure that our device is signed, as other clients require before they give it keys."""
        if self._ready:
            return
        self._ready = True  # set before examining: a change from here on causes another look
        try:
            standing = await self._signed()
        except BaseException:
            self._ready = False
            raise
        if standing.state not in (KeyState.READY, KeyState.LOST) and not self._doubted:
            self._ready, self._doubted = False, True
            raise _LookAgain
        await self._stood(standing)
        if standing.state is KeyState.LOST:
            raise StoreLost(f"the homeserver knows other keys for the device {self.machine.device}")
        self._doubted = standing.state is not KeyState.READY
        if self._doubted:
            log.error("keys_not_ready", state=standing.state.value, do="answerable keys")

    async def _signed(self) -> KeyStanding:
        signing = CrossSigning(self.machine)
        try:
            # Joining a room makes the server report a change of our own list: one request shows that there is none.
            standing = await signing.look() if self._was_ready else None
            if standing is None or standing.state is not KeyState.READY:
                standing = await signing.make_ready()
            self._was_ready = standing.state is KeyState.READY
            return standing
        except NeedsPassword:
            if self._doubted:
                log.error("keys_need_password", do="answerable keys set-up")
            return await signing.examine()
        except LoggedOut:
            raise
        except (Answered, CryptoError) as error:  # refused for good: work that needs no signature goes on
            if self._doubted:
                log.error("keys_not_signed", why=str(error), do="answerable keys")
            return await signing.examine()

    async def _is_lost(self) -> None:
        """Stop for good: this device can no longer read or send in encrypted rooms. Unsent messages keep waiting."""
        log.error("keys_lost", device=self.machine.device, do="answerable keys new-device")
        self._homeserver.keys_are_lost()
        self.looked.set()
        await asyncio.Event().wait()  # for ever: the next device is another process

    async def _back_up(self) -> None:
        """Upload new room keys to our backup, if there is one. Its version is fetched only if there are new keys."""
        backup, store = KeyBackup(self.machine), self.machine.store
        if self._backup == _FOREIGN or await backup.secret() is None:
            return
        known = self._backup
        if known and not await store.run(lambda db: bool(self.machine.keys.to_back_up(db, known, 1))):
            return
        self._backup = ""
        try:
            await backup.upload()
        except NotOurs:
            self._backup = _FOREIGN  # `answerable keys` reports it
            return
        self._backup = str((await self.machine.requests.backup() or {}).get("version", ""))

    async def _tend(self) -> None:
        await self.machine.tend()
        while self._wanted:
            await self.machine.request_key(*self._wanted[0])
            self._wanted.pop(0)
        over = await self.machine.given_up(self._clock() - WAIT_FOR_KEYS_MS)
        await self.machine.done([each.event for each in over])
        asked, self._asked = self._asked, []
        if asked:
            await self._verifying(asked)
        await self._back_up()


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
