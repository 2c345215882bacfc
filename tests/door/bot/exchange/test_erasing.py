"""Somebody who is erased in one shard is erased in all, with what was on its way meanwhile."""

from pathlib import Path

from bot.admin.records import Operations
from bot.app import make_operations
from bot.effects.personal_data import DataEraser
from bot.exchange.parts import ShardParts
from moderation.model.actions.people import EraseAlso
from moderation.model.facts import DataAsked
from moderation.values.ids import UserId
from storage.journal.retention.find import parts_of
from storage.journal.retention.legal_holds import HoldsInForce
from tests.fakes.exchange import MemoryExchange
from tests.theatre.shard import Shard, apart

ANN = UserId("@ann:example.org")
HALF_A_YEAR_MS = 184 * 86_400_000


def operations(shard: Shard) -> Operations:
    journal, database = shard.stores.journal, shard.stores.database
    parts = ShardParts(shard.exchange, shard.config, shard.pipeline, journal, database)
    return make_operations(shard.config, shard.stores, shard.pipeline, lambda: shard.now, shards=parts)


async def obey(shard: Shard, done: set[EraseAlso]) -> None:
    """Carry out the orders that wait in the outbox, each once."""
    for action in await shard.actions():
        if isinstance(action, EraseAlso) and action not in done:
            done.add(action)
            await DataEraser(operations(shard)).also(action, "txn")


def named(shard: Shard) -> int:
    """Count the parts about Ann that are left."""
    return parts_of(shard.stores.journal.folder, {ANN}, HoldsInForce(())).targets.count


async def test_an_erasure_reaches_every_shard_and_ends(tmp_path: Path) -> None:
    exchange, names = MemoryExchange(), ("one", "two")
    one, two = [await Shard(name, tmp_path / name, exchange, apart(*names)[name]).open() for name in names]
    first, second = await one.room({}, [ANN]), await two.room({}, [ANN])
    await one.say(first, ANN, "an elephant")
    await two.say(second, ANN, "an elephant")
    for shard in (one, two, one):
        await shard.exchanged()
    one.now = two.now = one.now + HALF_A_YEAR_MS  # a charge in force would be kept
    await two.say(second, ANN, "an elephant")  # on its way while one erases
    two.now += HALF_A_YEAR_MS
    one.now = two.now
    await two.publisher.flush()
    await operations(one).erase(ANN, what="request")
    assert named(one) == 0
    await one.receiver.look()
    assert named(one) > 0, "what was on its way came after"
    orders: dict[str, set[EraseAlso]] = {"one": set(), "two": set()}
    for shard in (two, one, two, one):
        await shard.exchanged()
        await obey(shard, orders[shard.name])
    assert (named(one), named(two)) == (0, 0)
    assert [[action.again for action in orders[name]] for name in names] == [[True], [False]]
    asked = [[fact.what for fact in shard.facts() if isinstance(fact, DataAsked)] for shard in (one, two)]
    assert asked == [["erase-confirmed"], ["erase-relayed"]]
    for shard in (one, two):
        await shard.publisher.tidy()
        assert shard.problems() == ()
    assert ANN not in str(exchange.messages)
    for shard in (one, two):
        await shard.close()
