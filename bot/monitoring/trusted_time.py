"""The check whether this machine's clock can be believed, before something is removed because its time is over.

A clock that is once wrong, far ahead, makes all records look old. So two others are asked: the homeserver's, by the
`Date` of its answers, and the one that counts since this machine was started, which nobody sets. If homeserver and bot
share a machine, they also share a wrong clock; then only the second shows it.

Rules kept here:
- In doubt nothing is removed.
- A clock that jumped is believed again when it has jumped back, or when it has gone on evenly for a day.
- After a long time away there is nothing to compare with, so that day is waited for, too.

Left to others: what is removed (`bot/admin/records.py`), whom to tell (`bot/scheduler/scheduler.py`, `health.py`).
"""

import time
from collections.abc import Callable
from typing import Literal

from bot.runtime.clock import Clock
from moderation.values.durations import DAY_MS

Doubt = Literal["unheard", "homeserver", "jump"]

APART_MS = 600_000  # clocks that differ by less count as equal
RECENT_MS = 3_600_000  # an older answer of the homeserver says nothing of now
AWAY_MS = 7 * DAY_MS
SETTLED_MS = DAY_MS


def machine_ms() -> int:
    """Return the milliseconds since this machine was started, including sleep; nobody can set this clock."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) // 1_000_000


class TrustedTime:
    """The clock, compared with the homeserver's and with the machine's steady one."""

    def __init__(self, clock: Clock, steady: Clock = machine_ms) -> None:
        self._clock = clock
        self._steady = steady
        self._offset: int | None = clock() - steady()  # of the clock from the steady one; None: not believed
        self._moved: tuple[int, int] | None = None  # another offset, and since when it holds
        self._heard: tuple[int, int] | None = None  # the homeserver's time, and when it was heard

    def resume(self, last_ms: int | None) -> None:
        """Take the time at which the bot was last at work, if it ever was."""
        if last_ms is not None and not -APART_MS < self._clock() - last_ms < AWAY_MS:
            self._offset = None

    def hear(self, server_ms: int) -> None:
        """Take the homeserver's time from an answer that has just come."""
        self._heard = server_ms, self._steady()

    def doubt(self) -> Doubt | None:
        """Return why the clock cannot be believed now; None if it can."""
        is_settled = self._is_settled()
        if self._heard is None or self._steady() - self._heard[1] > RECENT_MS:
            return "unheard"
        server_ms, at = self._heard
        if abs(server_ms + self._steady() - at - self._clock()) > APART_MS:
            return "homeserver"
        return None if is_settled else "jump"

    def _is_settled(self) -> bool:
        now = self._steady()
        offset = self._clock() - now
        if self._offset is not None and abs(offset - self._offset) <= APART_MS:
            self._offset, self._moved = offset, None  # it may drift, as synchronized clocks do
            return True
        if self._moved is None or abs(offset - self._moved[0]) > APART_MS:
            self._moved = offset, now
        if now - self._moved[1] < SETTLED_MS:
            return False
        self._offset, self._moved = offset, None
        return True


Doubts = Callable[[], Doubt | None]


def unheard() -> Doubt:
    """Return the doubt of a process that asks no homeserver."""
    return "unheard"
