"""Clocks of tests: those that show another time than this machine's, and time that is set forward as if it passed.

A day of the log ends at midnight, UTC: then it is signed, and the signature is said in the desk. A test that compares
runs, or pages, begins at noon, so that all of them see the same day.
"""

from bot.monitoring.trusted_time import TrustedTime
from bot.runtime.clock import Clock, wall_clock
from moderation.values.durations import DAY_MS

_NOON_MS = DAY_MS // 2


def noon_after(now_ms: int) -> int:
    """Return the first noon, UTC, at or after a time."""
    return now_ms + (_NOON_MS - now_ms) % DAY_MS


def clock_at(now_ms: int, clock: Clock = wall_clock) -> Clock:
    """Return a clock that shows `now_ms` now, and goes on as `clock` does."""
    ahead_ms = now_ms - clock()
    return lambda: clock() + ahead_ms


def noon_clock(clock: Clock = wall_clock) -> Clock:
    """Return a clock that shows noon now: midnight is twelve hours away."""
    return clock_at(noon_after(clock()), clock)


class Together(TrustedTime):
    """All clocks, the machine's and the homeserver's, go with the bot's."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, steady=clock)

    def resume(self, last_ms: int | None) -> None:
        pass

    def hear(self, server_ms: int) -> None:
        super().hear(max(server_ms, self._clock()))
