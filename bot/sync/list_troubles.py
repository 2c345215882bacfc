"""Troubles of policy lists, each told once to those who can mend it, until the list is well again.

Rules kept here:
- The operators are told of a list of the configuration; the desk of a room is told of a list that was chosen there.
"""

from typing import Literal

from bot.outbox.handler import BotPart, Services
from moderation.model.actions.base import NO_ROOM
from moderation.model.actions.telling import TellAbove, TellDesk
from moderation.values.ids import RoomId
from moderation.values.notices import Code, line

Trouble = Literal["closed", "own-closed", "unreadable", "too-long", "moved"]


class ListTroubles(BotPart):
    """The troubles that were told since the start."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._told: set[tuple[str, Trouble]] = set()

    async def tell(self, name: str, what: Trouble, room: str, *, desk: RoomId | None = None, limit: int = 0) -> None:
        """Tell the operators, or the desk of the room `desk`, what is wrong with the list in `room`."""
        if (name, what) in self._told:
            return
        self._told.add((name, what))
        if desk is not None:
            said = line(f"lists.trouble.chosen-{what}", list=name, room=Code(room))
            await self._pipeline.commit(actions=(TellDesk(room=desk, lines=(said,)),))
            return
        said = line(f"lists.trouble.{what}", list=name, room=Code(room), limit=limit)
        await self._pipeline.commit(actions=(TellAbove(room=NO_ROOM, lines=(said,)),))

    def is_well(self, name: str, what: Trouble) -> None:
        """Note that this is no longer wrong with a list."""
        self._told.discard((name, what))
