"""Finds what was said, and removed again, in the time that a backup lost.

Rules kept here: a message of that time that comes without its words was judged in records that are gone, so it is
recorded as not read, with the reason; its words are asked of the homeserver beside all else (MSC2815, where that offers
it), and judged then. Nothing is asked of any other time. Synapse has no word for whether it
offers that: one that does not gives the event without its words.
Left to others: asking again and again (`read_again.py`), recording and judging (`pipeline.py`).
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import TypeGuard

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.durations import DAY_MS
from moderation.events import Event, OtherEvent, Received, Undecryptable
from moderation.ids import EventId, RoomId
from storage import views
from storage.database import Database
from storage.project.common import LOST_TIME

from .clock import Clock
from .homeserver import Homeserver
from .homeserver_errors import Answered
from .receive import SHOWS_SOMETHING, receive

WEEK_MS = 7 * DAY_MS  # so long Synapse keeps what was redacted, unless it is set otherwise
REDACTED = "redacted"  # the code of a message that was removed before it was read


async def lost_time(db: AsyncConnection) -> tuple[int, int]:
    """Return from when until when what was recorded is lost (ms); nothing is lost: an end before the beginning."""
    since, _, until = (await views.get_meta(db, LOST_TIME) or "1 0").partition(" ")
    return int(since), int(until)


class LostTime:
    """Marks what cannot be read, and reads it again where the homeserver lets us."""

    def __init__(self, homeserver: Homeserver, database: Database, clock: Clock) -> None:
        self._homeserver = homeserver
        self._database = database
        self._clock = clock

    async def is_recent(self) -> bool:
        """Return whether the log was restored within the last week."""
        async with self._database.read() as db:
            since, until = await lost_time(db)
        return since <= until and self._clock() - until < WEEK_MS

    async def mark(self, events: Sequence[Received]) -> Sequence[Received]:
        """Return the events; those whose words were removed in the lost time as events that cannot be read."""
        if not any(map(_is_emptied, events)):
            return events
        async with self._database.read() as db:
            since, until = await lost_time(db)
        return [_unread(e) if _is_emptied(e) and since <= e.sent_ms <= until else e for e in events]

    async def whole(self, room: RoomId, found: Received) -> Received | None:
        """Return an event that was read again with the words that were removed; None if they are not to be had."""
        if not _is_emptied(found):
            return None
        async with self._database.read() as db:
            since, until = await lost_time(db)
        if not since <= found.sent_ms <= until:
            return None
        try:
            raw = await self._homeserver.event_before_redaction(room, EventId(found.event))
        except Answered:
            return None  # it is gone there too, or kept from us
        whole = receive(raw, room, self._clock())
        return None if _is_emptied(whole) else whole


def _is_emptied(event: Received) -> TypeGuard[OtherEvent]:
    """Whether this is a message whose words were taken away."""
    return isinstance(event, OtherEvent) and (event.type in SHOWS_SOMETHING or event.type == "m.room.encrypted")


def _unread(event: OtherEvent) -> Undecryptable:
    return Undecryptable(**{item.name: getattr(event, item.name) for item in fields(Event)}, code=REDACTED)
