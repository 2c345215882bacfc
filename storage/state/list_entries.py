"""The entries of policy lists, as their rooms were last read.

Rules kept here:
- What has changed in a list is changed here in one transaction.

Not a projection of the journal: the rooms say it again. Left to others: reading them (`bot/sync/policy_lists.py`).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import astuple

import orjson
from sqlalchemy import bindparam, delete, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.lists.entries import Entry
from moderation.values.ids import RoomId
from storage import schema


async def change_entries(db: AsyncConnection, *, room: RoomId, gone: Sequence[Entry], added: Sequence[Entry]) -> None:
    """Keep the entries that a list has now in addition, without those that are gone."""
    t = schema.list_entries
    if gone:
        which = (t.c.list_room == room, t.c.of == bindparam("kind"), t.c.key == bindparam("state_key"))
        await db.execute(delete(t).where(*which), [{"kind": each.kind, "state_key": each.key} for each in gone])
    if added:
        await db.execute(insert(t), [_row(room, each) for each in added])


async def forget_entries(db: AsyncConnection, *, room: RoomId) -> None:
    """Forget what a list says, since it is no longer watched."""
    await db.execute(delete(schema.list_entries).where(schema.list_entries.c.list_room == room))


def digest_of(entries: Sequence[Entry]) -> str:
    """Return the SHA-256 of the entries of a list in order, in hexadecimal."""
    return hashlib.sha256(orjson.dumps([astuple(each) for each in entries])).hexdigest()


def _row(room: RoomId, entry: Entry) -> dict[str, object]:
    return {
        "list_room": room,
        "of": entry.kind,
        "key": entry.key,
        "entity": entry.entity,
        "digest": entry.digest,
        "advice": entry.advice,
        "recommendation": entry.recommendation,
        "reason": entry.reason,
        "sender": entry.sender,
        "event": entry.event,
        "at": entry.at_ms,
    }
