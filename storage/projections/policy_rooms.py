"""The rooms that ask the policy server before they deliver messages."""

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import PolicyServerSet
from storage import schema

from .common import project, put


@project.register
async def _(fact: PolicyServerSet, db: AsyncConnection, index: int, at_ms: int) -> None:
    here, room = schema.policy_rooms.c.room == fact.room, fact.room or ""
    if fact.step == "on":
        values = {"since": at_ms, "down": 0, "record": index, "by": fact.by}
        await put(db, schema.policy_rooms, {"room": room}, **values)
    elif fact.step in ("off", "changed"):
        await db.execute(delete(schema.policy_rooms).where(here))
    else:
        down = max(at_ms, 1) if fact.step == "down" else 0
        await db.execute(update(schema.policy_rooms).where(here).values(down=down))
