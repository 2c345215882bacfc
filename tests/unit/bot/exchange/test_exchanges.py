"""The contract of an exchange, in PostgreSQL and in memory, where it stands for the former in tests."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from bot.exchange.port import MOST_BYTES, Exchange, ExchangeDown, Message
from bot.exchange.postgresql import PostgresExchange, told_in
from storage.database.fence import Epoch, Superseded
from storage.database.place import DatabasePlace
from tests.fakes.exchange import MemoryExchange
from tests.postgres.engines import Engine
from tests.postgres.server import Server

ONE, TWO = "example.org/one", "example.org/two"


def message(index: int, *, origin: str = ONE, era: str = "-", body: str = "{}") -> Message:
    return Message(origin, era, index, body, "proof")


@pytest.fixture(params=["memory", "postgresql"])
async def exchange(request: pytest.FixtureRequest) -> AsyncIterator[Exchange]:
    if request.param == "memory":
        yield MemoryExchange()
        return
    url = request.getfixturevalue("postgres_url")
    made = PostgresExchange(DatabasePlace(Path("/nowhere"), SecretStr(url)))
    yield made
    await made.close()


async def test_what_is_published_is_read_in_order_from_where_one_is(exchange: Exchange) -> None:
    await exchange.publish([message(7), message(20), message(3), message(5, origin=TWO)])
    assert [each.index for each in await exchange.after(ONE, "-", 3, 10)] == [7, 20]
    assert [each.index for each in await exchange.after(ONE, "-", -1, 2)] == [3, 7]
    assert await exchange.last(ONE) == message(20)
    assert await exchange.last("example.org/three") is None
    assert [each.index for each in await exchange.after(ONE, "-", -1, 9)] == [3, 7, 20]


async def test_a_message_published_again_replaces_the_one_there(exchange: Exchange) -> None:
    await exchange.publish([message(7, body="a")])
    await exchange.publish([message(7, body='b \\u0000 "')])
    assert [each.body for each in await exchange.after(ONE, "-", -1, 9)] == ['b \\u0000 "']


@pytest.mark.parametrize("exchange", ["postgresql"], indirect=True)
async def test_of_a_message_without_end_no_more_is_read_than_shows_that_it_is_too_long(exchange: Exchange) -> None:
    await exchange.publish([message(7, body="x" * (MOST_BYTES + 500))])
    [read] = await exchange.after(ONE, "-", -1, 9)
    last = await exchange.last(ONE)
    assert last is not None
    assert [len(each.body) for each in (read, last)] == [MOST_BYTES + 1] * 2


async def test_an_era_that_begins_later_is_read_later(exchange: Exchange) -> None:
    await exchange.publish([message(3), message(20)])
    await exchange.publish([message(9, era="r1"), message(10, era="r1")])
    assert list(await exchange.eras(ONE)) == ["-", "r1"]
    assert await exchange.last(ONE) == message(10, era="r1")
    assert [each.index for each in await exchange.after(ONE, "r1", -1, 9)] == [9, 10]


async def test_eras_are_read_in_the_order_in_which_they_began(exchange: Exchange) -> None:
    await exchange.publish([message(3), message(200)])
    await exchange.publish([message(100, era="r1"), message(120, era="r1")])
    await exchange.publish([message(60, era="r2"), message(61, era="r2")])  # restored from an older backup than r1
    assert list(await exchange.eras(ONE)) == ["-", "r1", "r2"]
    assert await exchange.last(ONE) == message(61, era="r2")
    await exchange.publish([message(200, body="changed")])
    assert list(await exchange.eras(ONE)) == ["-", "r1", "r2"]
    await exchange.publish([message(130, era="r2")])
    assert await exchange.last(ONE) == message(130, era="r2")
    assert [len(await exchange.after(ONE, era, -1, 9)) for era in ("-", "r1", "r2")] == [2, 2, 3]


async def test_it_knows_how_far_each_shard_has_read(exchange: Exchange) -> None:
    await exchange.have_read("two", ONE, "-", 9)
    await exchange.have_read("two", ONE, "r1", 3)
    await exchange.have_read("three", ONE, "-", 4)
    await exchange.have_read("one", TWO, "-", 1)
    assert await exchange.read_by(ONE) == {"two": ("r1", 3), "three": ("-", 4)}


async def test_a_community_belongs_to_the_shard_that_came_first_until_it_leaves(exchange: Exchange) -> None:
    assert await exchange.claim("one", ["garden", "chess"]) == {}
    assert await exchange.claim("two", ["chess", "tea"]) == {"chess": "one"}
    assert await exchange.claim("one", ["garden"]) == {}
    assert await exchange.claim("two", ["chess", "tea"]) == {}
    assert await exchange.claim("one", ["garden", "tea"]) == {"tea": "two"}


async def test_who_waits_is_woken_by_what_is_published(exchange: Exchange) -> None:
    await exchange.publish([message(1)])
    waiting = asyncio.create_task(exchange.woken(60))
    number = 2
    while not waiting.done():  # until it listens, nothing wakes it
        await exchange.publish([message(number)])
        number += 1
        await asyncio.wait({waiting}, timeout=0.05)
    await waiting
    await exchange.woken(0.01)


async def test_a_server_that_is_gone_is_said_and_used_again_when_it_is_back(own_postgres: Server) -> None:
    exchange = PostgresExchange(DatabasePlace(Path("/nowhere"), SecretStr(own_postgres.url("postgres"))))
    await exchange.publish([message(1)])
    await asyncio.to_thread(own_postgres.kill)
    with pytest.raises(ExchangeDown):
        await exchange.last(ONE)
    await asyncio.to_thread(own_postgres.start)
    assert await exchange.last(ONE) == message(1)
    await exchange.close()


async def test_each_shard_says_how_far_it_has_published_its_own_log(postgres_url: str) -> None:
    engine = Engine(postgres_url)
    place = engine.place(Path("/nowhere"), "one")
    await asyncio.to_thread(engine.take_over, "one")  # enrols the log
    exchange = PostgresExchange(place)
    assert await exchange.told() == await asyncio.to_thread(told_in, place) == {}
    await exchange.have_read("one", "example.org/log", "-", 9)
    await exchange.have_read("two", "example.org/log", "-", 30)  # another shard, which read it
    with psycopg.connect(postgres_url) as server:
        line = "INSERT INTO answerable_shared.log (shard, idx, day, line, mac) VALUES ('one', %s, '2026-11-24', '', '')"
        server.cursor().executemany(line, [[0], [14]])
    [(origin, told)] = (await exchange.told()).items()
    assert (origin, told.era, told.upto, told.size, told.untold) == ("example.org/log", "-", 10, 15, 5)
    assert 0 <= told.age_s < 60
    assert (await asyncio.to_thread(told_in, place)).keys() == {origin}
    await exchange.close()


async def test_a_former_leader_publishes_nothing(postgres_url: str) -> None:
    engine = Engine(postgres_url)
    place = engine.place(Path("/nowhere"), "one")
    former = await asyncio.to_thread(engine.take_over, "one")
    lost: list[int] = []
    exchange = PostgresExchange(place, replace(former, lost=lambda: lost.append(1)))
    await exchange.publish([message(1)])
    await asyncio.to_thread(engine.take_over, "one")
    with pytest.raises((Superseded, ExchangeDown)):
        await exchange.publish([message(2)])
    reader = PostgresExchange(place)
    assert await reader.last(ONE) == message(1)
    assert isinstance(former, Epoch)
    await exchange.close()
    await reader.close()
