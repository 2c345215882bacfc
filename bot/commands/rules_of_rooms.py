"""The policy as it holds for one case: with the rules of its room, and the broken rule even if it was removed since."""

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.judge.room_rules import with_own
from moderation.model.context import RoomView
from moderation.policy import Policy
from storage import queries


async def policy_for(db: AsyncConnection, policy: Policy, room: RoomView, rule: str) -> Policy:
    """Return the policy for a case of `rule` in `room`; `policy` is the operator's."""
    known = with_own(policy, room.rules)
    if any(each.name == rule for each in known.rules):
        return known
    text = await queries.rule_of_room(db, room.room, rule)
    return with_own(policy, (*room.rules, text)) if text is not None else known
