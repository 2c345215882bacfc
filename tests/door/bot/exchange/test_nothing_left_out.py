"""What is recorded is published, whatever fails or is written in between, and whoever else writes in its name."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.exchange.port import Message
from moderation.model.facts import CreditChanged, ListSpared
from moderation.values.errors import Broken
from moderation.values.ids import UserId
from tests.fakes.exchange import MemoryExchange
from tests.theatre.shard import Shard

ANN, BEN = UserId("@ann:example.org"), UserId("@ben:example.org")


@dataclass
class SlowExchange(MemoryExchange):
    """An exchange that lets something happen before it keeps what is published first."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def publish(self, messages: Sequence[Message]) -> None:
        first, self.meanwhile = self.meanwhile, None
        if first is not None:
            await first()
        await super().publish(messages)


def spared(user: UserId) -> ListSpared:
    return ListSpared(list="cme", subject=user)


async def test_a_record_with_the_number_of_one_that_failed_is_published(tmp_path: Path) -> None:
    exchange = SlowExchange()
    one = await Shard("one", tmp_path / "one", exchange, {}).open()
    await one.room({}, [ANN, BEN])
    await one.pipeline.commit((spared(ANN),))
    refused = CreditChanged(entry="charge", cost=1, grade="moderate", rule=ANN, left=0, subject=ANN)
    with pytest.raises(Broken):
        await one.pipeline.commit((spared(BEN), refused))
    exchange.meanwhile = lambda: one.pipeline.commit((spared(BEN),))
    for _ in range(2):
        await one.publisher.flush()
    assert [user in str(exchange.messages) for user in (ANN, BEN)] == [True, True]
    await one.close()
