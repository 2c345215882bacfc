"""The messages to those above a room's managers, one to each: to the operators and, where asked, the owners.

Rules kept here:
- Each of them is told alone, once.
- The recipients are named together with the facts that ask for the message, so that nothing can come between.
- If the configuration names no operator, the matter waits at the command line (`answerable tasks`) without a message.

Left to others: sending the messages (`bot/effects/send_notice.py`).
"""

from collections.abc import Iterator, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.actions import Action, Tell, TellAbove
from moderation.model.context import RoomView
from moderation.policy import Policy
from moderation.values.ids import UserId

from .view_cache import ViewCache


async def expand_recipients(
    db: AsyncConnection, actions: Sequence[Action], knowledge: ViewCache, policy: Policy, bot: UserId
) -> tuple[Action, ...]:
    """Return the actions, with each `TellAbove` replaced by one `Tell` to each recipient."""
    named: list[Action] = []
    for action in actions:
        if isinstance(action, TellAbove):
            named += _each(action, await knowledge.room(db, action.room), policy, bot)
        else:
            named.append(action)
    return tuple(named)


def _each(action: TellAbove, room: RoomView | None, policy: Policy, bot: UserId) -> Iterator[Tell]:
    people = dict.fromkeys(UserId(user) for user in policy.operators)
    if action.owners and room is not None:
        people |= dict.fromkeys(sorted(room.power.owners()))
    for user in people:
        if user != bot:
            yield Tell(room=action.room, subject=user, lines=action.lines, n=action.n, alone=True, first=action.first)
