"""The faults of a bot."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Fault:
    """A fault of the bot.

    It is killed before step `kill_at`, or in the middle of it if that is a write and `torn`; or the system refuses
    every step `fail` ("write", "flush" ...) from step `fail_from` on.
    """

    kill_at: int = 0
    torn: bool = False
    after_s: float = 0.0  # killed that long after its start, at whatever step
    fail: str = ""
    fail_from: int = 0

    def order(self) -> dict[str, Any]:
        """Return the fault as part of an order to the victim."""
        return {"kill_at": self.kill_at, "torn": self.torn, "fail": self.fail, "fail_from": self.fail_from}
