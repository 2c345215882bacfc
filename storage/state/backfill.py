"""Rooms that are behind, and the progress of reading what was missed (decision 0026).

Rules kept here:
- A room is behind from the transaction that stores a sync token acknowledging a gap, until the transaction in which the
  last of it is applied.
- A page passed on the way back is remembered by its two tokens.
- The only content kept is what was already delivered, until it is recorded, since it may be redacted before it is
  read again.
- What may have been said before the notice of a room is kept for its words alone: it is recorded only if a page shows
  it above the notice.

Not a projection of the journal: like the sync token, it says what the homeserver still owes. Left to others: reading
(`bot/sync/backfill.py`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.events import Json
from moderation.values.ids import EventId, RoomId
from storage import schema
from storage.database.dialect import upsert

MOST_TOLD = 500  # per room
_MAYBE_BEFORE = -1  # in place of the number of an event that may have been said before the notice


@dataclass(frozen=True, slots=True)
class Told:
    """A state event that the homeserver reported outside a timeline: perhaps no page has it."""

    event: EventId
    type: str
    key: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """Content of an answer of `/sync` for a room that is behind: state outside the timeline, and the timeline.

    `until`: the event above which the room is read; None: it is read back to any known event.
    """

    told: Sequence[Told] = ()
    timeline: Mapping[EventId, Json] = field(default_factory=dict, repr=False)
    until: EventId | None = None


@dataclass(frozen=True, slots=True)
class BackfillPage:
    """A page passed on the way back: from `start` (the newer end) to `stop`."""

    n: int
    start: str
    stop: str


@dataclass(frozen=True, slots=True)
class Gap:
    """The part of a room's history that is still to be read."""

    room: RoomId
    until: EventId | None = None  # back to this event; None: to any known event
    since: int = 0  # when the homeserver had last been heard before; 0: just before
    bottom: bool = False  # True: the way back is finished
    told: tuple[Told, ...] = ()
    last: BackfillPage | None = None  # the oldest page that is not read
    pages: int = 0


async def open_gap(db: AsyncConnection, room: RoomId, delivered: Delivered, *, since: int = 0) -> None:
    """Note that a room is behind, starting now unless it was already."""
    known, told = await gap_of(db, room), delivered.told
    newest = await db.scalar(select(func.max(schema.gap_events.c.n)).where(schema.gap_events.c.room == room)) or 0
    for number, (event, raw) in enumerate(delivered.timeline.items(), start=newest + 1):
        row = upsert(schema.gap_events).values(event=event, room=room, raw=json.dumps(raw), n=number)
        await db.execute(row.on_conflict_do_nothing())
    if known is None:
        values = {"until": delivered.until or "", "since": since, "told": _written(told)}
        await db.execute(insert(schema.gaps).values(room=room, **values))
    elif told:
        both = list(dict.fromkeys([*known.told, *told]))
        await db.execute(update(schema.gaps).where(schema.gaps.c.room == room).values(told=_written(both)))


_IS_RECORDED = select(schema.events.c.event).where(schema.events.c.event == schema.gap_events.c.event).exists()
_GAP = select(schema.gaps).where(schema.gaps.c.room == bindparam("room"))
_CLOSE = [
    delete(table).where(table.c.room == bindparam("room"))
    for table in (schema.gap_events, schema.gap_pages, schema.gaps)
]


async def close_gap(db: AsyncConnection, room: RoomId) -> None:
    """Note that nothing more is to be read."""
    for statement in _CLOSE:
        await db.execute(statement, {"room": room})


async def everywhere(db: AsyncConnection) -> list[RoomId]:
    """Return all rooms that are behind."""
    return [RoomId(row.room) for row in await db.execute(select(schema.gaps.c.room))]


async def gap_of(db: AsyncConnection, room: RoomId) -> Gap | None:
    """Return the progress of reading a room; None if it is not behind."""
    row = (await db.execute(_GAP, {"room": room})).first()
    if row is None:
        return None
    pages = select(schema.gap_pages).where(schema.gap_pages.c.room == room).order_by(schema.gap_pages.c.n.desc())
    last = (await db.execute(pages.limit(1))).first()
    return Gap(
        room=room,
        until=EventId(row.until) if row.until else None,
        since=row.since,
        bottom=bool(row.bottom),
        told=tuple(Told(*each) for each in json.loads(row.told)),
        last=BackfillPage(last.n, last.start, last.stop) if last else None,
        pages=last.n + 1 if last else 0,
    )


async def delivered_events(db: AsyncConnection, ids: Sequence[EventId]) -> dict[EventId, Json]:
    """Return those of these events that were delivered before, as they were then."""
    e = schema.gap_events.c
    rows = await db.execute(select(e.event, e.raw).where(e.event.in_(ids)))
    return {EventId(row.event): json.loads(row.raw) for row in rows}


async def all_delivered(db: AsyncConnection, room: RoomId) -> list[Json]:
    """Return the events of a room that were delivered while it was behind, in the order in which they came."""
    e = schema.gap_events.c
    rows = await db.execute(select(e.raw).where(e.room == room, e.n > _MAYBE_BEFORE).order_by(e.n))
    return [json.loads(row.raw) for row in rows]


async def delivered_unrecorded(db: AsyncConnection, room: RoomId) -> list[EventId]:
    """Return which events of a room were delivered while it was behind and are not recorded, in the order they came."""
    e = schema.gap_events.c
    rows = await db.execute(select(e.event).where(e.room == room, e.n > _MAYBE_BEFORE, ~_IS_RECORDED).order_by(e.n))
    return [EventId(row.event) for row in rows]


async def note_passed(db: AsyncConnection, room: RoomId, pages: Sequence[BackfillPage], *, bottom: bool) -> None:
    """Note that these pages were passed on the way back; `bottom`: they are the last ones."""
    for page in pages:
        row = upsert(schema.gap_pages).values(room=room, n=page.n, start=page.start, stop=page.stop)
        await db.execute(row.on_conflict_do_nothing())
    if bottom:
        await db.execute(update(schema.gaps).where(schema.gaps.c.room == room).values(bottom=1))


async def note_read(db: AsyncConnection, room: RoomId, page: BackfillPage) -> None:
    """Note that this page is read; after the newest page the way back starts again from the newest event then."""
    await db.execute(delete(schema.gap_pages).where(schema.gap_pages.c.room == room, schema.gap_pages.c.n == page.n))
    if page.n == 0:
        if await db.scalar(select(schema.gaps.c.until).where(schema.gaps.c.room == room)):
            await _set_aside(db, room)
        await db.execute(delete(schema.gap_events).where(schema.gap_events.c.room == room, _IS_RECORDED))
        await db.execute(update(schema.gaps).where(schema.gaps.c.room == room).values(bottom=0, until=""))


async def leave_out(db: AsyncConnection, gap: Gap) -> None:
    """Drop what cannot be had: the oldest page that was not read, or all that stands before the noted way back."""
    assert gap.last is not None
    if gap.bottom:
        await note_read(db, gap.room, gap.last)
    else:
        await note_passed(db, gap.room, (), bottom=True)


async def _set_aside(db: AsyncConnection, room: RoomId) -> None:
    """Mark what was delivered before the notice, and everything so far if the notice was not delivered yet."""
    e, notice = schema.gap_events.c, schema.gap_events.alias()
    until = select(schema.gaps.c.until).where(schema.gaps.c.room == room).scalar_subquery()
    place = select(notice.c.n).where(notice.c.event == until).scalar_subquery()
    before = e.n <= func.coalesce(place, e.n)
    await db.execute(update(schema.gap_events).where(e.room == room, before).values(n=_MAYBE_BEFORE))


def _written(told: Sequence[Told]) -> str:
    return json.dumps([[each.event, each.type, each.key] for each in told[-MOST_TOLD:]])
