"""The time, taken in one place and passed on."""

import time
from collections.abc import Callable

Clock = Callable[[], int]  # milliseconds since 1970 UTC


def wall_clock() -> int:
    """Return the time of this machine, in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


class SteadyClock:
    """A clock that shows the time it was made plus what has passed since, whatever happens to the machine's clock."""

    def __init__(self, clock: Clock = wall_clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._ahead_ms = clock() - round(monotonic() * 1000)

    def __call__(self) -> int:
        """Return the time in milliseconds since 1970 UTC."""
        return self._ahead_ms + round(self._monotonic() * 1000)
