"""The people who came into each room a short while ago, or were invited there.

Rules kept here:
- It is counted along. After a start, those who came for the first time are read from the tables once, so that a wave
  goes on across it; people who came back before the start are left out.
- People whom a room had when the bot began to record it did not come in.
- It is bounded in the people of a room.
- Somebody who was invited and comes in was invited by the sender of their last invitation, also after a start.

Left to others: what a wave is (`moderation/rooms/join_waves.py`), reading (`storage/queries/join_waves.py`).
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.runtime.newest import Newest
from moderation.policy import MOST_COMING
from moderation.rooms.join_waves import Coming
from moderation.values.events import MembershipChanged
from moderation.values.ids import RoomId, UserId
from storage import queries


class Comings:
    """The comings into rooms, newest last."""

    def __init__(self) -> None:
        self._rooms: dict[RoomId, Newest[UserId, Coming]] = {}

    def clear(self) -> None:
        """Forget everything."""
        self._rooms.clear()

    def of(self, room: RoomId) -> Sequence[Coming]:
        """Return who came into a room; an account that came several times stands there once, for the last time."""
        return tuple(self._rooms.get(room, {}).values())

    async def note(self, db: AsyncConnection, event: MembershipChanged, *, was_invited: bool) -> Coming:
        """Note that somebody comes in, or is invited, by this event; it may be in the tables already."""
        there = self._rooms.get(event.room)
        if there is None:
            read = await queries.comings(db, event.room, MOST_COMING)
            there = self._rooms[event.room] = Newest(MOST_COMING)
            there.update((each.user, each) for each in read)
        by = await queries.inviter_of(db, event.room, event.user) if was_invited else event.sender
        coming = Coming(event.user, event.counted_ms, by or event.user, event.event)
        there[event.user] = coming
        return coming
