"""The entries of policy lists, as their rooms were last read.

Rules kept here:
- The entries of a list are replaced together, in one transaction.

Not a projection of the journal: the rooms say it again. Left to others: reading them (`bot/sync/policy_lists.py`).
"""

from collections.abc import Sequence

from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.lists.entries import Entry
from moderation.values.ids import RoomId
from storage import schema


async def replace_entries(db: AsyncConnection, *, room: RoomId, entries: Sequence[Entry]) -> None:
    """Keep these entries of a list in place of those kept before."""
    await db.execute(delete(schema.list_entries).where(schema.list_entries.c.list_room == room))
    rows = [
        {
            "list_room": room,
            "of": each.kind,
            "key": each.key,
            "entity": each.entity,
            "digest": each.digest,
            "advice": each.advice,
            "recommendation": each.recommendation,
            "reason": each.reason,
            "sender": each.sender,
            "event": each.event,
            "at": each.at_ms,
        }
        for each in entries
    ]
    if rows:
        await db.execute(insert(schema.list_entries), rows)


async def forget_entries(db: AsyncConnection, *, room: RoomId) -> None:
    """Forget what a list says, since it is no longer watched."""
    await replace_entries(db, room=room, entries=())
