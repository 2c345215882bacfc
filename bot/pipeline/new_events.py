"""The choice of the events that are recorded: those that are not recorded yet, and those that were not read then.

Left to others: recording them (`pipeline.py`), events that left their table (`known_event.py`).
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.events import Received, Unreadable
from storage import queries
from storage.projections import UNREAD


async def known_ids(db: AsyncConnection, events: Sequence[Received]) -> set[str]:
    """Return the ids of those of `events` that are recorded already."""
    return await queries.known_events(db, [event.event for event in events if event.event is not None])


def fresh_ones(events: Sequence[Received], known: Collection[str]) -> list[Received]:
    """Return the events to record, each once, in order."""
    seen, fresh = set(known), []
    for event in events:
        if event.event is None or event.event not in seen:
            fresh.append(event)
            seen.add(event.event or "")
    return fresh


async def read_late(db: AsyncConnection, events: Sequence[Received]) -> list[Received]:
    """Return those of `events` that are recorded as not read, each with the index of that record."""
    rows = {event.event: await queries.event_row(db, event.event) for event in events if event.event}
    return [
        replace(event, late=int(row.record))
        for event in events
        if not isinstance(event, Unreadable) and (row := rows.get(event.event)) is not None and row.kind == UNREAD
    ]
