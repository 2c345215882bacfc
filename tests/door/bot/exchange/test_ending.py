"""Stories of what an operator takes back in one shard: it is taken back in all, whichever recorded it first."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from moderation.model.actions.lists import MatchAgain
from moderation.model.actions.rooms import Align
from moderation.model.builtin_rules import LISTED
from moderation.model.facts import (
    CaseOpened,
    Learnt,
    ListMatched,
    ListSpared,
    RecordsRestored,
    SanctionEnded,
    SanctionStarted,
)
from moderation.values.ids import RoomId, UserId
from storage import queries
from tests.fakes.exchange import MemoryExchange
from tests.theatre.shard import NOON, Shard, three_shards

ANN, MO = UserId("@ann:example.org"), "@mo:example.org"
BARRED = SanctionStarted(kind="ban", until=NOON + 86_400_000, basis="operator", rule="barred", subject=ANN)
SPARED = ListSpared(list="cme", subject=ANN, reason="known to us")


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


async def test_whose_time_is_over_is_told_to_no_other_shard(shards: list[Shard]) -> None:
    one, two, _ = shards
    await one.pipeline.commit((BARRED,))
    await told(shards, (0, 1))
    async with two.stores.database.read() as db:
        [held] = await queries.all_in_force(db)
    await two.pipeline.commit([held.end("time", on=-1)])
    assert await two.publisher.flush() == 0
    assert await bans(one) == ["operator"]


async def test_who_is_spared_in_one_shard_is_let_in_where_another_had_banned_them_for_that_list(
    shards: list[Shard],
) -> None:
    one, two, three = shards
    for shard, name in ((two, "cme"), (three, "other")):
        room = RoomId(f"!{shard.name}1:example.org")
        await shard.pipeline.commit(
            (
                CaseOpened(
                    room=room, n=1, rule=LISTED, grade="serious", decide="auto", state="decided", subject=ANN, due=0
                ),
                ListMatched(
                    room=room, list=name, of="user", advice="ban", step="apply", n=1, key="k", subject=ANN, entity=ANN
                ),
                SanctionStarted(kind="ban", until=NOON + 86_400_000, n=1, basis="list", rule=LISTED, subject=ANN),
            )
        )
    await one.pipeline.commit((SPARED,))
    await told(shards, (0, 1), (0, 2))
    assert [await bans(shard) for shard in shards] == [[], [], ["list"]]
    assert [fact.why for fact in two.facts() if isinstance(fact, SanctionEnded)] == ["command"]


async def test_who_is_no_longer_spared_in_one_shard_is_not_spared_in_any_and_the_lists_are_looked_at(
    shards: list[Shard],
) -> None:
    one, two, three = shards
    for shard in (one, three):  # spared in two shards, before either knew of the other
        await shard.pipeline.commit((SPARED,))
    for giver, taker in ((0, 1), (2, 1), (0, 2), (2, 0)):
        await told(shards, (giver, taker))
    await two.pipeline.commit((ListSpared(step="unspared", list="cme", subject=ANN),))
    await told(shards, (1, 0), (1, 2))
    for shard in shards:
        async with shard.stores.database.read() as db:
            assert await queries.records_sparing(db, ListSpared(step="unspared", list="cme", subject=ANN)) == []
    assert any(isinstance(action, MatchAgain) for action in await three.actions())


async def test_an_end_of_the_lost_time_leaves_the_ban_that_has_its_number_now(
    shards: list[Shard], tmp_path: Path
) -> None:
    one, two, _three = shards
    await one.close()
    one.copy_to(tmp_path / "backup")
    await one.open()
    for _ in range(5):
        await one.say(RoomId("!one1:example.org"), MO, "hello")
    number = one.stores.journal.size
    await one.pipeline.commit((BARRED,))
    await told(shards, (0, 1), (0, 2))
    await one.close()
    one.replace_by(tmp_path / "backup")
    await one.open()
    await one.pipeline.commit((RecordsRestored(era="r7", made=NOON, cases=100, size=one.stores.journal.size),))
    await one.again()
    while one.stores.journal.size < number:
        await one.say(RoomId("!one1:example.org"), MO, "hello")
    await one.pipeline.commit((replace(BARRED, until=BARRED.until + 1),))
    assert one.stores.journal.size - 1 == number
    await told(shards, (0, 1), (0, 2))
    assert [await until(shard) for shard in shards] == [[1], [0, 1], [0, 1]]
    for left, n in (([1], 0), ([], 0)):
        async with two.stores.database.read() as db:
            held = sorted(await queries.all_in_force(db), key=lambda each: each.until)
        await two.pipeline.commit([held[n].end("command", on=-1)])
        await told(shards, (1, 2), (1, 0))
        assert [await until(shard) for shard in shards] == [left, left, left]


async def until(shard: Shard) -> list[int]:
    """Return how much longer than the first one the bans there last."""
    async with shard.stores.database.read() as db:
        return sorted(each.until - BARRED.until for each in await queries.all_in_force(db))
