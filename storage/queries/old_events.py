"""Events that leave the table of events, and what is known of those that left.

Left to others: what stays, and why (`storage/projections/old_events.py`).
"""

from collections.abc import Sequence

from sqlalchemy import bindparam, case, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import EventId, RoomId, UserId
from storage import schema
from storage.database.dialect import sql_list_param, sql_list_value
from storage.database.rows import Asked, rows_of
from storage.projections import LEAVING, POSTED, SHOWN, Leaving, OldEvent, digest_of

from .standing import STANDS

_e, _o, _f, _r = schema.events.c, schema.old_events.c, schema.former_rooms.c, schema.rooms.c
_SOME = (
    select(
        schema.events,
        case((SHOWN, 1), else_=0).label("shown"),
        *(case((each, 1), else_=0).label(f"stands{n}") for n, each in enumerate(STANDS)),
    )
    .where(_e.record >= bindparam("start"), _e.record < bindparam("below"))
    .order_by(_e.record)
    .limit(bindparam("most"))
)
_KNOWN = select(_o.event).where(sql_list_param(_o.event, "digests"))
_RECORD = select(_o.record).where(_o.event == bindparam("digest"))
_FORMER = select(_f.room).where(_f.code == bindparam("code"), _f.record > bindparam("record")).order_by(_f.record)
_PRESENT = select(_r.room).where(_r.code == bindparam("code"))


async def events_leaving(db: AsyncConnection, start: int, below: int, bot: UserId, most: int) -> Leaving:
    """Return which events leave, looking at `most` of those recorded from `start` on and before `below`."""
    [rows] = await rows_of(db, (_SOME, {"start": start, "below": below, "most": most}))
    events = [
        OldEvent(
            row.record,
            row.event,
            RoomId(row.room),
            UserId(row.sender),
            row.at,
            row.kind,
            row.kind == POSTED and all(row[-number] for number in range(1, len(STANDS) + 1)),
        )
        for row in rows
        if row.kind in LEAVING and row.sender != bot and not row.shown
    ]
    stop = int(rows[-1].record) + 1 if len(rows) == most else max(start, below)
    return Leaving(start, stop, bot, events)


def known_of_old(digests: Sequence[str]) -> Asked:
    """Return the statement for which of these digests are those of old events."""
    return _KNOWN, {"digests": sql_list_value(digests)}


async def old_record(db: AsyncConnection, event: EventId) -> int | None:
    """Return the record of an event that left the table of events; None if there is none."""
    [rows] = await rows_of(db, (_RECORD, {"digest": digest_of(event)}))
    return int(rows[0].record) if rows else None


async def room_at(db: AsyncConnection, code: str, record: int) -> RoomId | None:
    """Return the room in which a group was when something was recorded; None if it is not known."""
    given = {"code": code, "record": record}
    former, present = await rows_of(db, (_FORMER, given), (_PRESENT, {"code": code}))
    found = (*former, *present)
    return RoomId(found[0].room) if found else None
