"""A shard that publishes without end delays itself alone: what is too much is read later, in order, and once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.exchange import allowance, receiver, refusals
from moderation.model.actions.telling import Tell
from moderation.model.facts import Learnt, ListSpared
from moderation.values.ids import UserId
from tests.fakes.exchange import MemoryExchange
from tests.theatre.shard import Shard, origin_of, three_shards

OP = UserId("@op:example.org")
HOUR_MS = 3_600_000


@pytest.fixture
async def shards(tmp_path: Path) -> AsyncIterator[list[Shard]]:
    async with three_shards(tmp_path) as made:
        for shard in made:
            await shard.room({OP: 100}, [])
        yield made


def people(count: int) -> list[UserId]:
    return [UserId(f"@p{number}:example.org") for number in range(count)]


async def publish(shard: Shard, count: int, *, apart: bool = False) -> list[UserId]:
    """Publish that so many people are spared, each with a checkpoint of its own if `apart`."""
    spared = people(count)
    for each in spared:
        await shard.pipeline.commit((ListSpared(list="cme", subject=each),))
        if apart:
            await shard.publisher.flush()
    await shard.publisher.flush()
    return spared


def learnt(shard: Shard, of: str = "one") -> list[str]:
    return [fact.subject for fact in shard.facts() if isinstance(fact, Learnt) and fact.origin == origin_of(of)]


async def told(shard: Shard) -> list[str]:
    lines = [line for each in await shard.actions() if isinstance(each, Tell) for line in each.lines]
    return [line.key.removeprefix("shards.") for line in lines if line.key.startswith("shards.")]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "_AT_ONCE", 2)
    monkeypatch.setattr(receiver, "MOST_A_TURN", 3)


@pytest.mark.usefixtures("small")
async def test_a_turn_takes_so_much_of_each_log_and_the_next_one_goes_on(shards: list[Shard]) -> None:
    one, two, three = shards
    spared = await publish(one, 7)
    await publish(three, 2)
    for count in (3, 6, 7, 7):
        await two.receiver.look()
        assert learnt(two) == spared[:count]
        assert len(learnt(two, "three")) == 2
    assert two.receiver.held_back == []


async def test_nothing_is_lost_or_doubled_by_a_start_in_a_flood(
    shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "MOST_AN_HOUR", 3)
    one, two, _three = shards
    spared = await publish(one, 8)
    for count in (3, 6, 8):
        await two.receiver.look()
        assert learnt(two) == spared[:count]
        await two.again()


async def test_of_refused_messages_only_so_many_are_told_and_remembered(
    shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MOST_TOLD", 3)
    one, two, _three = shards
    await publish(one, 9, apart=True)
    exchange = two.exchange
    assert isinstance(exchange, MemoryExchange)
    for place, each in list(exchange.messages.items()):
        exchange.messages[place] = replace(each, body=each.body.replace("@p", "@q"))
    for _ in range(3):
        await two.receiver.look()
    assert sorted(await told(two)) == ["refused-many", "refused-part", "refused-part", "refused-part"]
    two.now += HOUR_MS
    await two.receiver.look()
    assert (await told(two)).count("refused-part") == 6
