"""Messages to a person about several cases of one incident: one message, if the first still waits to be sent.

Rule kept here: what is being sent is not changed, since it may have arrived.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.actions.base import Action
from moderation.model.actions.telling import Tell
from storage import outbox

_MOST = 5  # cases in one message


async def told_together(db: AsyncConnection, actions: Sequence[Action]) -> list[Action]:
    """Add messages to those that wait and tell the same person of the same incident. Returns the other actions."""
    return [each for each in actions if not (isinstance(each, Tell) and each.once and await _is_added(db, each))]


async def _is_added(db: AsyncConnection, told: Tell) -> bool:
    for row, waiting in await outbox.waiting_with(db, f"{told.together} "):
        assert isinstance(waiting, Tell), "the key says so"
        cases = (waiting.n, *waiting.also)
        if told.n in cases:
            return True
        if len(cases) < _MOST:
            lines = (*waiting.lines, *told.lines)
            await outbox.change(db, row, replace(waiting, lines=lines, also=(*waiting.also, told.n)))
            return True
    return False
