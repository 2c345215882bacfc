"""Notices other shards that run and publish nothing: their logs grow, and they do not note that others may read them.

Rules kept here:
- Each shard notes up to which record it has published all that is for others, even if that was nothing. A shard
  withholds if its log grew beyond the note, still grows `PATIENCE_S` later, and has the same note `RESTART_S` after
  that. Operators are told once, until it notes something new.
- Time counts from the first look that finds records beyond the note, not from the note: a quiet shard notes nothing.
- A shard that does not run publishes nothing, and does not withhold. One that starts again has `RESTART_S` to read
  what was said meanwhile, and to publish. A shard of a version that notes nothing is not judged.
- A note is the word of its shard: nobody else can see whether that shard left a record out.

Left to others: a message that is missing between others (`checking.py`), writing the note (`publisher.py`).
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog

from bot.pipeline.pipeline import Pipeline
from moderation.values.notices import Code, line

from .port import Exchange, ExchangeDown, PublishedUpTo
from .refusals import tell

log = structlog.get_logger()

PATIENCE_S = 600.0
RESTART_S = 300.0
LOOK_EVERY_S = 60.0


@dataclass(slots=True)
class _SeenShard:
    """The last look at a shard, and since when it withholds, in seconds."""

    note: PublishedUpTo
    since_s: float | None = None  # the first look that found records beyond the note
    late_size: int | None = None  # size of its log at the first look `PATIENCE_S` later
    grown_s: float | None = None  # the first look after that which found the log larger


class SilentShards:
    """Watches the other shards, by the names of their logs."""

    def __init__(
        self, exchange: Exchange, pipeline: Pipeline, others: Collection[str], now_s: Callable[[], float]
    ) -> None:
        """Set up; `now_s` is a clock that never goes back."""
        self._exchange = exchange
        self._pipeline = pipeline
        self._others = others
        self._now_s = now_s
        self._seen: dict[str, _SeenShard] = {}
        self.silent: set[str] = set()  # logs of shards that withhold

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Compare the note of each shard with the size of its log, and tell of shards that withhold.

        Do nothing while the exchange is down.
        """
        try:
            told = await self._exchange.told()
        except ExchangeDown:
            return  # the receiver says so
        for origin in self._others:
            if (now := told.get(origin)) is not None:
                await self._compare(origin, now)

    async def _compare(self, origin: str, now: PublishedUpTo) -> None:
        seen = self._seen.get(origin)
        if seen is None or (now.era, now.upto) != (seen.note.era, seen.note.upto) or now.size < seen.note.size:
            seen = self._seen[origin] = _SeenShard(now)
            if origin in self.silent:
                self.silent.discard(origin)
                log.info("exchange_told_again", origin=origin)
        seen.note = now
        if now.untold and origin not in self.silent and self._withholds(seen):
            self.silent.add(origin)
            log.error("exchange_withheld", origin=origin, records=now.untold)
            await self._pipeline.commit(actions=[tell(line("shards.withheld", origin=Code(origin), n=now.untold))])

    def _withholds(self, seen: _SeenShard) -> bool:
        """Tell whether a shard with records beyond its note withholds, and note what this look adds."""
        now_s = self._now_s()
        if seen.since_s is None:
            seen.since_s = now_s
        elif seen.late_size is None:
            if now_s - seen.since_s >= PATIENCE_S:
                seen.late_size = seen.note.size
        elif seen.grown_s is None:
            if seen.note.size > seen.late_size:
                seen.grown_s = now_s
        else:
            return now_s - seen.grown_s >= RESTART_S
        return False
