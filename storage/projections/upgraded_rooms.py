"""A group that continues in another room: its data moves to that room's id.

Rules kept here:
- Events stay with the room they were seen in, since only there they can be redacted.
- The levels that the bot keeps stay, since an upgrade copies the levels as they are.
- The homeserver tells who is in the new room, so nobody is assumed to be in it; but since when people are known stays
  known.
- What waits to be said is said in the new room, unless it concerns an event of the old one.
"""

import json

from sqlalchemy import case, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import RoomId
from storage import schema

_TABLES = (
    schema.pointed,
    schema.verifications,
    schema.cases,
    schema.rosters,
    schema.duty_accepted,
    schema.tasks,
    schema.credit,
    schema.sanctions,
    schema.holds,
    schema.room_rules,
    schema.room_settings,
    schema.policy_rooms,
    schema.daily,
    schema.chosen_lists,
    schema.list_previews,
    schema.list_matches,
    schema.listed_servers,
    schema.list_spared,
)


MOVED = "moved"  # as a membership: they were in the old room, and have not come into the new one yet


async def move(db: AsyncConnection, old: RoomId, new: RoomId) -> None:
    """Move everything known of the group in `old`, except what is waiting to be sent."""
    values = {"room": new, "successor": "", "notice": "", "created": "", "levels": "", "introduced": ""}
    await db.execute(update(schema.rooms).where(schema.rooms.c.room == old).values(**values))
    for table in _TABLES:
        await db.execute(update(table).where(table.c.room == old).values(room=new))
    m = schema.members.c
    there = case((m.membership.in_(("join", "invite")), MOVED), else_="leave")
    await db.execute(update(schema.members).where(m.room == old).values(room=new, membership=there))


async def move_waiting(db: AsyncConnection, old: RoomId, new: RoomId) -> None:
    """Move what is waiting to be sent."""
    rows = (await db.execute(select(schema.outbox).where(schema.outbox.c.room == old))).all()
    for row in rows:
        action = json.loads(row.action)
        if "event" in action:
            continue
        changed = {"room": new, "action": json.dumps({**action, "room": new})}
        await db.execute(update(schema.outbox).where(schema.outbox.c.id == row.id).values(**changed))
