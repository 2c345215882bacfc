"""Limits how many messages of each other log are checked in one turn and in one hour.

Rules kept here:
- Messages beyond the limit stay where they are published and are read later, in their order. Nothing is lost.
- Each log has its own allowance, so a log that floods delays only itself.

Left to others: reading, and telling operators (`receiver.py`).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

MOST_A_TURN = 500  # messages; a check and a record take some milliseconds
MOST_AN_HOUR = 20_000  # a busy shard has some thousands a day
HOUR_S = 3600.0


@dataclass(slots=True)
class _Hour:
    began_s: float
    count: int = 0
    was_spent: bool = False  # in the hour before


class Allowance:
    """Counts the messages that may still be taken of each log."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        """Set up; `now_s` is a clock that never goes back."""
        self._now_s = now_s
        self._hours: dict[str, _Hour] = {}

    def left(self, origin: str) -> int:
        """Return how many messages may still be taken in this hour."""
        return max(0, MOST_AN_HOUR - self._hour(origin).count)

    def take(self, origin: str, count: int) -> bool:
        """Note that messages were taken. Tell whether this spends the allowance, unless the last hour spent it, too."""
        hour = self._hour(origin)
        was_left = hour.count < MOST_AN_HOUR
        hour.count += count
        return was_left and hour.count >= MOST_AN_HOUR and not hour.was_spent

    def spent(self) -> Collection[str]:
        """Return the logs whose allowance for this hour is spent."""
        return [origin for origin in self._hours if not self.left(origin)]

    def _hour(self, origin: str) -> _Hour:
        now = self._now_s()
        hour = self._hours.setdefault(origin, _Hour(now))
        if now - hour.began_s >= HOUR_S:
            was_spent = hour.count >= MOST_AN_HOUR and now - hour.began_s < 2 * HOUR_S
            hour = self._hours[origin] = _Hour(now, was_spent=was_spent)
        return hour
