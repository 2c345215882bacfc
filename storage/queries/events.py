"""Recorded events, and the few values of the deployment itself."""

from collections.abc import Sequence

from sqlalchemy import bindparam, func, select, union
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.context import PersonView
from moderation.rooms.slow_mode import HELD_BACK
from moderation.values.events import MessagePosted
from moderation.values.ids import EventId, RoomId, UserId
from storage import schema
from storage.database.dialect import sql_list_param, sql_list_value
from storage.database.rows import rows_of
from storage.projections import MANY, POSTED, UNREAD, digest_of, events_left

from .old_events import known_of_old
from .standing import STANDS
from .sweeps import COVERING

_E, _S = schema.events.c, schema.sanctions.c
_POSTED_BY = (_E.room == bindparam("room"), _E.sender == bindparam("sender"), _E.kind == POSTED)
_TIMES = select(_E.at).where(*_POSTED_BY, _E.at >= bindparam("since")).order_by(_E.at.desc()).limit(bindparam("most"))
_STANDING = (
    select(_E.record).where(*_POSTED_BY, _E.record < bindparam("record"), *STANDS).limit(bindparam("most")).subquery()
)
_HOW_MANY_STAND = select(func.count().label("count")).select_from(_STANDING)
_HOW_MANY_STOOD = select(schema.spoke.c.messages.label("count")).where(
    schema.spoke.c.room == bindparam("room"), schema.spoke.c.user == bindparam("sender")
)
_EVENT = select(schema.events).where(_E.event == bindparam("event"))
_AT = select(schema.events).where(_E.record == bindparam("record"))
_POSTED = select(_E.record).where(_E.room == bindparam("room"), _E.kind == POSTED, _E.sender != bindparam("bot"))
_BEFORE = (
    _POSTED.where(_E.record >= bindparam("left"), _E.record < bindparam("record"))
    .order_by(_E.record.desc())
    .limit(bindparam("most"))
)
_AFTER = _POSTED.where(_E.record > bindparam("record")).order_by(_E.record).limit(bindparam("most"))
_REDACTIONS = (
    select(_E.record)
    .where(_E.room == bindparam("room"), _E.kind == "redact", _E.record > bindparam("record"))
    .order_by(_E.record)
    .limit(MANY)
)
_BY = select(_E.sender).where(_E.record == bindparam("record")).scalar_subquery()
_BY_AUTHOR = _REDACTIONS.where(_E.sender == _BY)
_UNWANTED = union(
    select(_S.event).where(_S.kind == "redact", _S.why_ended != "reversed", sql_list_param(_S.event, "ids")),
    select(_E.event).where(sql_list_param(_E.event, "ids"), COVERING.exists()),
)
_KNOWN = select(_E.event).where(sql_list_param(_E.event, "ids"))


async def recent_times(db: AsyncConnection, room: RoomId, sender: UserId, since_ms: int, limit: int) -> list[int]:
    """Return when somebody posted in a room since a time: the newest `limit`, oldest first."""
    [rows] = await rows_of(db, (_TIMES, {"room": room, "sender": sender, "since": since_ms, "most": limit}))
    return [row.at for row in reversed(rows)]


async def messages_standing(db: AsyncConnection, room: RoomId, sender: UserId, before: int, most: int) -> int:
    """Return how many messages of somebody in a room stand from before a record, without those removed by a measure.

    It counts to `most` only. Of old messages it counts those that stood when they left the table of events.
    """
    given = {"room": room, "sender": sender, "record": before, "most": most}
    rows = await rows_of(db, (_HOW_MANY_STAND, given), (_HOW_MANY_STOOD, given))
    return min(most, sum(int(row.count) for some in rows for row in some))


async def recent_messages(db: AsyncConnection, room: RoomId, bot: UserId, limit: int) -> list[int]:
    """Return the records of the newest messages in a room by others than the bot."""
    e = schema.events.c
    newest = select(e.record).where(e.room == room, e.kind == POSTED, e.sender != bot)
    return list(await db.scalars(newest.order_by(e.record.desc()).limit(limit)))


async def messages_around(db: AsyncConnection, room: RoomId, record: int, bot: UserId, most: int) -> list[int]:
    """Return a record in a room with those of the `most` messages of people before and after it, in order.

    It is alone if events of its time have left their table: the nearest ones there are of weeks later.
    """
    left = await events_left(db)
    stop = left.stop if left is not None else 0
    if record < stop:
        return [record]
    given = {"room": room, "record": record, "bot": bot, "most": most}
    before, after = await rows_of(db, (_BEFORE, {**given, "left": stop}), (_AFTER, given))
    return [*(row.record for row in reversed(before)), record, *(row.record for row in after)]


async def redactions_since(db: AsyncConnection, room: RoomId, records: Sequence[int]) -> list[int]:
    """Return the records of redactions in a room, in order: after each of these messages the first `MANY`.

    Of the author of a message it returns as many again: others may take back more than that before they do.
    """
    given = [{"room": room, "record": record} for record in records]
    found = await rows_of(db, *((query, each) for each in given for query in (_REDACTIONS, _BY_AUTHOR)))
    return sorted({int(row.record) for rows in found for row in rows})


async def last_stood(db: AsyncConnection, room: RoomId, sender: UserId, before: EventId) -> int | None:
    """Return when somebody last posted in a room something not held back, other than the event `before`."""
    e, s = schema.events.c, schema.sanctions.c
    held = select(s.record).where(s.event == e.event, s.kind == "redact", s.rule.in_(sorted(HELD_BACK))).exists()
    found = await db.scalar(
        select(e.at)
        .where(e.room == room, e.sender == sender, e.kind == POSTED, e.event != before, ~held)
        .order_by(e.at.desc())
        .limit(1)
    )
    return int(found) if found is not None else None


async def held_back(db: AsyncConnection, person: PersonView, event: MessagePosted, rule: str) -> int:
    """Return how many messages of the sender a pace has held back in this room since they were told of it.

    By record, not by time: several messages are received in one moment.
    """
    s, p = schema.sanctions.c, schema.pointed.c
    told = select(p.record).where(p.room == event.room, p.user == event.sender, p.step == rule).scalar_subquery()
    theirs = (s.person == person.person, s.subject == event.sender, s.room == event.room)
    query = select(func.count()).where(*theirs, s.kind == "redact", s.rule == rule, s.record > told)
    return int(await db.scalar(query) or 0)


async def event_row(db: AsyncConnection, event: EventId) -> Row[tuple[object, ...]] | None:
    """Return the row of an event: its record and its sender. Old ones have none (`bot/pipeline/known_event.py`)."""
    return (await db.execute(_EVENT, {"event": event})).first()


async def event_at(db: AsyncConnection, record: int) -> Row[tuple[object, ...]] | None:
    """Return the row of the event recorded at an index."""
    return (await db.execute(_AT, {"record": record})).first()


async def known_events(db: AsyncConnection, ids: Sequence[str]) -> set[str]:
    """Return which of these events are already recorded."""
    if not ids:
        return set()
    by_digest = {digest_of(event): event for event in ids}
    rows, old = await rows_of(db, (_KNOWN, {"ids": sql_list_value(ids)}), known_of_old(list(by_digest)))
    return {row.event for row in rows} | {by_digest[row.event] for row in old}


async def unwanted_events(db: AsyncConnection, ids: Sequence[str]) -> set[str]:
    """Return which of these events were removed, or are to be removed, by a measure."""
    [rows] = await rows_of(db, (_UNWANTED, {"ids": sql_list_value(ids)}))
    return {row.event for row in rows}


async def unread_events(db: AsyncConnection, limit: int) -> list[tuple[EventId, RoomId]]:
    """Return the newest events that are recorded as not read, newest first, and their rooms."""
    e = schema.events.c
    rows = await db.execute(select(e.event, e.room).where(e.kind == UNREAD).order_by(e.record.desc()).limit(limit))
    return [(event, room) for event, room in rows]
