"""More of bans from all rooms that are said in a room of one shard: again, over, recalled before they are read."""

# ruff: noqa: F401, F811 - a fixture is imported, and given by its name

import pytest

from moderation.model.facts import (
    CaseOpened,
    DataAsked,
    Learnt,
    OrderedEverywhere,
    OrderRecalled,
    SanctionEnded,
    SanctionStarted,
)
from tests.door.bot.exchange.test_ordering import ANN, BEN, MO, OP, bans, exchanged, shards
from tests.theatre.opened import cut_end
from tests.theatre.shard import Shard
from tests.theatre.state_tables import StateTables

DAY_MS = 86_400_000


async def test_an_order_that_reaches_other_shards_is_asked_about_however_few_rooms_there_are_here(
    shards: list[Shard],
) -> None:
    one, two, _three = shards
    await one.say(one.first_room, OP, f"!ban {ANN} everywhere she sells things")
    await exchanged(*shards)
    assert [await bans(shard) for shard in shards] == [[], [], []]
    [asked] = [fact for fact in one.facts() if isinstance(fact, DataAsked)]
    assert (asked.what, asked.subject) == ("everywhere", OP)
    await one.say(one.first_room, OP, f"!ban {ANN} everywhere {asked.on} she sells things")
    await one.say(one.first_room, OP, f"!ban {BEN} everywhere he does, too")  # within a quarter of an hour
    await exchanged(*shards)
    assert [len(await bans(shard)) for shard in shards] == [2, 2, 2]
    await two.say(two.first_room, OP, f"!unban {ANN} everywhere")
    assert len(await bans(two)) == 2


@pytest.mark.parametrize("where", [0, 1])
async def test_an_order_that_a_room_ended_for_itself_is_given_again_from_any_shard(
    shards: list[Shard], where: int
) -> None:
    two, again = shards[1], shards[where]
    await shards[0].order(shards[0].first_room, OP, f"!ban {ANN} everywhere she sells things")
    await exchanged(*shards)
    await two.say(two.first_room, MO, f"!unban {ANN}")
    await again.order(again.first_room, OP, f"!ban {ANN} everywhere she sells again")
    await exchanged(*shards)
    assert [len(await bans(shard)) for shard in shards] == [2, 1, 2]
    for shard in shards:
        opened = [fact.reason for fact in shard.facts() if isinstance(fact, CaseOpened)]
        assert opened == ["she sells things", "she sells again"]
    await shards[2].order(shards[2].first_room, OP, f"!unban {ANN} everywhere")
    await exchanged(*shards)
    assert [await bans(shard) for shard in shards] == [[], [], []]


async def test_of_an_order_that_was_given_again_the_reversal_of_either_leaves_the_other_in_all(
    shards: list[Shard],
) -> None:
    one, two, _three = shards
    await one.order(one.first_room, OP, f"!ban {ANN} everywhere she sells things")
    await exchanged(*shards)
    await two.say(two.first_room, MO, f"!unban {ANN}")
    await one.order(one.first_room, OP, f"!ban {ANN} everywhere she sells again")
    await exchanged(*shards)
    first, second = [fact.n for fact in one.facts() if isinstance(fact, CaseOpened)]
    await one.say(one.first_room, OP, f"!dismiss {first} it was somebody else")
    await exchanged(*shards)
    assert [len(await bans(shard)) for shard in shards] == [1, 1, 1]
    await one.say(one.first_room, OP, f"!dismiss {second} it was somebody else")
    await exchanged(*shards)
    assert [len(await bans(shard)) for shard in shards] == [0, 0, 0]


async def test_a_reversal_of_its_case_where_it_was_given_ends_it_in_all(shards: list[Shard]) -> None:
    one = shards[0]
    await one.order(one.first_room, OP, f"!ban {ANN} everywhere she sells things")
    await exchanged(*shards)
    [n] = [fact.n for fact in one.facts() if isinstance(fact, CaseOpened)]
    await one.say(one.first_room, OP, f"!dismiss {n} it was somebody else")
    await exchanged(*shards)
    assert [await bans(shard) for shard in shards] == [[], [], []]
    ended = [fact.why for shard in shards for fact in shard.facts() if isinstance(fact, SanctionEnded)]
    assert ended == ["reversed"] * 3


async def test_an_operator_bans_in_all_shards_whom_the_room_had_banned_itself(shards: list[Shard]) -> None:
    one, _two, _three = shards
    await one.say(one.first_room, MO, f"!ban {ANN} for this room")
    await one.order(one.first_room, OP, f"!ban {ANN} everywhere she sells things")
    await exchanged(*shards)
    assert [len(await bans(shard)) for shard in shards] == [1, 1, 1]


async def test_a_ban_whose_time_is_over_is_ordered_again_though_the_room_bans_by_itself(shards: list[Shard]) -> None:
    one, two, _three = shards
    await one.say(one.first_room, MO, f"!ban {ANN} for this room")
    await one.order(one.first_room, OP, f"!ban {ANN} 1d everywhere she sells things")
    await exchanged(*shards)
    for shard in shards:
        shard.now += 2 * DAY_MS
    await one.order(one.first_room, OP, f"!ban {ANN} 30d everywhere she sells again")
    await exchanged(*shards)
    [_over, again] = [fact for fact in two.facts() if isinstance(fact, OrderedEverywhere)]
    assert again.until > two.now
    assert sum(isinstance(fact, SanctionStarted) for fact in two.facts()) == 2


async def test_what_is_over_cannot_be_ended_once_more(shards: list[Shard]) -> None:
    one = shards[0]
    await one.say(one.first_room, MO, f"!ban {ANN} for this room")
    await one.order(one.first_room, OP, f"!ban {ANN} 1d everywhere she sells things")
    one.now += 2 * DAY_MS
    await one.order(one.first_room, OP, f"!unban {ANN} everywhere")
    assert [fact for fact in one.facts() if isinstance(fact, OrderRecalled)] == []


@pytest.mark.parametrize("at_once", [1, 50])
@pytest.mark.parametrize("where", [0, 1])
async def test_an_order_that_was_recalled_before_it_is_read_is_learnt_and_not_carried_out(
    shards: list[Shard], where: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three = shards
    await one.order(one.first_room, OP, f"!ban {ANN} everywhere she sells things")
    await exchanged(one, two)
    await shards[where].order(shards[where].first_room, OP, f"!unban {ANN} everywhere")
    await exchanged(one, two)
    monkeypatch.setattr("bot.exchange.receiver._AT_ONCE", at_once)
    await exchanged(*shards)
    assert [fact.what for fact in three.facts() if isinstance(fact, Learnt)] == ["ordered", "recalled"]
    assert not any(isinstance(fact, CaseOpened | SanctionStarted | OrderedEverywhere) for fact in three.facts())


async def test_an_order_that_was_recalled_is_not_carried_out_by_a_start_after_a_crash_right_after_it(
    shards: list[Shard],
) -> None:
    """The log has the order, the tables do not, and the end is not learnt yet."""
    one, _two, three = shards
    before = StateTables(three.config.place).copy()
    await one.order(one.first_room, OP, f"!ban {ANN} everywhere she sells things")
    await one.order(one.first_room, OP, f"!unban {ANN} everywhere")
    await exchanged(*shards)
    behind = three.stores.journal.size - _index_of_first(three, "ordered") - 1
    await three.close()
    StateTables(three.config.place).put_back(before)
    cut_end(three.config.place, behind)
    await three.open()
    assert [fact.what for fact in three.facts() if isinstance(fact, Learnt)] == ["ordered"]
    assert not any(isinstance(fact, CaseOpened | SanctionStarted | OrderedEverywhere) for fact in three.facts())
    await exchanged(*shards)
    assert [fact.what for fact in three.facts() if isinstance(fact, Learnt)] == ["ordered", "recalled"]
    assert not any(isinstance(fact, CaseOpened | SanctionStarted | OrderedEverywhere) for fact in three.facts())


def _index_of_first(shard: Shard, what: str) -> int:
    read = (record for record in shard.stores.journal.read() if record.kind == "learnt")
    return next(record.index for record in read if record.fields["what"] == what)


async def test_an_order_that_is_read_once_its_time_is_over_is_learnt_and_not_carried_out(shards: list[Shard]) -> None:
    one, two, _three = shards
    await one.order(one.first_room, OP, f"!ban {ANN} 1d everywhere she sells things")
    two.now += 2 * DAY_MS
    await exchanged(*shards)
    assert [fact.what for fact in two.facts() if isinstance(fact, Learnt)] == ["ordered"]
    assert not any(isinstance(fact, CaseOpened | SanctionStarted | OrderedEverywhere) for fact in two.facts())
    assert [len(await bans(shard)) for shard in shards] == [1, 0, 1]


async def test_another_order_of_the_same_reading_is_carried_out(shards: list[Shard]) -> None:
    one, two, _three = shards
    await one.order(one.first_room, OP, f"!ban {ANN} everywhere she sells things")
    await one.order(one.first_room, OP, f"!unban {ANN} everywhere")
    await one.order(one.first_room, OP, f"!ban {ANN} everywhere she sells again")
    await exchanged(*shards)
    [case] = [fact for fact in two.facts() if isinstance(fact, CaseOpened)]
    assert case.reason == "she sells again"
    assert [len(await bans(shard)) for shard in shards] == [1, 1, 1]
