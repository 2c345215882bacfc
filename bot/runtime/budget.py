"""A rate limit per person, so that nobody can use up what all others need, too.

Kept in memory, for the people who took something last: a restart resets it for everybody.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from moderation.values.durations import HOUR_MS
from moderation.values.ids import UserId

from .newest import Newest

_MOST_PEOPLE = 10_000

Granted = Literal["granted", "spent", "told"]


@dataclass(slots=True)
class Budget:
    """A count of how often each person had something, which is granted `most` times within `within_ms`."""

    most: int
    within_ms: int = HOUR_MS
    _taken: Newest[UserId, list[int]] = field(default_factory=partial(Newest, _MOST_PEOPLE))
    _told: Newest[UserId, int] = field(default_factory=partial(Newest, _MOST_PEOPLE))  # when

    def is_spent(self, user: UserId, now_ms: int) -> bool:
        """Return whether nothing is left for a person with the common limit."""
        return len(self._lately(user, now_ms)) >= self.most

    def take(self, user: UserId, now_ms: int, most: int = 0) -> Granted:
        """Take one, if any is left; `most`: the limit of a person who may have more.

        "spent": nothing is left, and the person should be told once; "told": they have been told.
        """
        times = self._lately(user, now_ms)
        if len(times) < max(most, self.most):
            self._taken[user] = [*times, now_ms]
            self._told.pop(user, None)
            return "granted"
        if user in self._told:
            return "told"
        self._told[user] = now_ms
        return "spent"

    def free_at(self, user: UserId) -> int:
        """Return when the person's oldest grant no longer counts."""
        return self._taken[user][0] + self.within_ms

    def _lately(self, user: UserId, now_ms: int) -> list[int]:
        return [time for time in self._taken.get(user, ()) if time > now_ms - self.within_ms]
