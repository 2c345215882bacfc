"""The wake-up of the parts that may have something to do after a write.

Rules kept here:
- The dispatcher, which acts, is woken at once.
- Parts that check whether time or people ask for something are woken a little later, once for all that was written
  meanwhile. So in a flood their checks do not delay the redaction of a message.

Left to others: what each of them does. Each waits for its own event, and clears it.
"""

import asyncio

SOON_S = 0.2


class Wake:
    """The events for which these parts wait."""

    def __init__(self) -> None:
        self.dispatcher = asyncio.Event()
        self.scheduler = asyncio.Event()
        self.verification = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> None:
        """Wake them after a write that may have put something into the outbox. Called on the event loop."""
        self.dispatcher.set()
        self.later()

    def later(self) -> None:
        """Wake them after any other write: the dispatcher finds nothing new."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SOON_S, self._wake_others)

    def _wake_others(self) -> None:
        self._timer = None
        self.scheduler.set()
        self.verification.set()
