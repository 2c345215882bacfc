"""What a shard has published and erases is taken out of the exchange; the order to erase it stays until it is read."""

from functools import partial
from pathlib import Path

from bot.admin.records import _erase_piece
from bot.app import make_operations
from moderation.model.actions import Tell
from moderation.model.facts import AccountsLinked, DataAsked, Learnt, PartsErased, SanctionEnded, SanctionStarted
from moderation.values.ids import UserId
from storage.journal.retention.find import parts_of
from storage.journal.retention.legal_holds import HoldsInForce
from tests.fakes.exchange import MemoryExchange
from tests.theatre.shard import Shard, apart

ANN, BEN = UserId("@ann:example.org"), UserId("@ben:example.org")


async def erase(shard: Shard, user: UserId) -> None:
    """Erase all parts about somebody, as `Operations` does, with the order to other shards."""
    await shard.pipeline.commit((DataAsked(what="erase-confirmed", subject=user),))
    await shard.publisher.flush()
    found = parts_of(shard.stores.journal.folder, {user}, HoldsInForce(()))
    for piece in found.targets.pieces():
        fact = PartsErased(parts=piece.count, what="request", records=piece.text)
        await shard.pipeline.with_journal(partial(_erase_piece, piece), fact, signed=True)


async def test_what_is_erased_leaves_the_exchange_once_everybody_was_told(tmp_path: Path) -> None:
    exchange = MemoryExchange()
    shard = await Shard("one", tmp_path / "one", exchange, apart("one", "two")["one"]).open()
    room = await shard.room({}, [ANN, BEN])
    for user in (ANN, BEN):
        await shard.say(room, user, "an elephant")
    await shard.pipeline.commit((AccountsLinked(method="oidc", subject=ANN, target=BEN),))
    await shard.publisher.flush()
    assert ANN in str(exchange.messages) and "elephant" not in str(exchange.messages)
    await erase(shard, ANN)
    await shard.publisher.tidy()
    naming = [each.index for each in await exchange.own("example.org/one") if ANN in each.body]
    assert len(naming) == 1, "only the order to erase it"
    await exchange.have_read("two", "example.org/one", naming[0])
    await shard.publisher.tidy()
    assert ANN not in str(exchange.messages)
    assert BEN in str(exchange.messages)
    await shard.close()


async def test_a_purge_leaves_a_chain_that_a_late_and_a_new_shard_can_follow(tmp_path: Path) -> None:
    exchange, names = MemoryExchange(), ("one", "two", "new")
    one, two, new = [await Shard(name, tmp_path / name, exchange, apart(*names)[name]).open() for name in names]
    room = await one.room({}, [BEN])
    await one.say(room, BEN, "an elephant")
    await one.exchanged()
    await two.exchanged()
    ban = SanctionStarted(kind="ban", until=one.now + 1_000, basis="operator", rule="barred", subject=ANN)
    await one.pipeline.commit((ban,))
    start = one.stores.journal.size - 1
    await one.exchanged()
    await one.pipeline.commit((AccountsLinked(method="oidc", subject=ANN, target=BEN),))
    await one.exchanged()
    one.now += 400 * 86_400_000
    await one.pipeline.commit((SanctionEnded(start=start, kind="ban", why="reversed", subject=ANN),))
    await one.exchanged()
    await one.say(room, BEN, "an elephant")
    await one.exchanged()
    plan = await make_operations(one.config, one.stores, one.pipeline, lambda: one.now, lambda: None).purge("command")
    assert start < plan.below < one.stores.journal.size
    await one.publisher.tidy()
    two.now = new.now = one.now
    for shard in (two, new):
        await shard.receiver.look()
        learnt = [fact.what for fact in shard.facts() if isinstance(fact, Learnt)]
        assert learnt[-1] == "entry" and "admitted" not in learnt
        told = [line.key for each in await shard.actions() if isinstance(each, Tell) for line in each.lines]
        assert [key for key in told if key.startswith("shards.")] == ["shards.pinned"]
    for shard in (one, two, new):
        await shard.close()
