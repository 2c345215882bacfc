"""Which rooms the bot serves, what for, and from where on what is said there is recorded.

Rules kept here: what stands here follows from facts alone, so that it is the same after a restart (`begin`) and after a
rebuild. Left to others: entering rooms (`bot/effects/join_room.py`), making them (`bot/bot_rooms/create.py`).
"""

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import Fact, RoomEntered, RoomStateChanged
from moderation.values.ids import EventId, GroupCode, RoomId
from storage import queries


class ServedRooms:
    """The rooms, in memory: asked for with each event."""

    def __init__(self) -> None:
        self.codes: dict[RoomId, GroupCode] = {}  # of all rooms that are or were served
        self.direct: set[RoomId] = set()
        self._recording: set[RoomId] = set()  # in which all that is said is recorded
        self._own: set[RoomId] = set()  # desks, lobbies and direct rooms
        self._notices: dict[RoomId, EventId] = {}  # what told the members of a group that they are recorded

    async def begin(self, db: AsyncConnection) -> None:
        """Read them."""
        self.codes = await queries.all_rooms(db)
        self.direct = await queries.direct_rooms(db)
        self._recording = await queries.recording(db)
        self._own = await queries.own_rooms(db)
        self._notices = await queries.notices(db)

    def records(self, room: RoomId) -> bool:
        """Whether what is said in the room is recorded now."""
        return room in self._recording

    def is_own(self, room: RoomId) -> bool:
        """Whether the bot made the room."""
        return room in self._own

    def notice(self, room: RoomId) -> EventId | None:
        """The event of a group behind which recording begins."""
        return self._notices.get(room)

    def code(self, fact: Fact) -> GroupCode | None:
        """Under which code a fact is recorded; None: it belongs to no room."""
        if isinstance(fact, RoomEntered):
            return fact.code
        return self.codes.get(fact.room) if fact.room is not None else None

    def changed(self, fact: RoomStateChanged) -> None:
        """A room is recorded from now on, or not any more."""
        if fact.room is None:
            return
        active = fact.condition in ("observing", "protected")
        (self._recording.add if active else self._recording.discard)(fact.room)
        if fact.notice:
            self._notices[fact.room] = EventId(fact.notice)

    def entered(self, fact: RoomEntered) -> list[RoomId]:
        """A room is served. Returns the rooms that its group has left behind for it: nothing is recorded there."""
        room = RoomId(fact.room_id)
        behind = [old for old, code in self.codes.items() if code == fact.code and old != room]
        for old in behind:
            del self.codes[old]
            self._recording.discard(old)
            self._notices.pop(old, None)
        self.codes[room] = fact.code
        if fact.purpose in ("group", "space"):  # of a group, what is said is recorded once everybody has been told
            self._recording.discard(room)
            return behind
        self._recording.add(room)
        self._own.add(room)
        if fact.purpose == "direct":
            self.direct.add(room)
        return behind
