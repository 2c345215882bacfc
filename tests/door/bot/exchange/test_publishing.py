"""What a shard has published and erases is taken out of the exchange; the order to erase it stays until it is read."""

from functools import partial
from pathlib import Path

from bot.admin.records import _erase_piece
from moderation.model.facts import AccountsLinked, DataAsked, PartsErased
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
