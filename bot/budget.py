"""So much of something for each person within a time, so that no one of them takes it from all others.

Kept in memory: after a restart everybody has theirs again.
"""

from dataclasses import dataclass, field
from typing import Literal

from moderation.durations import HOUR_MS
from moderation.ids import UserId

_MOST_PEOPLE = 10_000

Granted = Literal["granted", "spent", "told"]


@dataclass(slots=True)
class Budget:
    """How often each person may have something within `within_ms`."""

    most: int
    within_ms: int = HOUR_MS
    _taken: dict[UserId, list[int]] = field(default_factory=dict)
    _told: dict[UserId, int] = field(default_factory=dict)

    def take(self, user: UserId, now_ms: int, most: int | None = None) -> Granted:
        """Take one, if any is left; `most`: for a person who may have more. "spent": none is left, as is to be told
        once; "told": it has been said."""
        times = [time for time in self._taken.get(user, ()) if time > now_ms - self.within_ms]
        if len(times) < (most or self.most):
            if len(self._taken) >= _MOST_PEOPLE:
                self._taken.clear()
            self._taken[user] = [*times, now_ms]
            self._told.pop(user, None)
            return "granted"
        if user in self._told:
            return "told"
        self._told[user] = now_ms
        return "spent"

    def free_at(self, user: UserId) -> int:
        """Return when somebody who has spent theirs may have one again."""
        return self._taken[user][0] + self.within_ms
