"""The rooms that the bot serves: what for, and from which event on what is said there is recorded.

Rule kept here: all this follows from facts alone, so it is the same after a restart (`begin`) and after a rebuild.
Left to others: entering rooms (`bot/effects/join_room.py`), making them (`bot/bot_rooms/create.py`).
"""

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import DeskChosen, Fact, RoomEntered, RoomStateChanged
from moderation.values.ids import EventId, GroupCode, RoomId
from storage import queries


class ServedRooms:
    """The rooms, kept in memory because every event asks for them."""

    def __init__(self) -> None:
        self.codes: dict[RoomId, GroupCode] = {}  # of all rooms that are or were served
        self.direct: set[RoomId] = set()
        self._recording: set[RoomId] = set()  # rooms in which all that is said is recorded
        self._own: set[RoomId] = set()  # desks, lobbies and direct rooms
        # The notices that told the members of a group of the recording; of a direct room, the bot's join.
        self._notices: dict[RoomId, EventId] = {}

    async def begin(self, db: AsyncConnection) -> None:
        """Read the rooms from the database."""
        self.codes = await queries.all_rooms(db)
        self.direct = await queries.direct_rooms(db)
        self._recording = await queries.recorded_rooms(db)
        self._own = await queries.own_rooms(db)
        self._notices = await queries.notices(db)

    def records(self, room: RoomId) -> bool:
        """Tell whether what is said in the room is recorded now."""
        return room in self._recording

    def recorded_since(self) -> dict[RoomId, EventId | None]:
        """Return the rooms in which what is said is recorded now, each with its notice."""
        return {room: self._notices.get(room) for room in self._recording}

    def is_own(self, room: RoomId) -> bool:
        """Tell whether the room is a desk, a lobby or a direct room."""
        return room in self._own

    def notice(self, room: RoomId) -> EventId | None:
        """Return the event of a group or direct room after which recording begins."""
        return self._notices.get(room)

    def is_entered(self, room: RoomId) -> bool:
        """Tell whether recording begins again, after a notice or a join, each time the bot is invited into the room."""
        return not self.is_own(room) or room in self._notices

    def code(self, fact: Fact) -> GroupCode | None:
        """Return the code under which a fact is recorded; None if it belongs to no room."""
        if isinstance(fact, RoomEntered):
            return fact.code
        return self.codes.get(fact.room) if fact.room is not None else None

    def given_desk(self, fact: Fact) -> RoomId | None:
        """Return the group that has a desk from this fact on, made for it or chosen; None if the fact gives none."""
        if isinstance(fact, DeskChosen):
            return fact.room
        if isinstance(fact, RoomEntered) and fact.purpose == "desk":
            return next((room for room, code in self.codes.items() if code == fact.served), None)
        return None

    def changed(self, fact: RoomStateChanged) -> None:
        """Note that a room is recorded from now on, or not any more."""
        if fact.room is None:
            return
        active = fact.condition in ("observing", "protected")
        (self._recording.add if active else self._recording.discard)(fact.room)
        if fact.notice:
            self._notices[fact.room] = EventId(fact.notice)

    def entered(self, fact: RoomEntered) -> list[RoomId]:
        """Note that a room is served. Returns the rooms that its group left for it: nothing is recorded there."""
        room = RoomId(fact.room_id)
        behind = [old for old, code in self.codes.items() if code == fact.code and old != room]
        for old in behind:
            del self.codes[old]
            self._recording.discard(old)
            self._notices.pop(old, None)
        self.codes[room] = fact.code
        if fact.purpose in ("group", "space"):  # a group is recorded once everybody in it has been told
            self._recording.discard(room)
            return behind
        self._recording.add(room)
        self._own.add(room)
        if fact.purpose == "direct":
            self.direct.add(room)
        return behind
