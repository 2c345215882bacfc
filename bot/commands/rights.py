"""Whether a caller manages a group now: asked in one place, wherever a command or a reaction came from."""

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.context import RoomView
from moderation.ids import UserId
from moderation.policy import Policy
from moderation.responsibility import Deed, is_manager, is_operator, not_a_manager, require
from storage import views

from .call import Call


async def must_manage(call: Call, group: RoomView) -> None:
    """Raise `Refused` unless the caller manages `group` and is in it: a ban leaves the power level standing."""
    if not await manages(call.db, call.caller, group, call.policy):
        raise not_a_manager(call.caller, group)


async def must_have(call: Call, deed: Deed) -> None:
    """Raise `Refused` unless the caller has this right of managers in the group concerned, and is in it."""
    require(deed, call.caller, call.group, call.policy)
    await must_manage(call, call.group)


async def manages(db: AsyncConnection, user: UserId, group: RoomView, policy: Policy) -> bool:
    """Whether `user` manages `group` and is in it, or is an operator."""
    if is_operator(user, policy):
        return True
    return is_manager(user, group, policy) and (await views.memberships_of(db, user)).get(group.room) == "join"
