"""Reads events that could not be read before, once keys were restored from a backup or by an operator.

It also reads events that were removed before we had read them.

Rules kept here:
- The ciphertext is fetched from the homeserver again, since a device whose keys were lost kept none of it.
- The newest messages come first.
- An event that still cannot be read continues to wait for its key.
- If the homeserver does not return one of the events, the others are still read.
Left to others: decrypting (`service.py`), recording the events late (`bot/pipeline/pipeline.py`).
"""

import asyncio
from collections import deque
from collections.abc import Sequence

import structlog

from bot.events.parse_event import receive
from bot.matrix.errors import Answered, HomeserverError, LoggedOut, RateLimited
from bot.outbox.handler import BotPart, Services
from bot.pipeline.lost_time import REDACTED, RemovedMessages
from moderation.values.events import Received, Undecryptable
from moderation.values.ids import EventId, RoomId
from storage import queries

from .service import Encryption

log = structlog.get_logger()

AT_MOST = 5_000  # events, each of which takes one request


class UnreadQueue:
    """The unread events to ask for."""

    def __init__(self) -> None:
        self.filled = asyncio.Event()
        self._all = False  # ask for all unread events, as after keys arrived
        self._new: deque[tuple[EventId, RoomId]] = deque(maxlen=AT_MOST)  # removed before we read them

    def add(self, events: Sequence[Received]) -> None:
        """Ask for those of these events that were removed before we read them, now that they are recorded as unread."""
        new = [event for event in events if isinstance(event, Undecryptable) and event.code == REDACTED]
        self._new.extend((EventId(event.event), event.room) for event in new)
        if new:
            self.filled.set()

    def add_all(self) -> None:
        """Ask for all unread events again, as keys were restored."""
        self._all = True
        self.filled.set()

    def empty(self) -> tuple[list[tuple[EventId, RoomId]], bool]:
        """Return the new events, the oldest first, and whether all are asked for; ask for none of them again."""
        new, everything = list(self._new), self._all
        self.filled.clear()
        self._new.clear()
        self._all = False
        return new, everything


class ReadAgain(BotPart):
    """Reads the events in a queue again."""

    def __init__(
        self, services: Services, encryption: Encryption, removed: RemovedMessages, unread: UnreadQueue
    ) -> None:
        super().__init__(services)
        self._encryption = encryption
        self._removed = removed
        self._unread = unread

    async def run(self) -> None:
        """Read again whenever events are asked for, until cancelled."""
        if await self._pipeline.lost_time.is_recent(self._clock()):  # a stop may have come before they were asked for
            self._unread.add_all()
        while True:
            await self._unread.filled.wait()
            await self._once()

    async def _once(self) -> None:
        unread = await self._asked()
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

    async def _asked(self) -> Sequence[tuple[EventId, RoomId]]:
        """Return the events to ask for now, the newest first."""
        new, everything = self._unread.empty()
        if not everything:
            return new[::-1]
        return await self._database.fetch(queries.unread_events, AT_MOST)

    async def _fetched(self, room: RoomId, event: EventId) -> Received | None:
        while True:
            try:
                found = receive(await self._homeserver.event(room, event), room, self._clock())
                return found if isinstance(found, Undecryptable) else await self._removed.as_sent(room, found)
            except RateLimited as error:
                await asyncio.sleep(error.retry_after_ms / 1000)
            except LoggedOut:
                raise
            except Answered:
                return None  # it is gone, or the bot has left that room
