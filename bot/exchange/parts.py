"""Builds the parts of a shard that speak with the other shards.

Left to others: what each part does.
"""

import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from bot.config.config import Config
from bot.matrix.errors import Unreachable
from bot.monitoring.trusted_time import Doubts, unheard
from bot.pipeline.pipeline import Pipeline
from moderation.values.errors import Refused
from storage.database.database import Database
from storage.database.fence import Epoch
from storage.journal.joint_table import JointTable
from storage.journal.journal import Journal

from .communities import Communities
from .joint_days import JointDays
from .port import Exchange, ExchangeChanged, ExchangeDown
from .postgresql import PostgresExchange
from .publisher import Publisher
from .receiver import OtherShard, Receiver
from .silent_shards import SilentShards


class ShardParts:
    """The publisher, the receiver, the communities, and the joint checkpoints."""

    def __init__(
        self,
        exchange: Exchange,
        config: Config,
        pipeline: Pipeline,
        journal: Journal,
        database: Database,
        epoch: Epoch | None = None,
        doubts: Doubts = unheard,
    ) -> None:
        base = config.origin.removesuffix(f"/{config.shard}")
        others = {
            f"{base}/{each.name}": OtherShard(each.name, each.vkey)
            for each in config.shards
            if each.name != config.shard
        }
        crossing = pipeline.processor.crossing
        names = [each.name for each in others.values()]
        self.publisher = Publisher(exchange, pipeline, journal, database, config.shard, names, crossing)
        self._silent_shards = SilentShards(exchange, pipeline, others, time.monotonic)
        self.receiver = Receiver(exchange, pipeline, database, config.shard, config.origin, others)
        self.communities = Communities(exchange, pipeline, database, config.policy, config.shard, config.shards)
        table, vkeys = JointTable(config.place, epoch), {each.name: each.vkey for each in others.values()}
        joint = JointDays(table, pipeline, journal, database, base, config.shard, vkeys, doubts)
        self.joint = joint if others else None

    def works(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """Return the works that run as long as the bot."""
        return (self.publisher.run, self.receiver.run, self.communities.run, self._silent_shards.run)

    @property
    def unheard(self) -> int:
        """The number of other shards that run and publish nothing, or of which nothing more can be taken."""
        return len(self.receiver.stopped | self._silent_shards.silent)

    @property
    def held_back(self) -> int:
        """The number of other shards that publish so much that the rest is read later."""
        return len(self.receiver.held_back)

    @property
    def tell(self) -> Callable[[], Awaitable[None]]:
        """Return a function that publishes everything at once. It raises `Unreachable` while the exchange is down."""

        async def publish() -> None:
            try:
                await self.publisher.flush()
            except ExchangeChanged:
                return  # `Publisher.run` says so and tries again; the caller need not wait
            except ExchangeDown as error:
                raise Unreachable(str(error)) from error

        return publish


def shard_parts(
    config: Config,
    stack: AsyncExitStack,
    pipeline: Pipeline,
    journal: Journal,
    database: Database,
    epoch: Epoch | None,
    doubts: Doubts = unheard,
) -> ShardParts | None:
    """Return what speaks with the other shards, until `stack` is left; None without any. `doubts`: of the clock.

    Raises `Refused` if there are others, and no database through which they could speak.
    """
    if config.place.url is None and len(config.shards) > 1:
        raise Refused("config.shards_on_files", file=config.file)
    if not config.shard or config.place.url is None:
        return None
    exchange = PostgresExchange(config.place, epoch)
    stack.push_async_callback(exchange.close)
    return ShardParts(exchange, config, pipeline, journal, database, epoch, doubts)
