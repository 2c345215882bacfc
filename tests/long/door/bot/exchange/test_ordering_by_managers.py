"""More of managers' bans in all shards: who ends them, reverses them, and gives them again."""

# ruff: noqa: F401, F811 - a fixture is imported, and given by its name

import pytest

from moderation.model.facts import (
    CaseOpened,
    OrderedEverywhere,
    OrderRecalled,
)
from moderation.values.ids import RoomId
from tests.door.bot.exchange.test_ordering_by_managers import ANN, KIM, MO, OP, banned, exchanged, ordered, shards
from tests.theatre.shard import Shard


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
