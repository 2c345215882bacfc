"""Messages to the managers of several rooms that share a desk: each is said there once.

Left to others: naming the rooms that a message is about (`bot/effects/send_notice.py`).
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.actions.base import Action
from moderation.model.actions.telling import TellDesk
from moderation.values.notices import Line
from storage import queries


async def said_once(db: AsyncConnection, actions: Sequence[Action]) -> Sequence[Action]:
    """Return the actions with at most one message to a desk for one cause; what was common to several stands once."""
    if sum(isinstance(action, TellDesk) for action in actions) < 2:
        return actions
    first = await queries.first_in_desk(db)
    kept: list[Action] = []
    at: dict[object, int] = {}  # desk and subject -> where its message stands in `kept`
    for action in actions:
        if not isinstance(action, TellDesk):
            kept.append(action)
            continue
        # About a case, only the same words are one message: they ring the same people.
        key = (first.get(action.room, action.room), action.once, action.n, repr(action.lines) if action.n else "")
        if (before := at.setdefault(key, len(kept))) < len(kept):
            kept[before] = _joined(kept[before], action)
        else:
            kept.append(action)
    return kept


def _joined(one: Action, other: TellDesk) -> TellDesk:
    assert isinstance(one, TellDesk)
    apart = {part.room: part for part in one.apart or (one,)}
    for part in other.apart or (other,):
        before = apart.get(part.room)
        apart[part.room] = replace(part, lines=_once(before.lines, part.lines)) if before else part
    also = tuple(room for room in apart if room != one.room)
    lines, ring = _once(one.lines, other.lines), one.ring or other.ring
    return replace(one, lines=lines, ring=ring, also=also, apart=tuple(apart.values()) if also else ())


def _once(lines: tuple[Line, ...], more: tuple[Line, ...]) -> tuple[Line, ...]:
    return (*lines, *(each for each in more if each not in lines))
