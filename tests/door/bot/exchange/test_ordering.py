"""A ban from all rooms, said in a room of one shard, holds and ends in the rooms of all."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moderation.model.facts import (
    CaseOpened,
    Learnt,
    OrderedEverywhere,
    SanctionStarted,
)
from moderation.values.ids import UserId
from storage import queries
from tests.fakes.exchange import MemoryExchange
from tests.theatre.shard import Shard, three_shards

ANN, BEN, OP, MO = UserId("@ann:example.org"), "@ben:example.org", "@op:example.org", "@mo:example.org"


@pytest.fixture
async def shards(tmp_path: Path) -> AsyncIterator[list[Shard]]:
    """Three shards; Ann is in a room of the first and of the second, the operator in one of each."""
    async with three_shards(tmp_path) as made:
        for shard in made:
            await shard.room({MO: 50}, [OP, BEN] if shard.name == "three" else [OP, BEN, ANN])
        yield made


async def bans(shard: Shard) -> list[tuple[str, str]]:
    async with shard.stores.database.read() as db:
        return [(each.subject, str(each.room)) for each in await queries.all_in_force(db) if each.kind == "ban"]


async def exchanged(*shards: Shard) -> None:
    for _ in range(2):
        for shard in shards:
            await shard.exchanged()


async def test_an_operators_ban_holds_in_every_shard_as_a_case_of_each(shards: list[Shard]) -> None:
    one, two, three = shards
    await one.order(one.first_room, OP, f"!ban {ANN} 30d everywhere she sells things")
    await exchanged(*shards)
    assert [await bans(shard) for shard in shards] == [[(ANN, shard.first_room)] for shard in shards]
    for shard in (two, three):
        [case] = [fact for fact in shard.facts() if isinstance(fact, CaseOpened)]
        assert (case.by, case.reason, case.room) == (OP, "she sells things", shard.first_room)
        [noted] = [fact for fact in shard.facts() if isinstance(fact, OrderedEverywhere)]
        assert (noted.origin, noted.n) == ("example.org/one", case.n)
    assert len({fact.until for shard in shards for fact in shard.facts() if isinstance(fact, SanctionStarted)}) == 1


@pytest.mark.parametrize("where", [0, 1])
async def test_an_operator_ends_it_in_all_from_any_shard(shards: list[Shard], where: int) -> None:
    await shards[0].order(shards[0].first_room, OP, f"!ban {ANN} everywhere she sells things")
    await exchanged(*shards)
    await shards[where].order(shards[where].first_room, OP, f"!unban {ANN} everywhere")
    await exchanged(*shards)
    assert [await bans(shard) for shard in shards] == [[], [], []]


async def test_an_end_that_is_heard_of_first_leaves_nothing_to_carry_out(shards: list[Shard]) -> None:
    one, two, three = shards
    await one.order(one.first_room, OP, f"!ban {ANN} everywhere she sells things")
    await exchanged(one, two)
    await two.order(two.first_room, OP, f"!unban {ANN} everywhere")
    await two.publisher.flush()
    exchange = three.exchange
    assert isinstance(exchange, MemoryExchange)
    late = {key: exchange.messages.pop(key) for key in list(exchange.messages) if key[0] == "example.org/one"}
    await three.receiver.look()
    exchange.messages |= late
    await exchanged(*shards)
    assert [fact.what for fact in three.facts() if isinstance(fact, Learnt)] == ["recalled", "ordered"]
    assert [fact for fact in three.facts() if isinstance(fact, SanctionStarted)] == []
    assert [await bans(shard) for shard in shards] == [[], [], []]


async def test_a_room_ends_it_for_itself_alone(shards: list[Shard]) -> None:
    one, two, _three = shards
    await one.order(one.first_room, OP, f"!ban {ANN} everywhere she sells things")
    await exchanged(*shards)
    await two.say(two.first_room, MO, f"!unban {ANN}")
    await exchanged(*shards)
    assert [len(await bans(shard)) for shard in shards] == [1, 0, 1]


async def test_a_ban_by_the_people_of_a_community_stays_in_its_shard(shards: list[Shard]) -> None:
    one = shards[0]
    await one.say(one.first_room, MO, f"!ban {ANN} everywhere she sells things")
    await exchanged(*shards)
    assert [len(await bans(shard)) for shard in shards] == [1, 0, 0]
    assert not any(isinstance(fact, Learnt) for shard in shards for fact in shard.facts())
