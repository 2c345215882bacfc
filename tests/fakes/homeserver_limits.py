"""How much somebody may send: `rc_message`, as Synapse counts it, with the numbers that it has by default.

Rules kept here: so many at once, then one more whenever its time has passed; what is refused costs nothing. Time is the
test's where it gives a clock, and then what is told to wait (`hurry` times less) is real time.
Left to others: which requests are counted (`homeserver.py`).
"""

import time
from collections.abc import Callable

PER_SECOND = 0.2
BURST = 10


class Limit:
    """Counts what each person sends."""

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
        """Count one event of somebody. If it is one too many: how many milliseconds they are told to wait."""
        now = self._clock()
        count, since = self._sent.get(who, (0, now))
        if (now - since) * self._per_second > count:
            count, since = 0, now
        if count - (now - since) * self._per_second > self._burst - 1:
            free_at = since + (count - self._burst + 1) / self._per_second
            return int(1000 * (free_at - now) / self.hurry)
        self._sent[who] = count + 1, since
        return None
