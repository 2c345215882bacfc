"""That the listener gets on: it beats at each of its steps, whatever comes of them.

Rules kept here: a homeserver that is away is no hang, since being started anew would not bring it back; time is the
machine's own, so that a clock that is set does no harm.
"""

import time
from collections.abc import Callable

STALLED_S = 600.0  # longer than any single request may take


class Pulse:
    """Beaten by the listener, felt by the watchdog."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._last = monotonic()
        self._taking: float | None = None

    def beat(self) -> None:
        """Another step was made."""
        self._last = self._monotonic()

    def arrived(self) -> None:
        """The homeserver has handed something over that is not recorded yet."""
        self.beat()
        self._taking = self._last

    def taken(self) -> None:
        """All that it handed over is recorded."""
        self.beat()
        self._taking = None

    @property
    def still_s(self) -> float:
        """For how long there was no step."""
        return self._monotonic() - self._last

    @property
    def lag_s(self) -> float:
        """How long ago the homeserver handed over what is not recorded yet; 0: everything is."""
        return 0.0 if self._taking is None else self._monotonic() - self._taking
