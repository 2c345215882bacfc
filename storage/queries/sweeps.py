"""The messages of somebody in a room that are to be redacted at once.

Rules kept here:
- A message whose key came late counts from when it could be read: when it was sent, only its sender says.
- What was redacted by another measure is left out.
- Messages, edits, reactions and what could not be read count; joins, names and other settings of the room do not.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import EventId, RoomId, UserId
from storage import schema
from storage.database.dialect import sql_list
from storage.projections import MESSAGE, POSTED, SWEEP, UNREAD

_WRITTEN = (POSTED, MESSAGE, "edit", UNREAD)
_E, _S = schema.events.c, schema.sanctions.c
_EARLIER = schema.events.alias("earlier")
# When the bot received what it recorded before an event that has no time of its own.
_around = (
    select(_EARLIER.c.at)
    .where(_EARLIER.c.at > 0, _EARLIER.c.record < _E.record)
    .order_by(_EARLIER.c.record.desc())
    .limit(1)
    .scalar_subquery()
)
_PERSON = (
    select(schema.accounts.c.person)
    .where(schema.accounts.c.user == _E.sender)
    .correlate(schema.events)
    .scalar_subquery()
)
# Of a busy deployment the events of one person are found by the index of senders, never by reading all since a record.
_RECORD = _E.record + 0
_REDACTED = select(_S.record).where(_S.event == _E.event, _S.kind == "redact", _S.why_ended != "reversed").exists()


def _covering(room: ColumnElement[str] | RoomId) -> Select[Any]:
    """Select the sweeps in a room that redact an event: all accounts of a person are swept together."""
    covers = (
        _S.room == room,
        _S.kind == SWEEP,
        _S.ended == 0,
        _S.person == func.coalesce(_PERSON, _E.sender),
        _S.oldest <= _E.record,
        _E.record < _S.record,
    )
    return select(_S.record).where(*covers).correlate(schema.events)


COVERING = _covering(_E.room)


@dataclass(frozen=True, slots=True)
class WrittenEvent:
    """An event that somebody wrote, and its record."""

    event: EventId
    record: int


async def written_since(
    db: AsyncConnection, rooms: Sequence[RoomId], accounts: Collection[UserId], since_ms: int, most: int, *, before: int
) -> Sequence[WrittenEvent]:
    """Return what a person wrote in a room since a time and before a record, the newest first.

    `rooms`: the room, and those that it was before upgrades.
    """
    recent = ((_E.at >= since_ms,), (_E.at == 0, _around >= since_ms))
    found = [each for some in recent for each in await _written(db, rooms, accounts, most, *some, before > _RECORD)]
    return sorted(found, key=lambda each: -each.record)[:most]


async def written_from(
    db: AsyncConnection,
    rooms: Sequence[RoomId],
    accounts: Collection[UserId],
    oldest: int,
    most: int,
    *,
    n: int,
    before: int,
    before_ms: int | None,
) -> Sequence[WrittenEvent]:
    """Return what a person wrote in a room from the record `oldest` on, the newest first; `rooms` as above.

    Of what was recorded from `before` on, only what was written before the time `before_ms` counts (None: all of it).
    Sweeps of case `n` do not count as done.
    """
    between = [oldest <= _RECORD]
    if before_ms is not None:
        between.append(or_(before > _RECORD, func.coalesce(func.nullif(_E.at, 0), _around) < before_ms))
    return await _written(db, rooms, accounts, most, *between, n=n)


async def came_back(
    db: AsyncConnection, room: RoomId, accounts: Collection[UserId], since_ms: int, n: int
) -> int | None:
    """Return when a person came into a room after a time, if they are there by an account that did; else None.

    While a ban of case `n` is in force, they did not come back: it is not carried out yet.
    """
    m = schema.members.c
    if await db.scalar(select(_S.record).where(_S.n == n, _S.kind == "ban", _S.ended == 0).limit(1)) is not None:
        return None
    there = (m.room == room, sql_list(m.user, accounts), m.membership == "join", m.joined > since_ms)
    found: int | None = await db.scalar(select(func.min(m.joined)).where(*there))
    return found


async def _written(
    db: AsyncConnection,
    rooms: Sequence[RoomId],
    accounts: Collection[UserId],
    most: int,
    *which: ColumnElement[bool],
    n: int = -1,
) -> Sequence[WrittenEvent]:
    theirs = (_E.room.in_(rooms), sql_list(_E.sender, accounts), _E.kind.in_(_WRITTEN))
    query = select(_E.event, _E.record).where(
        *theirs, *which, ~_REDACTED, ~_covering(rooms[0]).where(_S.n != n).exists()
    )
    rows = await db.execute(query.order_by(_RECORD.desc()).limit(most))
    return [WrittenEvent(EventId(row.event), row.record) for row in rows]
