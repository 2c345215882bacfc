"""Events that were refused before their delivery, and where what somebody said is recorded, delivered or not."""

from collections.abc import Sequence

from sqlalchemy import bindparam, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import EventId
from storage import schema
from storage.database.dialect import sql_list_param, sql_list_value
from storage.database.rows import rows_of

from .events import event_row

_W = schema.withheld.c
_WITHHELD = select(schema.withheld).where(_W.event == bindparam("event")).order_by(_W.record).limit(1)
_KNOWN = select(_W.event).where(sql_list_param(_W.event, "ids"))


async def withheld_events(db: AsyncConnection, ids: Sequence[str]) -> set[str]:
    """Return which of these events are recorded as refused before their delivery."""
    [rows] = await rows_of(db, (_KNOWN, {"ids": sql_list_value(ids)}))
    return {row.event for row in rows}


async def said_row(db: AsyncConnection, event: EventId) -> Row[tuple[object, ...]] | None:
    """Return the row of an event, delivered or not: its record, its room, and when it counts as said (`at`)."""
    found = await event_row(db, event)
    return found if found is not None else (await db.execute(_WITHHELD, {"event": event})).first()
