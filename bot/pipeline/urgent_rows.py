"""The way of urgent rows past the outbox: the pipeline has just recorded them, the dispatcher begins them at once.

Rules kept here:
- While no dispatcher runs, nothing is begun early: the rows wait in the outbox like all others.
- The pipeline can wait until what was begun is answered. It does not wait until that is recorded, so it may do so
  inside a unit of work, while nobody else can record anything.

Left to others: which rows are urgent (`process_facts.py`), how many may go at once (`bot/outbox/dispatcher.py`).
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from storage.outbox import OutboxRow


class UrgentRows:
    """The rows of one pipeline on their way to its dispatcher."""

    def __init__(self) -> None:
        self._takers: list[Callable[[Sequence[OutboxRow]], None]] = []  # the running dispatcher
        self._unanswered: set[asyncio.Future[None]] = set()

    def hand_on(self, rows: Sequence[OutboxRow]) -> None:
        """Let the dispatcher begin rows that are recorded, and will soon be in the outbox."""
        for take in self._takers:
            take(rows)

    async def answered(self, within_s: float) -> None:
        """Wait until the urgent requests that are being sent now are answered, but at most `within_s` seconds."""
        if self._unanswered:
            await asyncio.wait(self._unanswered, timeout=within_s)

    @contextmanager
    def taken_by(self, take: Callable[[Sequence[OutboxRow]], None]) -> Iterator[None]:
        """Hand rows on to `take` inside this block."""
        self._takers.append(take)
        try:
            yield
        finally:
            self._takers.remove(take)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Count an urgent request as unanswered inside this block."""
        answer = asyncio.get_running_loop().create_future()
        self._unanswered.add(answer)
        try:
            yield
        finally:
            self._unanswered.discard(answer)
            answer.set_result(None)
