"""Stories of ends that hold in all shards, though the record of the beginning is purged where it was made.

A ban in force holds its records itself, of an order too (`bot/admin/records.py`).
"""

from pathlib import Path

import pytest
from sqlalchemy import select

from bot.app import make_operations
from moderation.model.facts import (
    AccountsLinked,
    AccountUnlinked,
    Fact,
    ListSpared,
    OrderedEverywhere,
    OrderRecalled,
    PersonVerified,
)
from moderation.values.ids import RoomId, UserId
from storage import schema
from tests.fakes.exchange import MemoryExchange
from tests.theatre.shard import NOON, Shard, apart

ANN, BEN, OP = UserId("@ann:example.org"), UserId("@ben:example.org"), UserId("@op:example.org")
YEARS = NOON + 1_000 * 86_400_000
HOLDING = (schema.sanctions, schema.list_spared, schema.verifications, schema.links, schema.orders)


def begin_and_end(kind: str, start: int) -> tuple[Fact, Fact]:
    """Return what holds for good, recorded at `start`, and its end."""
    match kind:
        case "spared":
            return (
                ListSpared(list="cme", subject=ANN),
                ListSpared(step="unspared", list="cme", undoes=start, subject=ANN),
            )
        case "server":
            return (
                ListSpared(list="cme", server="bad.example"),
                ListSpared(step="unspared", list="cme", undoes=start, server="bad.example"),
            )
        case "verified":
            return (
                PersonVerified(method="oidc", level=2, until=YEARS, subject=ANN),
                PersonVerified(step="revoked", method="oidc", level=0, until=0, undoes=start, subject=ANN),
            )
        case "linked":
            return (
                AccountsLinked(method="oidc", subject=ANN, target=BEN),
                AccountUnlinked(start=start, subject=ANN, target=BEN),
            )
    return (
        OrderedEverywhere(until=0, n=1, subject=ANN, by=OP),
        OrderRecalled(start=start, why="command", n=1, subject=ANN, by=OP),
    )


async def holding(shard: Shard) -> int:
    """Return how much holds there."""
    over = ("ended", "revoked")
    async with shard.stores.database.read() as db:
        rows = [row for table in HOLDING for row in await db.execute(select(table))]
    return sum(not any(getattr(row, name, 0) for name in over) for row in rows)


KINDS = ["spared", "server", "verified", "linked", "order"]


async def purge(shard: Shard, start: int) -> None:
    """Purge the record at `start` there, more than a year later."""
    shard.now = NOON + 400 * 86_400_000
    await shard.say(RoomId(f"!{shard.name}1:example.org"), BEN, "hello")
    operations = make_operations(shard.config, shard.stores, shard.pipeline, lambda: shard.now, lambda: None)
    assert (await operations.purge("command")).below > start
    await shard.publisher.tidy()


@pytest.mark.parametrize("kind", KINDS)
async def test_an_end_crosses_though_its_beginning_is_purged(tmp_path: Path, kind: str) -> None:
    exchange, names = MemoryExchange(), ("one", "two")
    one, two = [await Shard(name, tmp_path / name, exchange, apart(*names)[name]).open() for name in names]
    for shard in (one, two):
        await shard.room({OP: 100}, [ANN, BEN])
    start = one.stores.journal.size
    begin, end = begin_and_end(kind, start)
    await one.pipeline.commit((begin,))
    await one.exchanged()
    await two.receiver.look()
    began = await holding(one), await holding(two)
    assert min(began) > 0
    await purge(one, start)
    two.now = one.now
    assert (await holding(one), await holding(two)) == began
    await one.pipeline.commit((end,))
    await one.exchanged()
    await two.receiver.look()
    assert (await holding(one), await holding(two)) == (0, 0)
    for shard in (one, two):
        assert shard.problems() == ()
        await shard.close()
