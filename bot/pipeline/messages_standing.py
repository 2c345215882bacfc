"""The number of messages that stand of a person in a room, for rules that spare people who have written enough.

Rules kept here:
- It is read once, and counted on from there: judging a message costs no query.
- A message that a measure removed does not count, so nobody comes to be spared by what was removed.
- What is counted here is what would be read from the tables.
- The cache is bounded: the least recently used entry goes first.

Left to others: who is spared (`moderation/judge/spared.py`), reading (`storage/queries/events.py`).
"""

from bot.runtime.newest import Newest
from moderation.model.facts import Fact, PartsErased, RecordsPurged, SanctionEnded, SanctionStarted, Swept
from moderation.rules.unless import MOST_MESSAGES
from moderation.values.events import MessagePosted, Received
from moderation.values.ids import NO_EVENT, EventId, RoomId, UserId
from storage import queries

from .unit_of_work import UnitOfWork

MAX_COUNTS = 20_000


class MessagesStanding:
    """The counts of people in rooms, up to `MOST_MESSAGES` each."""

    def __init__(self) -> None:
        self._counts: Newest[tuple[RoomId, UserId], int] = Newest(MAX_COUNTS)
        self._judged = NO_EVENT  # is not counted yet, or was removed at once

    async def before(self, unit: UnitOfWork, event: Received, index: int) -> int:
        """Return how many messages of the sender stand in the room from before the event recorded at `index`."""
        assert event.event is not None and event.sender is not None, "what is judged can be read"
        key, self._judged = (event.room, event.sender), event.event
        if key not in self._counts:
            await unit.flush()
            self._counts[key] = await queries.messages_standing(unit.db, *key, index, MOST_MESSAGES)
        self._counts.move_to_end(key)
        return self._counts[key]

    def at_hand(self, room: RoomId, user: UserId) -> int | None:
        """Return how many messages of somebody stand in a room, if it is known without the database."""
        return self._counts.get((room, user))

    def add(self, event: MessagePosted) -> None:
        """Count a message that was judged and stands."""
        self._judged = NO_EVENT
        if (key := (event.room, event.sender)) in self._counts:
            self._counts[key] = min(MOST_MESSAGES, self._counts[key] + 1)

    def changed(self, fact: Fact) -> None:
        """Forget the counts that a fact changes."""
        if isinstance(fact, PartsErased | RecordsPurged | Swept):
            self.clear()
        elif isinstance(fact, SanctionStarted | SanctionEnded) and fact.kind == "redact":
            self._forget(fact, getattr(fact, "event", NO_EVENT))

    def _forget(self, fact: SanctionStarted | SanctionEnded, event: EventId) -> None:
        counted = event != self._judged or not event
        if counted and fact.room is not None:
            self._counts.pop((fact.room, fact.subject), None)

    def clear(self) -> None:
        """Forget everything."""
        self._counts.clear()
