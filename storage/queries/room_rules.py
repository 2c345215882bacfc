"""The rules of single rooms."""

from dataclasses import dataclass

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.judge.room_rules import with_own
from moderation.model.context import RoomView
from moderation.policy import Policy
from moderation.values.ids import RoomId, UserId
from storage import schema

_r = schema.room_rules.c
ROOM_RULES = (
    select(_r.name, _r.settings, _r.by, _r.at).where(_r.room == bindparam("room"), _r.ended == 0).order_by(_r.record)
)


@dataclass(frozen=True, slots=True)
class RoomRule:
    """One rule of a room, its author and its time."""

    name: str
    settings: str  # JSON
    by: UserId
    at: int


async def rules_of_room(db: AsyncConnection, room: RoomId) -> tuple[RoomRule, ...]:
    """Return the rules that the room has now, oldest first."""
    return tuple(RoomRule(*row) for row in await db.execute(ROOM_RULES, {"room": room}))


async def rule_of_room(db: AsyncConnection, room: RoomId, name: str) -> str | None:
    """Return the settings of the room's rule with this name, or of the last rule that had it."""
    r = schema.room_rules.c
    query = select(r.settings).where(r.room == room, r.name == name).order_by(r.record.desc()).limit(1)
    found = await db.scalar(query)
    return str(found) if found is not None else None


async def policy_for(db: AsyncConnection, policy: Policy, room: RoomView, rule: str) -> Policy:
    """Return the policy for a case of `rule` in `room`, even if its people removed that rule since.

    `policy` is the operator's.
    """
    known = with_own(policy, room.rules)
    if any(each.name == rule for each in known.rules):
        return known
    text = await rule_of_room(db, room.room, rule)
    return with_own(policy, (*room.rules, text)) if text is not None else known
