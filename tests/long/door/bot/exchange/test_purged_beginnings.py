"""An end that is said where its beginning was learnt and purged holds in all shards."""

from pathlib import Path

import pytest
from sqlalchemy import select

from moderation.model.facts import (
    EndNamed,
    Fact,
    Learnt,
)
from storage import queries, schema
from tests.door.bot.exchange.test_purged_beginnings import ANN, BEN, KINDS, OP, begin_and_end, holding, purge
from tests.fakes.exchange import MemoryExchange
from tests.theatre.shard import Shard, apart


async def ends(shard: Shard, kind: str) -> Fact:
    """Return the end of what holds there, as somebody says it there."""
    spared = schema.list_spared
    table = {"spared": spared, "server": spared, "verified": schema.verifications, "linked": schema.links}
    async with shard.stores.database.read() as db:
        [row] = await db.execute(select(table.get(kind, schema.orders)))
    return begin_and_end(kind, row.record)[1]


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("kind", KINDS)
async def test_an_end_crosses_from_a_shard_that_had_learnt_the_beginning_and_purged_it(
    tmp_path: Path, kind: str, is_known: bool
) -> None:
    """The third one hears of the beginning before the end, or after it."""
    exchange, names = MemoryExchange(), ("one", "two", "three")
    shards = [await Shard(name, tmp_path / name, exchange, apart(*names)[name]).open() for name in names]
    one, two, three = shards
    for shard in shards:
        await shard.room({OP: 100}, [ANN, BEN])
    begin, _ = begin_and_end(kind, -1)
    await one.pipeline.commit((begin,))
    await one.exchanged()
    await two.receiver.look()
    if is_known:
        await three.receiver.look()
    async with two.stores.database.read() as db:  # the people of its room end a ban there for themselves
        held = await queries.all_in_force(db)
    await two.pipeline.commit([each.end("command", on=-1) for each in held])
    await purge(two, two.stores.journal.size - 1)
    assert await holding(two) > 0
    await two.pipeline.commit((await ends(two, kind),))
    assert len([fact for fact in two.facts() if isinstance(fact, EndNamed)]) == 1
    for shard in (two, one, three):
        shard.now = two.now
        await shard.exchanged()
    if not is_known:
        assert sum(isinstance(fact, Learnt) and fact.what == begun(kind) for fact in three.facts()) == 1
    assert [await holding(shard) for shard in shards] == [0, 0, 0]
    for number, shard in enumerate(shards):
        assert shard.problems() == ()
        if shard is not two:  # of what is purged nothing can be made again
            assert await shard.differences(tmp_path / f"again-{number}") == {}
        await shard.close()


def begun(kind: str) -> str:
    return {"order": "ordered", "server": "spared"}.get(kind, kind)
