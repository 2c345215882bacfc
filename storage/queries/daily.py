"""The counts of a day: messages, findings, reports, decisions and appeals."""

from collections.abc import Collection, Mapping

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import RoomId
from storage import schema
from storage.database.dialect import sql_list_param, sql_list_value

_D = schema.daily.c
_OF_ALL = (
    select(_D.day, _D.kind, func.sum(_D.count))
    .where(_D.day >= bindparam("since"), _D.day < bindparam("until"))
    .group_by(_D.day, _D.kind)
)
_OF_ROOMS = _OF_ALL.where(sql_list_param(_D.room, "rooms"))


async def daily_counts(
    db: AsyncConnection, since: int, until: int, rooms: Collection[RoomId] | None = None
) -> Mapping[tuple[int, str], int]:
    """Return how many there were of each kind on each day from `since` to before `until`, in these rooms (None: all).

    Days are counted from 1970; a day or kind without any is left out.
    """
    given = {"since": since, "until": until}
    if rooms is None:
        rows = await db.execute(_OF_ALL, given)
    else:
        rows = await db.execute(_OF_ROOMS, {**given, "rooms": sql_list_value(rooms)})
    return {(day, kind): int(count) for day, kind, count in rows}
