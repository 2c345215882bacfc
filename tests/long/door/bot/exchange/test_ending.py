"""More of what ends in all shards: for a list, by its time, and of the time that a backup lost."""

# ruff: noqa: F401, F811 - a fixture is imported, and given by its name

from dataclasses import replace
from pathlib import Path

from moderation.model.actions.lists import MatchAgain
from moderation.model.builtin_rules import LISTED
from moderation.model.facts import (
    CaseOpened,
    ListMatched,
    ListSpared,
    RecordsRestored,
    SanctionEnded,
    SanctionStarted,
)
from moderation.values.ids import RoomId
from storage import queries
from tests.door.bot.exchange.test_ending import ANN, BARRED, MO, bans, shards, told
from tests.theatre.shard import NOON, Shard

SPARED = ListSpared(list="cme", subject=ANN, reason="known to us")


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
