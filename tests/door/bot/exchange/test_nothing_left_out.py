"""All records are published, even if something fails in between or somebody else writes in the shard's name."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.exchange.port import ExchangeChanged, ExchangeDown, Message
from moderation.model.facts import CreditChanged, Learnt, ListSpared
from moderation.values.errors import Broken
from moderation.values.ids import UserId
from tests.fakes.exchange import MemoryExchange
from tests.theatre.shard import Shard, apart

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


@dataclass
class FailingExchange(MemoryExchange):
    """An exchange that is down whenever somebody notes how far they have read."""

    fails: bool = False

    async def have_read(self, shard: str, origin: str, era: str, index: int) -> None:
        if self.fails:
            raise ExchangeDown("the exchange is down")
        await super().have_read(shard, origin, era, index)


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


@pytest.mark.parametrize("published_before", [True, False])
async def test_an_era_that_somebody_else_wrote_stops_publishing_until_it_is_gone(
    tmp_path: Path, published_before: bool
) -> None:
    exchange, names = MemoryExchange(), ("one", "two")
    one, two = [await Shard(name, tmp_path / name, exchange, apart(*names)[name]).open() for name in names]
    await one.room({}, [ANN, BEN])
    await two.room({}, [ANN, BEN])
    if published_before:
        await one.pipeline.commit((spared(ANN),))
        await one.exchanged()
        await two.exchanged()
    wrong = Message(one.stores.journal.origin, "another", 1, "{}", "{}")
    await exchange.publish([wrong])
    await one.pipeline.commit((spared(BEN),))
    with pytest.raises(ExchangeChanged):
        await one.publisher.tell()
    del exchange.messages[wrong.origin, wrong.era, wrong.index]
    await one.publisher.tell()
    await two.receiver.look()
    learnt = [fact.subject for fact in two.facts() if isinstance(fact, Learnt)]
    assert learnt == ([ANN, BEN] if published_before else [BEN])
    for shard in (one, two):
        await shard.close()


async def test_how_far_a_log_is_read_is_noted_again_if_that_failed(tmp_path: Path) -> None:
    exchange, names = FailingExchange(), ("one", "two")
    one, two = [await Shard(name, tmp_path / name, exchange, apart(*names)[name]).open() for name in names]
    await one.pipeline.commit((spared(ANN),))
    await one.publisher.flush()
    exchange.fails = True
    await two.receiver.look()
    assert await exchange.read_by(one.stores.journal.origin) == {}
    exchange.fails = False
    await two.again()
    await two.receiver.look()
    assert list(await exchange.read_by(one.stores.journal.origin)) == ["two"]
    for shard in (one, two):
        await shard.close()
