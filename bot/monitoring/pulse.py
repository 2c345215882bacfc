"""The listener's progress: it beats at each of its steps, whatever their result.

Rules kept here:
- A homeserver that is away is no hang, since a restart of the bot would not bring it back.
- Time is the machine's own, so that changing the clock does no harm.
"""

import time
from collections.abc import Callable

STALLED_S = 600.0  # longer than any single request may take


class Pulse:
    """Beaten by the listener, read by the watchdog."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._last = monotonic()
        self._taking: float | None = None

    def beat(self) -> None:
        """Note another step."""
        self._last = self._monotonic()

    def arrived(self) -> None:
        """Note that the homeserver has handed over something that is not recorded yet."""
        self.beat()
        self._taking = self._last

    def taken(self) -> None:
        """Note that everything it handed over is recorded."""
        self.beat()
        self._taking = None

    @property
    def still_s(self) -> float:
        """Seconds since the last step."""
        return self._monotonic() - self._last

    @property
    def lag_s(self) -> float:
        """Seconds since the homeserver handed over what is not recorded yet; 0: everything is."""
        return 0.0 if self._taking is None else self._monotonic() - self._taking
