"""The intake of events: what the pipeline passes them through, made before it and for it.

Left to others: what the parts that run do with what is kept for them (`key_upkeep.py`, `emoji_dialogue.py`,
`late_events.py`).
"""

from collections.abc import Sequence

from bot.crypto.encrypting_client import SealedHomeserver
from bot.crypto.machine import CryptoMachine
from bot.runtime.clock import Clock
from moderation.values.events import Received

from .comparison_inbox import ComparisonInbox
from .late_events import UnreadQueue
from .service import Encryption


class Intake:
    """Decrypts events before they are recorded, and keeps those that other parts wait for (`EventReader`)."""

    def __init__(self, machine: CryptoMachine, homeserver: SealedHomeserver, clock: Clock) -> None:
        self.encryption = Encryption(machine, homeserver, clock)
        self.comparisons = ComparisonInbox(homeserver.user)
        self.unread = UnreadQueue()

    async def read(self, events: Sequence[Received]) -> Sequence[Received]:
        """Return the events, decrypted as far as possible now."""
        return await self.encryption.read(events)

    def recorded(self, events: Sequence[Received]) -> None:
        """Keep what concerns a comparison, and what was removed before we read it."""
        self.comparisons.recorded(events)
        self.unread.add(events)
