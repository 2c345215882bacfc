"""More of a shard that publishes without end: hours, refusals, logs that are stopped, and ends far ahead."""

# ruff: noqa: F401, F811 - a fixture is imported, and given by its name

from dataclasses import replace

import pytest

from bot.exchange import allowance, checking, look_ahead, receiver
from bot.exchange.port import ExchangeDown, Message
from moderation.model.facts import CaseOpened, Learnt, OrderedEverywhere, OrderRecalled
from moderation.shards.crossing import LogPlace
from moderation.shards.crossing import learnt as as_learnt
from storage.journal.transparency.signed_note import NoteVerifier
from tests.door.bot.exchange.test_flooding import HOUR_MS, OP, learnt, people, publish, shards, small, told
from tests.fakes.exchange import MemoryExchange
from tests.theatre.shard import Shard, origin_of


async def test_an_hour_takes_so_much_of_a_log_and_the_operators_are_told_once(
    shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "MOST_AN_HOUR", 4)
    monkeypatch.setattr(receiver, "MOST_AN_HOUR", 4)
    one, two, three = shards
    spared = await publish(one, 10)
    for _ in range(3):
        await two.receiver.look()
    assert learnt(two) == spared[:4]
    assert list(two.receiver.held_back) == [origin_of("one")]
    await publish(three, 2)
    await two.receiver.look()
    assert len(learnt(two, "three")) == 2
    for count in (8, 10):
        two.now += HOUR_MS
        await two.receiver.look()
        assert learnt(two) == spared[:count]
    assert (await told(two)).count("flood") == 1
    assert two.receiver.held_back == []


@pytest.mark.usefixtures("small")
async def test_more_refused_messages_than_a_turn_takes_do_not_stop_what_comes_after_them(shards: list[Shard]) -> None:
    one, two, _three = shards
    spared = await publish(one, 9, apart=True)
    exchange = two.exchange
    assert isinstance(exchange, MemoryExchange)
    for place, each in list(exchange.messages.items()):
        if any(f'"{wrong}"' in each.body for wrong in spared[1:8]):
            exchange.messages[place] = replace(each, body=each.body.replace("@p", "@q"))
    for _ in range(4):
        await two.receiver.look()
    assert learnt(two) == [spared[0], spared[8]]


@pytest.mark.parametrize("is_missing", [True, False])
async def test_a_log_that_is_stopped_or_refused_spends_nothing_while_it_is_looked_at_again(
    shards: list[Shard], monkeypatch: pytest.MonkeyPatch, is_missing: bool
) -> None:
    monkeypatch.setattr(allowance, "MOST_AN_HOUR", 20)
    one, two, _three = shards
    spared = await publish(one, 10, apart=True)
    exchange = two.exchange
    assert isinstance(exchange, MemoryExchange)
    broken = {place: each for place, each in exchange.messages.items() if f'"{spared[9]}"' in each.body}
    if is_missing:  # the one after the third
        broken = {place: each for place, each in exchange.messages.items() if f'"{spared[3]}"' in each.body}
    for place, each in broken.items():
        exchange.messages[place] = replace(each, body=each.body.replace("@p", "@q"))
        if is_missing:
            del exchange.messages[place]
    for _ in range(30):
        await two.receiver.look()
    assert sorted(await told(two)) == ["pinned", "refused-gap" if is_missing else "refused-part"]
    assert list(two.receiver.held_back) == []
    exchange.messages.update(broken)
    await two.receiver.look()
    assert learnt(two) == spared


async def test_an_end_in_a_log_that_was_stopped_for_long_is_found_once_it_is_mended(
    shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look_ahead, "MOST_AHEAD", 20)
    one, two, _three = shards
    ordered = OrderedEverywhere(until=0, n=1, subject=people(1)[0], by=OP)
    start = one.stores.journal.size
    await one.pipeline.commit((ordered,))
    await publish(one, 4, apart=True)
    await one.pipeline.commit((OrderRecalled(start=start, why="command", n=1, subject=ordered.subject, by=OP),))
    await one.publisher.flush()
    exchange = two.exchange
    assert isinstance(exchange, MemoryExchange)
    [lost] = [place for place, each in exchange.messages.items() if f'"{people(4)[1]}"' in each.body]
    message = exchange.messages.pop(lost)
    ahead, place = look_ahead.LookAhead(exchange), LogPlace(origin_of("one"), start, 0, 0, "")
    for _ in range(10):
        await ahead.go_on(origin_of("one"), checking.KnownLog(), None)
    assert not ahead.is_recalled(as_learnt(ordered, place), ())
    exchange.messages[lost] = message
    await ahead.go_on(origin_of("one"), checking.KnownLog(), None)
    assert ahead.is_recalled(as_learnt(ordered, place), ())


async def test_an_era_that_somebody_else_wrote_hides_no_end_that_is_published_later(shards: list[Shard]) -> None:
    one, two, _three = shards
    ordered = OrderedEverywhere(until=0, n=1, subject=people(1)[0], by=OP)
    start = one.stores.journal.size
    await one.pipeline.commit((ordered,))
    await one.publisher.flush()
    exchange = two.exchange
    assert isinstance(exchange, MemoryExchange)
    wrong = Message(origin_of("one"), "another", 1, "{}", "{}")
    await exchange.publish([wrong])
    ahead, place = look_ahead.LookAhead(exchange), LogPlace(origin_of("one"), start, 0, 0, "")
    await ahead.go_on(origin_of("one"), checking.KnownLog(), None)
    del exchange.messages[wrong.origin, wrong.era, wrong.index]
    await one.pipeline.commit((OrderRecalled(start=start, why="command", n=1, subject=ordered.subject, by=OP),))
    await one.publisher.flush()
    exchange.messages[wrong.origin, wrong.era, wrong.index] = wrong
    await ahead.go_on(origin_of("one"), checking.KnownLog(), None)
    assert ahead.is_recalled(as_learnt(ordered, place), ())


async def test_a_refusal_is_told_though_the_exchange_fails_before_it_is_recorded(
    shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, _three = shards
    await publish(one, 2, apart=True)
    await one.pipeline.commit((OrderedEverywhere(until=0, n=1, subject=people(1)[0], by=OP),))
    await one.publisher.flush()
    exchange = two.exchange
    assert isinstance(exchange, MemoryExchange)
    [(place, right)] = [(place, each) for place, each in exchange.messages.items() if f'"{people(2)[1]}"' in each.body]
    exchange.messages[place] = replace(right, body=right.body.replace("@p", "@q"))

    async def down(*_: object) -> None:
        raise ExchangeDown("the exchange is down")

    with monkeypatch.context() as failing:
        failing.setattr(look_ahead.LookAhead, "go_on", down)
        await two.receiver.look()
    await two.receiver.look()
    assert sorted(await told(two)) == ["pinned", "refused-part"]


@pytest.mark.parametrize(("most", "is_carried_out"), [(20, False), (3, True)])
async def test_an_end_is_looked_for_so_far_ahead_and_nothing_is_lost_beyond_it(
    shards: list[Shard], monkeypatch: pytest.MonkeyPatch, most: int, is_carried_out: bool
) -> None:
    monkeypatch.setattr(look_ahead, "MOST_AHEAD", most)
    one, two, _three = shards
    ordered = OrderedEverywhere(until=0, n=1, subject=people(1)[0], by=OP)
    start = one.stores.journal.size
    await one.pipeline.commit((ordered,))
    await publish(one, 5)
    await one.pipeline.commit((OrderRecalled(start=start, why="command", n=1, subject=ordered.subject, by=OP),))
    await one.publisher.flush()
    await two.receiver.look()
    assert any(isinstance(fact, CaseOpened) for fact in two.facts()) == is_carried_out
    assert [fact.what for fact in two.facts() if isinstance(fact, Learnt)].count("recalled") == 1


async def test_what_was_looked_at_once_is_not_checked_for_ends_again(
    shards: list[Shard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "_AT_ONCE", 1)
    looked = 0
    check = checking.check

    def counted(
        message: Message, key: NoteVerifier, known: checking.KnownLog
    ) -> tuple[Learnt | None, checking.KnownLog]:
        nonlocal looked
        looked += 1
        return check(message, key, known)

    monkeypatch.setattr(look_ahead, "check", counted)
    one, two, _three = shards
    for each in people(6):
        await one.pipeline.commit((OrderedEverywhere(until=0, n=1, subject=each, by=OP),))
    await one.publisher.flush()
    await two.receiver.look()
    assert looked == 6
