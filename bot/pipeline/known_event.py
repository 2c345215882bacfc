"""An event that is recorded, by its id, however old: old ones are read from the log.

Rules kept here:
- An old event is believed only if its record has its id; what was erased is not known any more.

Left to others: which events left their table (`storage/projections/old_events.py`).
"""

import asyncio
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.events.parse_event import receive
from moderation.values.events import MessagePosted
from moderation.values.ids import EventId, RoomId, UserId
from storage import queries
from storage.journal.record import Record
from storage.projections import POSTED
from storage.record_mapping import raw_of_record, seen_kind

from .message_text import Records


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """An event and its record. `kind` is that of the table of events."""

    record: int
    event: EventId
    room: RoomId
    sender: UserId
    kind: str
    at: int


async def known_event(db: AsyncConnection, event: EventId, records: Records) -> KnownEvent | None:
    """Return a recorded event; None if it is not known. Raises `Broken` if its day in the log is damaged."""
    row = await queries.event_row(db, event)
    if row is not None:
        return KnownEvent(row.record, event, RoomId(row.room), UserId(row.sender), row.kind, row.at)
    index = await queries.old_record(db, event)
    record = await asyncio.to_thread(_record, records, index) if index is not None else None
    if record is None or record.group is None:
        return None
    room = await queries.room_at(db, record.group, record.index)
    return _of_record(record, event, room) if room is not None else None


def _record(records: Records, index: int) -> Record | None:
    try:
        return records.get(index)
    except LookupError:
        return None


def _of_record(record: Record, event: EventId, room: RoomId) -> KnownEvent | None:
    raw = raw_of_record(record)
    if raw is None or raw["event_id"] != event:
        return None
    is_message = isinstance(receive(raw, room, record.at_ms), MessagePosted)
    kind = POSTED if is_message else seen_kind(record)
    return KnownEvent(record.index, event, room, UserId(str(raw["sender"])), kind, record.at_ms)
