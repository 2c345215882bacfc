"""The messages that were let through before their delivery and have not arrived yet.

A flood comes faster than its messages arrive: who sends a hundred at once is asked about a hundred times before the
first is seen.

Rules kept here:
- A message counts here until it arrives, and no longer than `LONGEST_MS`: it may never come.
- It is bounded: what was let through first goes first.
"""

from collections import OrderedDict

from moderation.rules.check import Counted
from moderation.values.events import Received
from moderation.values.ids import EventId, RoomId, UserId

MOST = 20_000
LONGEST_MS = 60_000


class OnTheWay:
    """The times of messages on the way; `None`: a message, else what it is counted as."""

    def __init__(self) -> None:
        self._events: OrderedDict[EventId, tuple[RoomId, UserId]] = OrderedDict()
        self._times: dict[tuple[RoomId, UserId], dict[EventId, tuple[int, Counted | None]]] = {}

    def add(self, event: Received, what: Counted | None) -> None:
        """Note that an event was let through."""
        if event.event is None or event.sender is None or event.event in self._events:
            return
        key = event.room, event.sender
        self._events[event.event] = key
        self._times.setdefault(key, {})[event.event] = (event.received_ms, what)
        if len(self._events) > MOST:
            self.arrived(next(iter(self._events)))

    def arrived(self, event: EventId | None) -> None:
        """Forget an event: it counts from now on as one that has arrived."""
        if event is None or (key := self._events.pop(event, None)) is None:
            return
        times = self._times[key]
        del times[event]
        if not times:
            del self._times[key]

    def of(self, room: RoomId, user: UserId, now_ms: int) -> tuple[tuple[int, Counted | None], ...]:
        """Return the times of what somebody has on the way into a room, each with how it counts."""
        times = self._times.get((room, user), {})
        for event in [event for event, (at_ms, _) in times.items() if now_ms - at_ms >= LONGEST_MS]:
            self.arrived(event)
        return tuple(times.values())

    def clear(self) -> None:
        """Forget everything."""
        self._events.clear()
        self._times.clear()
