"""The number of requests that each server may make: so many at once, and so many a second after that.

Each answer costs a judgement and a row on the disk, and anybody can run a server.

Rules kept here:
- A server that catches up with its rooms stays below it.
- The number of servers that are known is bounded: the one that asked longest ago is forgotten first.

Left to others: the answer to a request that is too many (`server.py`).
"""

import time
from collections.abc import Callable

from bot.runtime.newest import Newest

AT_ONCE = 2_000
A_SECOND = 100.0
_MOST_SERVERS = 10_000


class OriginPace:
    """A bucket of requests for each server."""

    def __init__(
        self,
        at_once: int = AT_ONCE,
        a_second: float = A_SECOND,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at_once = at_once
        self._a_second = a_second
        self._now_s = now_s
        self._left: Newest[str, tuple[float, float]] = Newest(_MOST_SERVERS)  # how many are left, and since when (s)

    def takes(self, server: str) -> bool:
        """Count a request; False if it is too many."""
        now_s = self._now_s()
        left, since_s = self._left.get(server, (self._at_once, now_s))
        left = min(self._at_once, left + (now_s - since_s) * self._a_second)
        taken = left >= 1
        self._left[server] = (left - 1 if taken else left, now_s)
        return taken
