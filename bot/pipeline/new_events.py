"""The choice of the events that are recorded: not before, not of a time when the bot was out, and late ones once more.

Left to others: recording them (`pipeline.py`), events that left their table (`known_event.py`).
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.events import MembershipChanged, Received, Unreadable
from moderation.values.ids import RoomId, UserId
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


def during_stays(events: Sequence[Received], bot: UserId, resumes: Callable[[RoomId], bool]) -> Iterator[Received]:
    """Yield the events of the time in which the bot was in their room, with the one that removed it.

    After that, rooms that `resumes` names count again from its next join. The others are to be entered again first.
    """
    gone: set[RoomId] = set()
    for event in events:
        ours = event.membership if isinstance(event, MembershipChanged) and event.user == bot else ""
        if ours == "join" and resumes(event.room):
            gone.discard(event.room)
        if event.room not in gone:
            yield event
        if ours in ("leave", "ban"):
            gone.add(event.room)


async def read_late(db: AsyncConnection, events: Sequence[Received]) -> list[Received]:
    """Return those of `events` that are recorded as not read, each with the index of that record."""
    rows = {event.event: await queries.event_row(db, event.event) for event in events if event.event}
    return [
        replace(event, late=int(row.record))
        for event in events
        if not isinstance(event, Unreadable) and (row := rows.get(event.event)) is not None and row.kind == UNREAD
    ]
