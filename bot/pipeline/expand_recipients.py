"""The recipients of a message: those above a room's managers, and who decides on words that the desk must not read.

Rules kept here:
- Each recipient is told alone, once.
- While the person concerned reads the desk, a reporter's words go to each person who decides, in a direct message.
- The recipients are named together with the facts that ask for the message, so that nothing can come between.
- If the configuration names no operator, the matter waits at the command line (`answerable tasks`) without a message.

Left to others: sending the messages (`bot/effects/send_notice.py`).
"""

from collections.abc import Iterator, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.texts.report_lines import reads_along
from moderation.model.actions.base import Action
from moderation.model.actions.telling import Tell, TellAbove, TellDesk
from moderation.model.context import RoomView
from moderation.policy import Policy
from moderation.values.ids import UserId
from storage import queries

from .view_cache import ViewCache


async def expand_recipients(
    db: AsyncConnection, actions: Sequence[Action], knowledge: ViewCache, policy: Policy, bot: UserId
) -> tuple[Action, ...]:
    """Return the actions, with each `TellAbove` replaced by one `Tell` to each recipient.

    A `TellDesk` whose words the person concerned would read is followed by a `Tell` to each person who decides.
    """
    named: list[Action] = []
    for action in actions:
        if isinstance(action, TellAbove):
            named += _above(action, await knowledge.room(db, action.room), policy, bot)
        else:
            named.append(action)
        if isinstance(action, TellDesk) and action.discreet:
            named += [
                Tell(room=action.room, subject=user, lines=action.lines, n=action.n, alone=True)
                for user in await _deciders(db, action, knowledge)
            ]
    return tuple(named)


async def _deciders(db: AsyncConnection, action: TellDesk, knowledge: ViewCache) -> tuple[UserId, ...]:
    """Return who decides the case, if the person whom it is about reads the desk."""
    room, case = await knowledge.room(db, action.room), await queries.case_view(db, action.n)
    desk = await queries.desk_of(db, room.code) if room else None
    if case is None or not await reads_along(db, case, desk):
        return ()
    return await queries.assigned_to(db, case.n, case.asked)


def _above(action: TellAbove, room: RoomView | None, policy: Policy, bot: UserId) -> Iterator[Tell]:
    people = dict.fromkeys(UserId(user) for user in policy.operators)
    if action.owners and room is not None:
        people |= dict.fromkeys(sorted(room.power.owners()))
    for user in people:
        if user != bot:
            yield Tell(room=action.room, subject=user, lines=action.lines, n=action.n, alone=True, first=action.first)
