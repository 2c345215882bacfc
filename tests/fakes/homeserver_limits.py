"""The rate limit for sending: `rc_message`, as Synapse counts it, with its default numbers.

Rules kept here:
- A burst is allowed, then one more event whenever its interval has passed; refused requests cost nothing.
- Time is the test's if it gives a clock; the wait that is reported (`hurry` times less) is then real time.
Left to others: which requests are counted (`homeserver.py`).
"""

import time
from collections.abc import Callable

PER_SECOND = 0.2
BURST = 10


class Limit:
    """Counts the events that each person sends."""

    def __init__(
        self,
        *,
        per_second: float = PER_SECOND,
        burst: int = BURST,
        clock: Callable[[], float] = time.monotonic,
        hurry: float = 1,
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self.hurry = hurry
        self._sent: dict[str, tuple[int, float]] = {}  # how much since when

    def take(self, who: str) -> int | None:
        """Count one event of somebody. If it is one too many, return how many milliseconds they must wait."""
        now = self._clock()
        count, since = self._sent.get(who, (0, now))
        if (now - since) * self._per_second > count:
            count, since = 0, now
        if count - (now - since) * self._per_second > self._burst - 1:
            free_at = since + (count - self._burst + 1) / self._per_second
            return int(1000 * (free_at - now) / self.hurry)
        self._sent[who] = count + 1, since
        return None
