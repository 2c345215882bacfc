"""Notes records that other shards may have to learn, as they are written.

Left to others: which of them cross, and publishing them (`bot/exchange/publisher.py`).
"""

import asyncio
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from moderation.model.facts import Fact, PartsErased, RecordsPurged
from moderation.shards.crossing import CROSSING


class CrossingRecords:
    """Holds the records that wait to be published. `event` wakes the part that publishes them."""

    def __init__(self, *, sharded: bool) -> None:
        """Set up; in a deployment without shards nothing is noted."""
        self._sharded = sharded
        self.event = asyncio.Event()
        self.erased = True  # whether something may be published still that was erased
        self.pinning = asyncio.Lock()  # held while the first key of another log is recorded
        self._indexes: list[int] = []  # in order, each once; there may be a million at the first start of a shard

    def written(self, fact: Fact, index: int) -> None:
        """Note a fact that is being recorded at `index`; if that fails, another one is recorded there later."""
        if not self._sharded:
            return
        if isinstance(fact, CROSSING):
            place = bisect_left(self._indexes, index)
            if self._indexes[place : place + 1] != [index]:
                self._indexes.insert(place, index)
            self.event.set()
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
        self._indexes = sorted({*self._indexes, *indexes})
        self.event.set()

    def first(self, most: int, below: int) -> Sequence[int]:
        """Return the first records that wait, in order: at most `most`, with indexes less than `below`."""
        return self._indexes[: min(most, bisect_left(self._indexes, below))]

    def done(self, indexes: Sequence[int]) -> None:
        """Forget records, given in order, that are published or not for others."""
        if indexes:
            end, gone = bisect_left(self._indexes, indexes[-1] + 1), set(indexes)
            self._indexes[:end] = [each for each in self._indexes[:end] if each not in gone]
