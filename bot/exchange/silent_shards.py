"""Notices other shards that tell nothing: their logs grow, and they no longer publish what the others have to know.

Rules kept here:
- Each shard notes up to which record it has published all that is for others, also if nothing was. One that notes
  nothing new for ten minutes, while its log grows, withholds; operators are told once, until it goes on.
- A shard that does not run is silent, and withholds nothing. One of a version that notes nothing is not judged.
- What a shard notes is its own word: whether it left a record out cannot be seen from outside.

Left to others: a message that is missing between others (`checking.py`), noting it (`publisher.py`).
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
LOOK_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class _LastNote:
    told: PublishedUpTo  # as it was when it noted something new
    since_s: float


class SilentShards:
    """What is seen of the other shards, by the names of their logs."""

    def __init__(
        self, exchange: Exchange, pipeline: Pipeline, others: Collection[str], now_s: Callable[[], float]
    ) -> None:
        """Set up; `now_s` is a clock that never goes back."""
        self._exchange = exchange
        self._pipeline = pipeline
        self._others = others
        self._now_s = now_s
        self._seen: dict[str, _LastNote] = {}
        self.silent: set[str] = set()  # logs of shards that withhold

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Compare what each shard notes with its log, and tell of one that withholds. Nothing while it is down."""
        try:
            told = await self._exchange.told()
        except ExchangeDown:
            return  # which the receiver says
        for origin in self._others:
            if (now := told.get(origin)) is not None:
                await self._compare(origin, now)

    async def _compare(self, origin: str, now: PublishedUpTo) -> None:
        seen = self._seen.get(origin)
        if seen is None or (now.era, now.upto) != (seen.told.era, seen.told.upto) or now.size < seen.told.size:
            self._seen[origin] = _LastNote(now, self._now_s())
            if origin in self.silent:
                self.silent.discard(origin)
                log.info("exchange_told_again", origin=origin)
            return
        grew = now.size > seen.told.size and now.untold > 0
        if grew and self._now_s() - seen.since_s >= PATIENCE_S and origin not in self.silent:
            self.silent.add(origin)
            log.error("exchange_withheld", origin=origin, records=now.untold)
            await self._pipeline.commit(actions=[tell(line("shards.withheld", origin=Code(origin), n=now.untold))])
