"""The maintenance of our keys: uploads, device lists, mended sessions, the backup, requests for missing keys.

Rules kept here:
- It runs next to the listener, which never waits for it.
- Our device is examined at the start and whenever its keys may have changed. Trouble is reported after a second look.
- If the homeserver is away, the work is tried again, at growing intervals.
- Once the keys of this device are lost, it does nothing more.
Left to others: reading events (`service.py`), keys and devices (`bot/crypto/`), emoji comparison
(`emoji_dialogue.py`), telling people about the state of the keys (`key_alerts.py`).
"""

import asyncio
from contextlib import suppress

import structlog

from bot.crypto.cross_signing import CrossSigning, KeyStanding, KeyState
from bot.crypto.encrypting_client import SealedHomeserver
from bot.crypto.errors import CryptoError, NeedsPassword, NotOurs, StoreLost
from bot.crypto.key_backup import KeyBackup
from bot.crypto.machine import CryptoMachine
from bot.matrix.errors import Answered, LoggedOut, RateLimited, Unreachable
from bot.runtime.clock import Clock
from moderation.values.durations import HOUR_MS
from moderation.values.ids import RoomId

from .comparison_inbox import ComparisonInbox
from .key_alerts import Stood
from .service import KeyWork

log = structlog.get_logger()

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 60.0
TEND_S = 3_600.0  # longest interval between two rounds of maintenance
LOOK_AGAIN_S = 1.0  # pause before a second look, when keys were not in order and before that is reported
WAIT_FOR_KEYS_MS = 30 * 86_400_000  # an event whose key does not come in this time is no longer kept for it
_FOREIGN = "foreign"  # in place of a version: the backup is not ours, or there is none


class _LookAgain(Exception):
    """Raised if our keys are not in order and have been looked at only once."""


class KeyUpkeep:
    """Maintains the keys of one crypto machine; `stood` is called with their state whenever they were examined."""

    def __init__(
        self,
        machine: CryptoMachine,
        homeserver: SealedHomeserver,
        clock: Clock,
        work: KeyWork,
        comparisons: ComparisonInbox,
        stood: Stood,
    ) -> None:
        self.looked = asyncio.Event()  # the keys were examined for the first time, whatever the result
        self._machine = machine
        self._homeserver = homeserver
        self._clock = clock
        self._work = work
        self._comparisons = comparisons
        self._stood = stood
        self._was_ready = False  # they were in order when they were last examined
        self._doubted = False  # they were not in order; a very recent change may show only at the second look
        self._backup = ""  # the version of the backup, if it is ours; "" if unknown
        self._gave_up_in = -1  # the hour, counted from 1970, in which events were last given up

    async def run(self) -> None:
        """Maintain our keys until cancelled."""
        self._work.wanted[:0] = await self._waiting()
        pause = FIRST_RETRY_S
        while True:
            self._work.due.clear()
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
                    await self._work.due.wait()

    async def _waiting(self) -> list[tuple[dict[str, object], RoomId]]:
        """Return events that waited before the start: a stop may have come before their keys were asked for."""
        found = await self._machine.given_up(self._clock() + 1)
        return [({"content": {"session_id": each.session}}, RoomId(each.room)) for each in found]

    def look_again(self) -> None:
        """Examine our keys again, as an operator has changed them."""
        self._was_ready, self._backup = False, ""
        self._work.changed.set()
        self._work.due.set()

    async def _make_ready(self) -> None:
        """Make sure that our device is signed, as other clients require before they give it keys."""
        if not self._work.changed.is_set():
            return
        self._work.changed.clear()  # before examining: a change from here on causes another look
        try:
            standing = await self._signed()
        except BaseException:
            self._work.changed.set()
            raise
        if standing.state not in (KeyState.READY, KeyState.LOST) and not self._doubted:
            self._work.changed.set()
            self._doubted = True
            raise _LookAgain
        await self._stood(standing)
        if standing.state is KeyState.LOST:
            raise StoreLost(f"the homeserver knows other keys for the device {self._machine.device}")
        self._doubted = standing.state is not KeyState.READY
        if self._doubted:
            log.error("keys_not_ready", state=standing.state.value, do="answerable keys")

    async def _signed(self) -> KeyStanding:
        signing = CrossSigning(self._machine)
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
        log.error("keys_lost", device=self._machine.device, do="answerable keys new-device")
        self._homeserver.keys_are_lost()
        self.looked.set()
        await asyncio.Event().wait()  # for ever: the next device is another process

    async def _back_up(self) -> None:
        """Upload new room keys to our backup, if there is one. Its version is fetched only if there are new keys."""
        backup, store = KeyBackup(self._machine), self._machine.store
        if self._backup == _FOREIGN or await backup.secret() is None:
            return
        known = self._backup
        if known and not await store.run(lambda db: bool(self._machine.keys.to_back_up(db, known, 1))):
            return
        self._backup = ""
        try:
            await backup.upload()
        except NotOurs:
            if not self._work.changed.is_set():  # else somebody sets them up at this moment: look again
                self._backup = _FOREIGN  # `answerable keys` reports it
            return
        self._backup = str((await self._machine.requests.backup() or {}).get("version", ""))

    async def _give_up(self) -> None:
        """Let go of events that have waited for their key for too long; once an hour is enough."""
        hour = self._clock() // HOUR_MS
        if hour == self._gave_up_in:
            return
        if over := await self._machine.given_up(self._clock() - WAIT_FOR_KEYS_MS):
            await self._machine.done([each.event for each in over])
        self._gave_up_in = hour

    async def _tend(self) -> None:
        await self._machine.tend()
        wanted = self._work.wanted
        while wanted:
            await self._machine.request_key(*wanted[0])
            wanted.pop(0)
        await self._give_up()
        self._comparisons.heard(self._work.asked)
        self._work.asked.clear()
        await self._back_up()
