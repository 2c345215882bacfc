"""A manager whose word reaches the deployment bans from the rooms of all shards in which they may give the order."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.startup import start_facts
from moderation.model.facts import (
    CaseOpened,
    DataAsked,
    OrderedEverywhere,
    PolicyChanged,
    StatementGiven,
)
from moderation.values.ids import UserId
from storage import queries
from tests.theatre.shard import Shard, three_shards

ANN, BEN, KIM, MO, OP = (UserId(f"@{name}:example.org") for name in ("ann", "ben", "kim", "mo", "op"))
# A room without a named community belongs to all: the decisions of its people reach the deployment.
SETTINGS = (
    '[communities]\ndefault = "deployment"\n[[communities.named]]\nname = "garden"\nrooms = ["!garden:example.org"]\n'
)


@pytest.fixture
async def shards(tmp_path: Path) -> AsyncIterator[list[Shard]]:
    """Three shards; Mo manages a room of the first and two of the second, of which one is in a community by itself."""
    async with three_shards(tmp_path, SETTINGS) as made:
        one, two, three = made
        for shard in made:
            started = await start_facts(shard.config.policy, shard.stores)
            await shard.pipeline.commit([fact for fact in started if isinstance(fact, PolicyChanged)])
        await one.room({MO: 50, KIM: 50}, [ANN, BEN, OP])
        await two.room({MO: 50, KIM: 50}, [ANN, BEN, OP])
        await two.room({MO: 50, KIM: 50}, [ANN, BEN, OP], name="garden")
        await three.room({KIM: 50}, [MO, ANN, BEN, OP])
        yield made


async def banned(shard: Shard) -> list[tuple[str, str]]:
    """Return who is banned there, and in which room."""
    async with shard.stores.database.read() as db:
        held = await queries.all_in_force(db)
    return sorted((each.subject, str(each.room)) for each in held if each.kind == "ban")


async def exchanged(*shards: Shard) -> None:
    for _ in range(2):
        for shard in shards:
            await shard.exchanged()


async def ordered(shards: list[Shard], whom: str = ANN) -> None:
    """Let Mo order the ban in the first shard, and all hear of it."""
    await shards[0].order(shards[0].first_room, MO, f"!ban {whom} everywhere sells things")
    await exchanged(*shards)


async def test_it_holds_where_the_manager_may_order_it_and_nowhere_else(shards: list[Shard]) -> None:
    await ordered(shards)
    one, two, three = shards
    assert [await banned(shard) for shard in shards] == [[(ANN, one.first_room)], [(ANN, two.first_room)], []]
    [case] = [fact for fact in two.facts() if isinstance(fact, CaseOpened)]
    assert (case.by, case.reason, case.room) == (MO, "sells things", two.first_room)
    assert [fact.n for fact in two.facts() if isinstance(fact, StatementGiven)] == [case.n]
    assert not any(isinstance(fact, CaseOpened | OrderedEverywhere) for fact in three.facts())


async def test_the_manager_is_asked_before_it_though_there_is_one_room_here(shards: list[Shard]) -> None:
    one = shards[0]
    await one.say(one.first_room, MO, f"!ban {ANN} everywhere sells things")
    await exchanged(*shards)
    assert [await banned(shard) for shard in shards] == [[], [], []]
    [asked] = [fact for fact in one.facts() if isinstance(fact, DataAsked)]
    assert (asked.what, asked.subject) == ("everywhere", MO)


async def test_whom_a_manager_may_not_ban_in_a_room_stays_there(shards: list[Shard]) -> None:
    """Kim has the same level as Mo in the rooms of the first two; Ben is above Mo in a new room of the third."""
    one, _two, three = shards
    high = await three.room({MO: 50, BEN: 75, KIM: 50}, [ANN], name="high")
    await ordered(shards, BEN)
    assert await banned(three) == []
    await ordered(shards, ANN)
    assert await banned(three) == [(ANN, high)]
    assert (BEN, one.first_room) in await banned(one)
