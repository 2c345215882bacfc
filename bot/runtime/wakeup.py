"""The wake-up of the parts that may have something to do after a write.

Rules kept here:
- Parts that act are woken at once.
- Parts that check whether time or people ask for something are woken a little later, once for all that was written
  meanwhile. So in a flood their checks do not delay the redaction of a message.

Left to others: what each of them does.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

SOON_S = 0.2


@dataclass(slots=True)
class Wake:
    """The callbacks, which are set once the parts to wake exist."""

    at_once: tuple[Callable[[], None], ...] = ()
    soon: tuple[Callable[[], None], ...] = ()
    _timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    def __call__(self) -> None:
        """Wake them after a write. Called on the event loop."""
        for wake in self.at_once:
            wake()
        if self.soon and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SOON_S, self._tell)

    def _tell(self) -> None:
        self._timer = None
        for wake in self.soon:
            wake()
