"""The records that other shards may have to learn, as they are written.

Left to others: which of them cross, and publishing them (`bot/exchange/publisher.py`).
"""

import asyncio
from collections.abc import Iterable

from moderation.model.facts import Fact, PartsErased, RecordsPurged
from moderation.shards.crossing import CROSSING


class CrossingRecords:
    """The records that wait; `event` wakes the part that publishes them."""

    def __init__(self, *, sharded: bool) -> None:
        """Set up; in a deployment without shards nothing is noted."""
        self._sharded = sharded
        self.event = asyncio.Event()
        self.erased = True  # whether something may be published still that was erased
        self.pinning = asyncio.Lock()  # held while the first key of another log is recorded
        self._indexes: set[int] = set()

    def written(self, fact: Fact, index: int) -> None:
        """Note a fact that is recorded at `index`."""
        if not self._sharded:
            return
        if isinstance(fact, CROSSING):
            self.add([index])
        elif isinstance(fact, PartsErased | RecordsPurged):
            self.erased = True
            self.event.set()

    def tidied(self) -> None:
        """Note that nothing is published any more that was erased."""
        self.erased = False

    def not_tidied(self) -> None:
        """Note that something may still be published that was erased."""
        self.erased = True

    def add(self, indexes: Iterable[int]) -> None:
        """Note records that may have to be published."""
        self._indexes.update(indexes)
        self.event.set()

    def waiting(self) -> list[int]:
        """Return the records that wait, in order."""
        return sorted(self._indexes)

    def done(self, indexes: Iterable[int]) -> None:
        """Forget records that are published, or not for others."""
        self._indexes.difference_update(indexes)
