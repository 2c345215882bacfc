"""A shard takes out of the exchange all that it erases; the order to erase it stays until it is read."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from bot.admin.records import _erase_piece
from bot.app import make_operations
from bot.exchange import publisher
from bot.exchange.port import ExchangeChanged, Message
from bot.exchange.tidying import Tidied, tidied_up
from moderation.model.actions.telling import Tell
from moderation.model.facts import (
    AccountsLinked,
    DataAsked,
    Learnt,
    PartsErased,
    RecordsRestored,
    SanctionEnded,
    SanctionStarted,
)
from moderation.values.ids import UserId
from storage.journal.journal import Journal
from storage.journal.retention.find import parts_of
from storage.journal.retention.legal_holds import HoldsInForce
from tests.fakes.exchange import MemoryExchange
from tests.theatre.shard import Shard, apart

ANN, BEN = UserId("@ann:example.org"), UserId("@ben:example.org")


async def erase(shard: Shard, user: UserId) -> None:
    """Erase all parts about somebody, as `Operations` does, with the order to other shards."""
    await shard.pipeline.commit((DataAsked(what="erase-confirmed", subject=user),))
    with suppress(ExchangeChanged):
        await shard.publisher.flush()
    found = parts_of(shard.stores.journal.folder, {user}, HoldsInForce(()))
    for piece in found.targets.pieces():
        fact = PartsErased(parts=piece.count, what="request", records=piece.text)
        await shard.pipeline.journal.use(partial(_erase_piece, piece), fact, signed=True)


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
    naming = [each.index for each in exchange.messages.values() if ANN in each.body]
    assert len(naming) == 1, "only the order to erase it"
    await exchange.have_read("two", "example.org/one", "-", naming[0])
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


@dataclass
class Counting(MemoryExchange):
    """An exchange that notes what is read from it, and how much at once."""

    pages: list[int] = field(default_factory=list)

    async def after(self, origin: str, era: str, index: int, most: int) -> Sequence[Message]:
        self.pages.append(most)
        return await super().after(origin, era, index, most)


async def test_an_order_that_waits_leaves_a_quiet_exchange_once_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "_WAITING_S", 0.01)
    exchange = MemoryExchange()
    shard = await Shard("one", tmp_path / "one", exchange, apart("one", "two")["one"]).open()
    await shard.say(await shard.room({}, [ANN]), ANN, "an elephant")
    await erase(shard, ANN)
    running = asyncio.create_task(shard.publisher.run())
    await _until(lambda: sum(ANN in each.body for each in exchange.messages.values()) == 1)
    await exchange.have_read("two", "example.org/one", "-", 1_000)
    await _until(lambda: ANN not in str(exchange.messages))  # nothing is recorded meanwhile
    running.cancel()
    await shard.close()


async def test_an_order_that_waits_does_not_read_the_rest_again(tmp_path: Path) -> None:
    exchange = Counting()
    shard = await Shard("one", tmp_path / "one", exchange, apart("one", "two")["one"]).open()
    await shard.say(await shard.room({}, [ANN]), ANN, "an elephant")
    await erase(shard, ANN)
    await shard.publisher.tidy()
    exchange.pages.clear()
    await shard.publisher.tidy()
    assert ANN in str(exchange.messages)
    assert exchange.pages == []
    await shard.close()


async def test_a_start_reads_what_waits_and_not_all_that_was_published(tmp_path: Path) -> None:
    exchange = Counting()
    shard = await Shard("one", tmp_path / "one", exchange, apart("one", "two")["one"]).open()
    room = await shard.room({}, [ANN, BEN])
    for user in (ANN, BEN):
        await shard.say(room, user, "an elephant")
    await erase(shard, ANN)
    await shard.publisher.flush()
    await shard.publisher.tidy()
    await shard.again()
    exchange.pages.clear()
    await shard.publisher.tidy()
    assert exchange.pages == [1]
    assert ANN in str(exchange.messages)
    await exchange.have_read("two", "example.org/one", "-", 1_000)
    await shard.publisher.tidy()
    assert ANN not in str(exchange.messages)
    await shard.again()
    await erase(shard, BEN)
    await shard.publisher.flush()
    await shard.publisher.tidy()
    assert BEN not in str(exchange.messages)
    await shard.close()


async def test_names_in_an_era_that_a_restore_ended_leave_the_exchange_once_all_have_read_it(tmp_path: Path) -> None:
    exchange, names = MemoryExchange(), ("one", "two")
    one, two = [await Shard(name, tmp_path / name, exchange, apart(*names)[name]).open() for name in names]
    room = await one.room({}, [ANN, BEN])
    await one.say(room, BEN, "an elephant")
    await one.publisher.flush()
    await one.publisher.tidy()
    await one.close()
    one.copy_to(tmp_path / "backup")
    await one.open()
    await one.say(room, ANN, "an elephant")
    await one.publisher.flush()
    await one.close()
    one.replace_by(tmp_path / "backup")
    await one.open()
    await one.pipeline.commit((RecordsRestored(era="r7", made=one.now, cases=100, size=1),))
    await one.publisher.flush()
    await one.publisher.tidy()
    assert ANN in str(exchange.messages), "the other shard has not read it"
    await two.receiver.look()
    await one.publisher.tidy()
    assert ANN not in str(exchange.messages)
    assert BEN in str(exchange.messages)
    assert await two.balance(ANN) == 90
    for shard in (one, two):
        assert shard.problems() == ()
        await shard.close()


async def test_lines_are_read_while_others_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = await Shard("one", tmp_path / "one", MemoryExchange(), apart("one", "two")["one"]).open()
    await shard.say(await shard.room({}, [ANN]), ANN, "an elephant")
    await erase(shard, ANN)
    begun, go_on = threading.Event(), threading.Event()

    def slow(messages: Sequence[Message], is_read: Callable[[Message], bool], era: str, journal: Journal) -> Tidied:
        begun.set()
        assert go_on.wait(60)
        return tidied_up(messages, is_read, era, journal)

    monkeypatch.setattr(publisher, "tidied_up", slow)
    tidying = asyncio.create_task(shard.publisher.tidy())
    assert await asyncio.to_thread(begun.wait, 60)
    try:
        async with asyncio.timeout(120):
            await shard.pipeline.commit((DataAsked(what="erase-confirmed", subject=BEN),))
    finally:
        go_on.set()
        await tidying
        await shard.close()


UNREADABLE = {
    "nothing": ("nothing", "{}"),
    "no-proof": ('{"i":1}', "{}"),
    "no-index": ("{}", "nothing"),
    "leaf": ('{"leaf":1}', "nothing"),
    "later": (None, None),  # what it had published, under a number that its log does not have
}


@pytest.mark.parametrize("what", UNREADABLE)
async def test_what_somebody_else_wrote_under_its_name_is_said_and_stops_neither_the_bot_nor_other_work(
    tmp_path: Path, what: str
) -> None:
    exchange, names = MemoryExchange(), ("one", "two")
    one, two = [await Shard(name, tmp_path / name, exchange, apart(*names)[name]).open() for name in names]
    room = await one.room({}, [ANN, BEN])
    await one.say(room, ANN, "an elephant")
    await one.exchanged()
    [right] = exchange.messages.values()
    body, proof = UNREADABLE[what]
    wrong = replace(right, index=10**6, body=body or right.body, proof=proof or right.proof)
    exchange.messages[wrong.origin, wrong.era, wrong.index] = wrong
    await one.say(room, BEN, "an elephant")
    working = asyncio.create_task(one.publisher.run())
    await _until(lambda: one.publisher.is_changed)
    assert not working.done()
    del exchange.messages[wrong.origin, wrong.era, wrong.index]
    one.pipeline.processor.crossing.event.set()
    await _until(lambda: len(exchange.messages) == 2)
    working.cancel()
    two.now = one.now
    await two.receiver.look()
    assert await two.balance(BEN) == 90
    for shard in (one, two):
        await shard.close()


@pytest.mark.parametrize("what", UNREADABLE)
async def test_what_is_erased_leaves_the_exchange_though_somebody_else_wrote_there(tmp_path: Path, what: str) -> None:
    exchange = MemoryExchange()
    one = await Shard("one", tmp_path / "one", exchange, {}).open()
    room = await one.room({}, [ANN, BEN])
    await one.say(room, ANN, "an elephant")
    await one.say(room, BEN, "an elephant")
    await one.publisher.flush()
    assert ANN in str(exchange.messages)
    first = next(iter(exchange.messages.values()))
    body, proof = UNREADABLE[what]
    for index in (1, 10**6):
        wrong = replace(first, index=index, body=body or first.body, proof=proof or first.proof)
        exchange.messages[wrong.origin, wrong.era, wrong.index] = wrong
    await erase(one, ANN)
    working = asyncio.create_task(one.publisher.run())
    left = {place: each for place, each in exchange.messages.items() if place[2] < 10**6}
    await _until(lambda: not any(ANN in each.body for place, each in exchange.messages.items() if place in left))
    working.cancel()
    await one.close()


async def _until(it_is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not it_is_so():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
