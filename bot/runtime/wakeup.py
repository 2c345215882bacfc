"""Wakes whoever may have something to do after something was written.

Rules kept here: who acts is woken at once; who looks whether time or people ask for something is woken a little later,
once for all that was written meanwhile, so that in a flood their looking does not stand between a message and its
redaction.
Left to others: what each of them does.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

SOON_S = 0.2


@dataclass(slots=True)
class Wake:
    """Filled in once the sleepers exist."""

    at_once: tuple[Callable[[], None], ...] = ()
    soon: tuple[Callable[[], None], ...] = ()
    _timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    def __call__(self) -> None:
        """Something was written. Called on the event loop."""
        for wake in self.at_once:
            wake()
        if self.soon and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SOON_S, self._tell)

    def _tell(self) -> None:
        self._timer = None
        for wake in self.soon:
            wake()
