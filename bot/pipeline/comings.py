"""The people who came into each room a short while ago, or were invited there.

Rules kept here:
- It is counted along. After a start, those who came for the first time are read from the tables once, so that a wave
  goes on across it; people who came back before the start are left out.
- People whom a room had when the bot began to record it did not come in.
- It is bounded: in the people of a room, and in the people whose inviter is kept.

Left to others: what a wave is (`moderation/rooms/join_waves.py`), reading (`storage/queries/join_waves.py`).
"""

from collections import OrderedDict
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.policy import MOST_COMING
from moderation.rooms.join_waves import Coming
from moderation.values.events import MembershipChanged
from moderation.values.ids import RoomId, UserId
from storage import queries

MOST_INVITERS = 20_000


class Comings:
    """The comings into rooms, newest last, and who invited whom."""

    def __init__(self) -> None:
        self._rooms: dict[RoomId, OrderedDict[UserId, Coming]] = {}
        self._inviters: OrderedDict[tuple[RoomId, UserId], UserId] = OrderedDict()

    def clear(self) -> None:
        """Forget everything."""
        self._rooms.clear()
        self._inviters.clear()

    def of(self, room: RoomId) -> Sequence[Coming]:
        """Return who came into a room; an account that came several times stands there once, for the last time."""
        return tuple(self._rooms.get(room, {}).values())

    async def note(self, db: AsyncConnection, event: MembershipChanged, *, was_invited: bool) -> Coming:
        """Note that somebody comes in, or is invited, by this event; it may be in the tables already."""
        there = self._rooms.get(event.room)
        if there is None:
            read = await queries.comings(db, event.room, MOST_COMING)
            there = self._rooms[event.room] = OrderedDict((each.user, each) for each in read)
        coming = Coming(event.user, event.counted_ms, self._inviter(event, there, was_invited), event.event)
        there[event.user] = coming
        there.move_to_end(event.user)
        if len(there) > MOST_COMING:
            there.popitem(last=False)
        return coming

    def _inviter(self, event: MembershipChanged, there: OrderedDict[UserId, Coming], was_invited: bool) -> UserId:
        key = (event.room, event.user)
        if event.membership == "invite":
            self._inviters[key] = event.sender
            if len(self._inviters) > MOST_INVITERS:
                self._inviters.popitem(last=False)
            return event.sender
        if not was_invited:
            return event.user
        return self._inviters.get(key) or (there[event.user].by if event.user in there else event.user)
