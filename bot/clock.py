"""The time, taken in one place and passed on."""

import time
from collections.abc import Callable

Clock = Callable[[], int]  # milliseconds since 1970 UTC


def wall_clock() -> int:
    """The time of this machine, milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000
