"""The other homeservers that answer late about devices, so that they do not hold up each encrypted message.

Rules this module keeps:
- A server that answers late, or not at all, rests: for a minute it is asked for nothing.
- If several servers were asked at once, and the answer was late without saying whose part was missing, none rests but
  all are suspected: for a minute each is asked in a request of its own, so that it rests if it is late again. An answer
  in time does not end this, since a server could answer late only every second time.
- Our own server never rests and is never suspected.
- The memory is bounded, whatever servers there are.
Left to others: requests and the time (`machine.py`).
"""

from collections.abc import Iterable

from bot.runtime.newest import Newest
from moderation.values.ids import server_of

LATE_MS = 2_000  # a server that takes this long to answer
REST_MS = 60_000  # is not asked again before this time, or if it is only suspected, not together with others
REMEMBERED = 10_000  # servers
_ALL_OTHERS = ""


class LateServers:
    """Says which servers rest, and which users to ask for in one request. `own` is our own server."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._rests: Newest[str, int] = Newest(REMEMBERED)  # servers, and until when (ms)
        self._suspected: Newest[str, int] = Newest(REMEMBERED)  # the same

    def rests(self, user: str, now_ms: int) -> bool:
        """Tell whether the server of this user is not to be asked now."""
        return self._rests.get(server_of(user), 0) > now_ms

    def next_portion(self, users: Iterable[str], now_ms: int, most: int | None = None) -> list[str]:
        """Return those of `users` to ask for in the next request, at most `most`; none if all their servers rest.

        Users of servers that are not suspected come first and together, then those of each suspected server.
        """
        portions: dict[str, list[str]] = {_ALL_OTHERS: []}
        for user in users:
            server = server_of(user)
            if not self.rests(user, now_ms):
                suspected = self._suspected.get(server, 0) > now_ms
                portions.setdefault(server if suspected else _ALL_OTHERS, []).append(user)
        return next((portion[:most] for portion in portions.values() if portion), [])

    def answered(self, users: Iterable[str], took_ms: int, failures: Iterable[str], now_ms: int) -> None:
        """Note how long the answer about `users` took, and the servers from which our own got none (`failures`)."""
        servers = {server_of(user) for user in users} - {self._own}
        failed, late = servers.intersection(failures), servers if took_ms >= LATE_MS else set()
        noted = self._rests if failed or len(servers) == 1 else self._suspected
        for server in failed or late:
            noted[server] = now_ms + REST_MS
