"""Time that advances consistently, as if it really passed, for tests that set the bot's clock forward."""

from bot.monitoring.trusted_time import TrustedTime
from bot.runtime.clock import Clock


class Together(TrustedTime):
    """All clocks, the machine's and the homeserver's, go with the bot's."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, steady=clock)

    def resume(self, last_ms: int | None) -> None:
        pass

    def hear(self, server_ms: int) -> None:
        super().hear(max(server_ms, self._clock()))
