"""A shard that runs and tells nothing is noticed by the others; one that is quiet, or stopped, is not accused."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.exchange.port import ExchangeChanged
from bot.exchange.silent_shards import PATIENCE_S, RESTART_S, SilentShards
from moderation.model.actions.telling import Tell
from moderation.values.ids import RoomId
from tests.fakes.exchange import MemoryExchange
from tests.theatre.shard import Shard, apart, origin_of

ANN, MO = "@ann:example.org", "@mo:example.org"
ONE = origin_of("one")


class Two:
    """The first shard, which says things, and the second, which looks."""

    def __init__(self, one: Shard, two: Shard, exchange: MemoryExchange) -> None:
        self.one, self.two, self.exchange = one, two, exchange
        self.watch = SilentShards(exchange, two.pipeline, [ONE], lambda: two.now / 1000)

    async def talk(self, words: str = "hello") -> None:
        await self.one.say(RoomId("!one1:example.org"), ANN, words)

    async def looks(self, *, after_s: float = 60) -> None:
        self.two.now += int(after_s * 1000)
        self.exchange.sizes[ONE] = self.one.stores.journal.size
        await self.watch.look()

    async def withholds(self) -> None:
        """Let the first shard run and publish nothing, for as long as it takes until it is told of, and longer."""
        for _ in range(25):
            await self.talk()
            await self.looks()

    async def told(self) -> list[str]:
        lines = [line for each in await self.two.actions() if isinstance(each, Tell) for line in each.lines]
        return [line.key for line in lines if line.key.startswith("shards.")]


@pytest.fixture
async def shards(tmp_path: Path) -> AsyncIterator[Two]:
    exchange = MemoryExchange()
    others = apart("one", "two")
    one, two = [await Shard(name, tmp_path / name, exchange, others[name]).open() for name in ("one", "two")]
    for shard in (one, two):
        await shard.room({MO: 100}, [ANN])
    yield Two(one, two, exchange)
    for shard in (one, two):
        await shard.close()


async def test_a_shard_whose_log_grows_while_it_tells_nothing_is_told_of_once_until_it_goes_on(shards: Two) -> None:
    await shards.one.publisher.tell()
    await shards.looks()
    await shards.withholds()
    assert shards.watch.silent == {ONE}
    assert await shards.told() == ["shards.withheld"]
    await shards.one.publisher.tell()
    await shards.looks()
    assert shards.watch.silent == set()
    await shards.withholds()
    assert await shards.told() == ["shards.withheld"] * 2


async def test_a_shard_in_which_nothing_is_for_others_is_not_accused(shards: Two) -> None:
    for _ in range(3):
        await shards.talk()
        await shards.one.publisher.tell()
        await shards.looks(after_s=PATIENCE_S)
    assert shards.exchange.messages == {}
    assert (shards.watch.silent, await shards.told()) == (set(), [])


async def test_a_shard_that_was_quiet_for_long_is_not_accused_of_its_next_record(shards: Two) -> None:
    await shards.one.publisher.tell()
    for _ in range(3):
        await shards.looks(after_s=PATIENCE_S)
        await shards.talk()
        await shards.looks(after_s=5)  # before it notes that it has published
        await shards.one.publisher.tell()
        await shards.looks(after_s=55)
    assert (shards.watch.silent, await shards.told()) == (set(), [])


async def test_a_shard_that_stops_with_records_to_publish_is_not_accused_when_it_starts(shards: Two) -> None:
    await shards.one.publisher.tell()
    for _ in range(2):  # it is stopped before it notes these
        await shards.talk()
        await shards.looks()
    for _ in range(3):
        await shards.looks(after_s=PATIENCE_S)
    for _ in range(2):  # it reads what was said meanwhile, and then publishes
        await shards.talk()
        await shards.looks(after_s=RESTART_S / 3)
    await shards.one.publisher.tell()
    await shards.looks(after_s=PATIENCE_S)
    assert (shards.watch.silent, await shards.told()) == (set(), [])


async def test_a_shard_that_says_little_and_publishes_nothing_is_told_of(shards: Two) -> None:
    await shards.one.publisher.tell()
    for _ in range(4):
        await shards.talk()
        await shards.looks(after_s=2 * PATIENCE_S)
    assert await shards.told() == ["shards.withheld"]


async def test_a_shard_that_is_stopped_is_not_accused_of_its_last_records(shards: Two) -> None:
    await shards.one.publisher.tell()
    await shards.talk()
    for _ in range(4):
        await shards.looks(after_s=PATIENCE_S)
    assert (shards.watch.silent, await shards.told()) == (set(), [])


async def test_a_shard_of_a_version_that_notes_nothing_is_not_accused(shards: Two) -> None:
    for _ in range(3):
        await shards.talk()
        await shards.looks(after_s=PATIENCE_S)
    assert (shards.watch.silent, await shards.told()) == (set(), [])


async def test_while_the_exchange_is_down_nobody_is_accused(shards: Two) -> None:
    await shards.one.publisher.tell()
    await shards.looks()
    shards.exchange.down = True
    await shards.talk()
    await shards.looks(after_s=PATIENCE_S)
    assert shards.watch.silent == set()


async def test_a_log_that_lost_what_was_published_does_not_say_that_all_is(shards: Two, tmp_path: Path) -> None:
    await shards.one.close()
    shards.one.copy_to(tmp_path / "backup")
    await shards.one.open()
    await shards.talk("an elephant")
    await shards.one.publisher.tell()
    before = await shards.exchange.told()
    await shards.one.close()
    shards.one.replace_by(tmp_path / "backup")
    await shards.one.open()
    with pytest.raises(ExchangeChanged):
        await shards.one.publisher.tell()
    assert await shards.exchange.told() == before
