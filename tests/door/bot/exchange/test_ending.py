"""Stories of what an operator takes back in one shard: it is taken back in all, whichever recorded it first."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moderation.model.actions.rooms import Align
from moderation.model.facts import (
    Learnt,
    SanctionStarted,
)
from moderation.values.ids import UserId
from storage import queries
from tests.fakes.exchange import MemoryExchange
from tests.theatre.shard import NOON, Shard, three_shards

ANN, MO = UserId("@ann:example.org"), "@mo:example.org"
BARRED = SanctionStarted(kind="ban", until=NOON + 86_400_000, basis="operator", rule="barred", subject=ANN)


@pytest.fixture
async def shards(tmp_path: Path) -> AsyncIterator[list[Shard]]:
    """Three shards, Ann in a room of each."""
    async with three_shards(tmp_path) as made:
        for shard in made:
            await shard.room({MO: 50}, [ANN])
        yield made


async def bans(shard: Shard) -> list[str]:
    async with shard.stores.database.read() as db:
        return [each.basis for each in await queries.all_in_force(db) if each.kind == "ban"]


async def end(shard: Shard) -> None:
    """End the ban that holds there, as `answerable barred remove` does."""
    async with shard.stores.database.read() as db:
        [held] = await queries.all_in_force(db)
    await shard.pipeline.commit([held.end("command", on=-1)])


async def told(shards: list[Shard], *pairs: tuple[int, int]) -> None:
    """Let what the first of each pair recorded be published, and the second read it."""
    for giver, taker in pairs:
        await shards[giver].publisher.flush()
        await shards[taker].receiver.look()


async def test_a_person_barred_in_one_shard_is_let_in_by_another_in_all(shards: list[Shard]) -> None:
    one, two, three = shards
    await one.pipeline.commit((BARRED,))
    await told(shards, (0, 1))
    await end(two)
    await two.publisher.flush()
    await three.receiver.look()
    assert [await bans(shard) for shard in shards] == [["operator"], [], []]
    await one.receiver.look()
    assert await bans(one) == []
    assert any(isinstance(action, Align) for action in await one.actions())


async def test_an_end_that_is_heard_of_before_the_ban_leaves_none(shards: list[Shard], tmp_path: Path) -> None:
    one, two, three = shards
    await one.pipeline.commit((BARRED,))
    await told(shards, (0, 1))
    await end(two)
    await two.publisher.flush()
    exchange = three.exchange
    assert isinstance(exchange, MemoryExchange)
    late = {key: exchange.messages.pop(key) for key in list(exchange.messages) if key[0] == "example.org/one"}
    await three.receiver.look()
    exchange.messages |= late
    await three.receiver.look()
    assert [fact.what for fact in three.facts() if isinstance(fact, Learnt)] == ["admitted", "barred"]
    assert await bans(three) == []
    assert len([fact for fact in one.facts() if isinstance(fact, SanctionStarted)]) == 1
    await one.receiver.look()
