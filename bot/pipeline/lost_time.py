"""The search for messages removed before the bot could read them: in groups, or in the time that a backup lost.

Rules kept here:
- A message that comes without its words is recorded as not read, with the reason.
- Its words are asked of the homeserver while all else goes on, and judged then: by MSC2815 where that is offered, else
  by the admin API of Synapse where we have a token.
- In direct rooms and desks this is asked only for messages of the lost time.
- Synapse does not announce whether it offers MSC2815: one that does not gives the event without its words.

Left to others: asking repeatedly (`bot/encryption/late_events.py`), recording and judging (`pipeline.py`).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields
from functools import partial
from typing import TypeGuard

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.events.parse_event import SHOWS_SOMETHING, receive
from bot.matrix.client import Homeserver
from bot.matrix.errors import Answered
from bot.matrix.synapse_admin import SynapseAdmin
from bot.runtime.clock import Clock
from moderation.values.durations import DAY_MS
from moderation.values.events import Event, OtherEvent, Received, Undecryptable, Unreadable
from moderation.values.ids import EventId, RoomId, UserId
from storage import queries
from storage.database.database import Database
from storage.projections.common import LOST_TIME

from .room_registry import ServedRooms

WEEK_MS = 7 * DAY_MS  # how long Synapse keeps what was redacted, unless it is set otherwise
REDACTED = "redacted"  # the code of a message that was removed before it was read


async def lost_time(db: AsyncConnection) -> tuple[int, int]:
    """Return the beginning and end (ms) of the time whose records are lost; the end comes first if none are."""
    since, _, until = (await queries.get_meta(db, LOST_TIME) or "1 0").partition(" ")
    return int(since), int(until)


class LostTime:
    """The recognition of removed messages. In groups all of them count, elsewhere those of the lost time."""

    def __init__(self, database: Database, served: ServedRooms, bot: UserId) -> None:
        self._database = database
        self._served = served
        self._bot = bot

    async def is_recent(self, now_ms: int) -> bool:
        """Return whether the log was restored within the last week."""
        since, until = await self._database.fetch(lost_time)
        return since <= until and now_ms - until < WEEK_MS

    async def mark(self, events: Sequence[Received]) -> Sequence[Received]:
        """Return the events; those whose words were removed before we read them become `Undecryptable`."""
        if not any(map(_is_emptied, events)):
            return events
        since, until = await self._database.fetch(lost_time)
        return [_unread(e) if _is_emptied(e) and self._is_asked_for(e, since, until) else e for e in events]

    async def was_removed(self, event: Received) -> bool:
        """Tell whether this is a removed message whose words are asked for."""
        if not _is_emptied(event):
            return False
        since, until = await self._database.fetch(lost_time)
        return self._is_asked_for(event, since, until)

    def _is_asked_for(self, event: Event, since: int, until: int) -> bool:
        return since <= event.sent_ms <= until or self._is_of_a_group(event)

    def _is_of_a_group(self, event: Event) -> bool:
        """Tell whether somebody other than the bot said this in a group that is recorded."""
        is_group = self._served.records(event.room) and not self._served.is_own(event.room)
        return is_group and event.sender != self._bot


class RemovedMessages:
    """The words of removed messages, asked of the homeserver, and of its admin API if there is a token for that."""

    def __init__(self, homeserver: Homeserver, lost_time: LostTime, clock: Clock, admin: SynapseAdmin | None) -> None:
        self._homeserver = homeserver
        self._lost_time = lost_time
        self._clock = clock
        self._admin = admin

    async def as_sent(self, room: RoomId, found: Received) -> Received | None:
        """Return the event with the words that were removed; None if they cannot be had."""
        if not await self._lost_time.was_removed(found):
            return None
        asked: list[Callable[[EventId], Awaitable[object]]] = [partial(self._homeserver.event_before_redaction, room)]
        if self._admin is not None:
            asked.append(self._admin.event)
        for ask in asked:
            try:
                whole = receive(await ask(EventId(found.event or "")), room, self._clock())
            except Answered:
                continue  # the words are gone there too, or withheld from us
            if not _is_emptied(whole) and not isinstance(whole, Unreadable) and whole.sender == found.sender:
                return whole
        return None


def _is_emptied(event: Received) -> TypeGuard[OtherEvent]:
    """Tell whether this is a message whose words were removed."""
    return isinstance(event, OtherEvent) and (event.type in SHOWS_SOMETHING or event.type == "m.room.encrypted")


def _unread(event: OtherEvent) -> Undecryptable:
    same = {item.name: getattr(event, item.name) for item in fields(Event)}
    return Undecryptable(**same, code=REDACTED, removed_by=event.removed_by, removed_ms=event.removed_ms)
