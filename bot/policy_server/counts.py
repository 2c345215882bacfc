"""The counts of what people posted lately, as far as the policy server let it through, for rules against floods.

The times are those of our own clock: a server cannot date its messages out of the count. What claims to be old is not
counted at all, since a server that catches up asks about many such events at once, and its people are in no haste.

Rules kept here:
- What is refused does not count, so that waiting helps.
- What is let through counts from its judgement on, since a flood comes all at once.
- Both numbers are bounded: the people who posted longest ago are forgotten first.
- After a restart it begins from nothing. The judgement after delivery counts from the records.

Left to others: what counts as what (`bot/pipeline/judging_context.py`), which events are old (`judging.py`).
"""

from bisect import insort
from collections import deque
from contextlib import suppress

from bot.runtime.newest import Newest
from moderation.rules.check import Counted
from moderation.values.ids import RoomId, UserId

_MOST_PEOPLE = 20_000
_MOST_TIMES = 1_000  # of one person in one room

_Times = deque[tuple[int, Counted | None]]


class LetThrough:
    """The times at which each person posted in each room within `window_ms`."""

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._times: Newest[tuple[RoomId, UserId], _Times] = Newest(_MOST_PEOPLE)

    def times(self, room: RoomId, user: UserId, now_ms: int) -> tuple[tuple[int, Counted | None], ...]:
        """Return the times (ms) that count now, the oldest first; None: of a message."""
        times = self._times.get((room, user), ())
        return tuple(each for each in times if now_ms - each[0] <= self._window_ms)

    def add(self, room: RoomId, user: UserId, at_ms: int, what: Counted | None) -> None:
        """Count something that was let through."""
        key = (room, user)
        times = self._times[key] = self._times.get(key, deque())
        while times and (at_ms - times[0][0] > self._window_ms or len(times) >= _MOST_TIMES):
            times.popleft()
        insort(times, (at_ms, what), key=lambda each: each[0])

    def take_back(self, room: RoomId, user: UserId, at_ms: int, what: Counted | None) -> None:
        """Count something no longer: it was not let through after all."""
        times = self._times.get((room, user), deque())
        with suppress(ValueError):  # it was forgotten since
            times.remove((at_ms, what))


class CountedEvent:
    """One event that is counted once, as soon as it is found to break no rule."""

    def __init__(self, counts: LetThrough, room: RoomId, user: UserId, at_ms: int, what: Counted | None) -> None:
        self._counts = counts
        self._event = room, user, at_ms, what
        self._is_counted = False

    def add(self) -> None:
        """Count it, if it is not counted yet."""
        if not self._is_counted:
            self._is_counted = True
            self._counts.add(*self._event)

    def take_back(self) -> None:
        """Count it no longer."""
        if self._is_counted:
            self._is_counted = False
            self._counts.take_back(*self._event)
