"""An exchange in memory, which can be down, lose and change what is in it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.exchange.port import ExchangeDown, Message, PublishedUpTo


@dataclass
class MemoryExchange:
    """The exchange that all shards of one test share."""

    messages: dict[tuple[str, str, int], Message] = field(default_factory=dict)
    read: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    communities: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)  # of logs, as the table of their lines shows them
    down: bool = False
    _waiting: set[asyncio.Event] = field(default_factory=set)

    async def publish(self, messages: Sequence[Message]) -> None:
        self._must_be_up()
        for message in messages:
            self.messages[message.origin, message.era, message.index] = message
        for event in self._waiting:
            event.set()

    async def last(self, origin: str) -> Message | None:
        own = await self._own(origin)
        return own[-1] if own else None

    async def eras(self, origin: str) -> Sequence[str]:
        return list(dict.fromkeys(message.era for message in await self._own(origin)))

    async def after(self, origin: str, era: str, index: int, most: int) -> Sequence[Message]:
        own = await self._own(origin)
        return [message for message in own if message.era == era and message.index > index][:most]

    async def _own(self, origin: str) -> Sequence[Message]:
        self._must_be_up()
        own = [message for message in self.messages.values() if message.origin == origin]
        eras = list(dict.fromkeys(message.era for message in own))
        return sorted(own, key=lambda message: (eras.index(message.era), message.index))

    async def have_read(self, shard: str, origin: str, era: str, index: int) -> None:
        self._must_be_up()
        self.read[shard, origin] = (era, index)

    async def told(self) -> dict[str, PublishedUpTo]:
        self._must_be_up()
        own = ((log, place) for (shard, log), place in self.read.items() if log.endswith(f"/{shard}"))
        return {log: PublishedUpTo(era, index + 1, self.sizes.get(log, 0)) for log, (era, index) in own}

    async def read_by(self, origin: str) -> dict[str, tuple[str, int]]:
        self._must_be_up()
        return {shard: place for (shard, log), place in self.read.items() if log == origin}

    async def claim(self, shard: str, communities: Sequence[str]) -> dict[str, str]:
        self._must_be_up()
        for each in [each for each, owner in self.communities.items() if owner == shard and each not in communities]:
            del self.communities[each]
        owners = {each: self.communities.setdefault(each, shard) for each in communities}
        return {each: owner for each, owner in owners.items() if owner != shard}

    async def claims(self) -> dict[str, str]:
        self._must_be_up()
        return dict(self.communities)

    async def woken(self, timeout_s: float) -> None:
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(event)

    async def close(self) -> None:
        pass

    def _must_be_up(self) -> None:
        if self.down:
            raise ExchangeDown("the exchange is down")
