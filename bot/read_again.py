"""Reads what could not be read before, once keys were brought back: from a backup, or by an operator; and after a
restore, what was removed in the lost time.

Rules kept here: the ciphertext is asked of the homeserver again, since a device whose keys were lost kept none of it;
the newest messages first; what cannot be read now either goes on waiting for its key; that the homeserver does not give
one of them stops nothing.
Left to others: opening (`encryption.py`), recording them late (`pipeline.py`).
"""

import asyncio
from collections.abc import Sequence

import structlog

from moderation.events import Received, Undecryptable
from moderation.ids import EventId, RoomId
from storage import views
from storage.database import Database

from .clock import Clock
from .encryption import Encryption
from .homeserver import Homeserver
from .homeserver_errors import Answered, HomeserverError, LoggedOut, RateLimited
from .lost_time import REDACTED, LostTime
from .pipeline import Pipeline
from .receive import receive

log = structlog.get_logger()

AT_MOST = 5_000  # events; each is one request


class ReadAgain:
    """Reads again whenever it is woken."""

    def __init__(
        self,
        homeserver: Homeserver,
        database: Database,
        pipeline: Pipeline,
        encryption: Encryption,
        lost_time: LostTime,
        clock: Clock,
    ) -> None:
        self._homeserver = homeserver
        self._database = database
        self._pipeline = pipeline
        self._encryption = encryption
        self._lost_time = lost_time
        self._clock = clock
        self._awake = asyncio.Event()

    async def read(self, events: Sequence[Received]) -> Sequence[Received]:
        """Return the events as far as they can be read now."""
        return await self._lost_time.mark(await self._encryption.read(events))

    def taken(self, events: Sequence[Received]) -> None:
        """Ask again for what a restored log lost, now that it is recorded as not read."""
        if any(isinstance(event, Undecryptable) and event.code == REDACTED for event in events):
            self.wake()

    def wake(self) -> None:
        """Keys were brought back."""
        self._awake.set()

    async def run(self) -> None:
        """Until cancelled."""
        if await self._lost_time.is_recent():  # the last stop may have come before it was asked for
            self.wake()
        while True:
            await self._awake.wait()
            self._awake.clear()
            await self._once()

    async def _once(self) -> None:
        async with self._database.read() as db:
            unread = await views.unread_events(db, AT_MOST)
        sealed: list[Received] = []
        try:
            for event, room in unread:
                found = await self._fetched(room, event)
                sealed += [found] if found is not None else []
        except LoggedOut:
            raise
        except HomeserverError as error:
            log.warning("read_again_broken_off", why=str(error), asked=len(sealed))
        oldest_first = sealed[::-1]
        opened = [each for each in await self._encryption.read(oldest_first) if not isinstance(each, Undecryptable)]
        if opened:
            await self._pipeline.take_late(opened)
            await self._encryption.recorded(opened)
        log.info("read_again", events=len(opened), of=len(unread))

    async def _fetched(self, room: RoomId, event: EventId) -> Received | None:
        while True:
            try:
                found = receive(await self._homeserver.event(room, event), room, self._clock())
                return found if isinstance(found, Undecryptable) else await self._lost_time.whole(room, found)
            except RateLimited as error:
                await asyncio.sleep(error.retry_after_ms / 1000)
            except LoggedOut:
                raise
            except Answered:
                return None  # it is gone, or we are not in that room any more
