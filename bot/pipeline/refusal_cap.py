"""The number of refusals that are recorded in a minute, of each person or of each server.

What is refused before its delivery counts towards no limit of a homeserver, so one sender could fill the log with it.

Rules kept here:
- More are refused all the same; they are only not recorded.
- A clock that is set back makes nobody wait longer than a minute.
- The number of senders that are known is bounded: the one refused longest ago is forgotten first.

Left to others: who refuses (`bot/antispam/messages.py`, `bot/policy_server/answering.py`).
"""

from collections import deque

from bot.runtime.newest import Newest

MOST_OF_PERSON = 30
MOST_OF_SERVER = 300
WITHIN_MS = 60_000
_MOST_KNOWN = 10_000


class RefusalCap:
    """The refusals recorded lately of each sender; at most `most` of each within `WITHIN_MS`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._times: Newest[str, deque[int]] = Newest(_MOST_KNOWN)

    def has_room(self, sender: str, now_ms: int) -> bool:
        """Tell whether one more refusal of a sender is recorded."""
        times = self._times.get(sender)
        while times and not 0 <= now_ms - times[0] < WITHIN_MS:
            times.popleft()
        return times is None or len(times) < self._most

    def add(self, sender: str, now_ms: int) -> None:
        """Count a refusal that is recorded."""
        times = self._times.get(sender, deque())
        times.append(now_ms)
        self._times[sender] = times
