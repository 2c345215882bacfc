"""The rules of single rooms."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.judge.room_rules import with_own
from moderation.model.context import RoomView
from moderation.policy import Policy
from moderation.values.ids import RoomId, UserId
from storage import schema
from storage.database.dialect import sql_list_param, sql_list_value
from storage.database.rows import rows_of

_r = schema.room_rules.c
ROOM_RULES = (
    select(_r.name, _r.settings, _r.by, _r.at).where(_r.room == bindparam("room"), _r.ended == 0).order_by(_r.record)
)
_NAMED = (
    select(_r.room, _r.name, _r.settings)
    .where(sql_list_param(_r.room, "rooms"), sql_list_param(_r.name, "names"))
    .order_by(_r.record)
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


async def rules_named(db: AsyncConnection, names: Iterable[str], rooms: Iterable[str]) -> dict[tuple[str, str], str]:
    """Return the settings of the rules with these names in these rooms, each of the last rule that had it there."""
    [rows] = await rows_of(db, (_NAMED, {"rooms": sql_list_value(rooms), "names": sql_list_value(names)}))
    return {(row.name, row.room): row.settings for row in rows}


async def policy_for(db: AsyncConnection, policy: Policy, room: RoomView, rule: str) -> Policy:
    """Return the policy for a case of `rule` in `room`, even if its people removed that rule since.

    `policy` is the operator's.
    """
    known = with_own(policy, room.rules)
    if any(each.name == rule for each in known.rules):
        return known
    text = (await rules_named(db, [rule], [room.room])).get((rule, room.room))
    return with_own(policy, (*room.rules, text)) if text is not None else known
