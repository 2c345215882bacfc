"""A manager whose word reaches the deployment bans from the rooms of all shards in which they may give the order."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.startup import start_facts
from moderation.model.facts import (
    CaseOpened,
    DataAsked,
    OrderedEverywhere,
    OrderRecalled,
    PolicyChanged,
    StatementGiven,
)
from moderation.values.ids import RoomId, UserId
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


@pytest.mark.parametrize("where", [0, 1])
async def test_who_gave_it_ends_it_in_all_from_any_shard(shards: list[Shard], where: int) -> None:
    await ordered(shards)
    await shards[where].order(shards[where].first_room, MO, f"!unban {ANN} everywhere")
    await exchanged(*shards)
    assert [await banned(shard) for shard in shards] == [[], [], []]


@pytest.mark.parametrize("where", [0, 1])
async def test_another_manager_ends_it_only_in_the_rooms_of_their_shard(shards: list[Shard], where: int) -> None:
    await ordered(shards)
    await shards[where].order(shards[where].first_room, KIM, f"!unban {ANN} everywhere")
    await exchanged(*shards)
    assert [len(await banned(shard)) for shard in shards] == [int(where != 0), int(where != 1), 0]
    assert not any(isinstance(fact, OrderRecalled) for shard in shards for fact in shard.facts())


async def test_an_operator_ends_what_a_manager_ordered_in_another_shard(shards: list[Shard]) -> None:
    await ordered(shards)
    await shards[1].order(shards[1].first_room, OP, f"!unban {ANN} everywhere")
    await exchanged(*shards)
    assert [await banned(shard) for shard in shards] == [[], [], []]


async def dismissed(there: Shard, by: str) -> None:
    [n] = [fact.n for fact in there.facts() if isinstance(fact, CaseOpened)]
    await there.say(there.first_room, by, f"!dismiss {n} it was somebody else")


@pytest.mark.parametrize("where", [0, 1])
async def test_a_reversal_by_who_decided_reaches_as_far_as_their_case(shards: list[Shard], where: int) -> None:
    """Of the case in which it was given it ends the order in all; of the case in another shard, the bans there."""
    await ordered(shards)
    await dismissed(shards[where], MO)
    await exchanged(*shards)
    assert [len(await banned(shard)) for shard in shards] == [int(where != 0), 0, 0]


@pytest.mark.parametrize("where", [0, 1])
async def test_an_appeal_that_an_operator_grants_ends_it_in_all(shards: list[Shard], where: int) -> None:
    await ordered(shards)
    await shards[where].say(shards[where].first_room, ANN, "!appeal 1 it was somebody else")
    await dismissed(shards[where], OP)
    await exchanged(*shards)
    assert [await banned(shard) for shard in shards] == [[], [], []]


async def test_whom_a_manager_may_not_ban_in_a_room_stays_there(shards: list[Shard]) -> None:
    """Kim has the same level as Mo in the rooms of the first two; Ben is above Mo in a new room of the third."""
    one, _two, three = shards
    high = await three.room({MO: 50, BEN: 75, KIM: 50}, [ANN], name="high")
    await ordered(shards, BEN)
    assert await banned(three) == []
    await ordered(shards, ANN)
    assert await banned(three) == [(ANN, high)]
    assert (BEN, one.first_room) in await banned(one)


async def test_a_manager_orders_it_again_where_a_room_ended_it_for_itself(shards: list[Shard]) -> None:
    await ordered(shards)
    two = shards[1]
    await two.say(two.first_room, KIM, f"!unban {ANN}")
    assert await banned(two) == []
    await ordered(shards)
    assert await banned(two) == [(ANN, two.first_room)]


async def test_an_order_in_a_room_of_a_named_community_stays_in_that_community(shards: list[Shard]) -> None:
    two = shards[1]
    await two.order(RoomId("!garden:example.org"), MO, f"!ban {ANN} everywhere sells things")
    await exchanged(*shards)
    assert [await banned(shard) for shard in shards] == [[], [(ANN, "!garden:example.org")], []]
    assert not any(isinstance(fact, OrderedEverywhere) for shard in shards for fact in shard.facts())
