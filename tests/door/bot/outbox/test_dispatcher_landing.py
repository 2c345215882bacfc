"""Outcomes of requests: recorded together if several have arrived, in order, and not lost when the bot stops."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.outbox.dispatcher import OutboxDispatcher
from bot.outbox.handler import Done, Handler
from bot.outbox.selection import OTHERS_AT_ONCE
from bot.outbox.slowed import Slowed
from bot.runtime.clock import SteadyClock
from moderation.model.actions.base import Action
from moderation.model.actions.removal import Redact
from moderation.model.actions.rooms import Align
from moderation.model.actions.telling import Tell
from moderation.model.facts import ActionTaken
from moderation.values.ids import EventId, UserId
from moderation.values.notices import line
from tests.door.bot.effects.test_anchor_day import ONE, Deployment, deployment


class Sending:
    """A dispatcher whose requests are answered when the test says so."""

    def __init__(self, place: Deployment, *, limited: bool = False) -> None:
        self.place = place
        self.sent: list[Action] = []
        self.answers: dict[int, asyncio.Event] = {}
        steady = SteadyClock(lambda: place.now)
        place.pipeline.steady = place.pipeline.processor.steady = steady
        handlers: dict[type[Action], Handler] = dict.fromkeys((Align, Redact, Tell), self._send)
        slowed = Slowed(known=limited)
        self.actor = OutboxDispatcher(place.stores.database, place.pipeline, handlers, steady, slowed)
        self.task = asyncio.create_task(self.actor.run())

    async def _send(self, action: Action, _txn: str) -> Done:
        self.sent.append(action)
        await self.answers.setdefault(len(self.sent), asyncio.Event()).wait()
        return Done()

    def answer(self, *numbers: int) -> None:
        for number in numbers:
            self.answers.setdefault(number, asyncio.Event()).set()

    async def until_sent(self, count: int) -> None:
        async with asyncio.timeout(120):
            while len(self.sent) < count:  # noqa: ASYNC110 - the actor tells nobody what it sends
                await asyncio.sleep(0.002)

    def outcomes(self) -> list[EventId]:
        return [fact.event for fact in self.place.facts() if isinstance(fact, ActionTaken)]

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


@pytest.fixture
async def sending(tmp_path: Path) -> AsyncIterator[Sending]:
    async with deployment(tmp_path) as place:
        await place.enter(ONE)
        sending = Sending(place)
        yield sending
        await sending.stop()


def redact(number: int) -> Redact:
    return Redact(room=ONE, event=EventId(f"$m{number}"), subject=UserId("@anna:example.org"))


def tell(who: str, number: int) -> Tell:
    return Tell(room=ONE, subject=UserId(f"@{who}:example.org"), lines=(line("done.ack", n=number),), n=number)


async def test_outcomes_that_arrive_during_a_write_are_recorded_together(sending: Sending) -> None:
    turns: list[int] = []
    commit_all = sending.place.pipeline.commit_all

    async def counted(outcomes: list[object]) -> None:
        turns.append(sum(getattr(each, "of_row", None) is not None for each in outcomes))
        await commit_all(outcomes)  # type: ignore[arg-type]

    await sending.place.pipeline.commit(actions=[redact(n) for n in range(4)])
    await sending.until_sent(4)
    sending.place.pipeline.commit_all = counted  # type: ignore[method-assign, assignment]
    async with sending.place.pipeline.writer._lock:  # somebody writes
        sending.answer(1)
        while not turns:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        sending.answer(4, 3, 2)
        await sending.until_sent(4)
        while sending.actor._sending:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    async with asyncio.timeout(120):
        while await sending.place.waiting():  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    assert turns == [1, 3]
    assert len(sending.outcomes()) == len(set(sending.outcomes())) == 4


async def test_an_answered_request_gives_its_place_to_another_before_it_is_recorded(sending: Sending) -> None:
    await sending.place.pipeline.commit(actions=[redact(n) for n in range(6)])
    await sending.until_sent(4)
    async with sending.place.pipeline.writer._lock:
        sending.answer(1, 2)
        await sending.until_sent(6)
    assert sending.outcomes() == []


async def test_what_is_found_out_about_the_limit_counts_at_once(tmp_path: Path) -> None:
    async with deployment(tmp_path) as place:
        await place.enter(ONE)
        sending = Sending(place, limited=True)
        mute = Align(room=ONE)
        await place.pipeline.commit(actions=[mute, redact(1)])
        await sending.until_sent(1)
        sending.actor.learn_limit("lifted")
        await sending.until_sent(2)
        assert sending.sent == [mute, redact(1)]
        await sending.stop()


async def test_words_to_several_people_go_together_and_those_to_one_in_order(sending: Sending) -> None:
    words = [tell("anna", 1), tell("anna", 2), tell("ben", 3), tell("cat", 4)]
    await sending.place.pipeline.commit(actions=words)
    await sending.until_sent(OTHERS_AT_ONCE)
    assert sending.sent == [words[0], words[2], words[3]]
    sending.answer(1)
    await sending.until_sent(4)
    assert sending.sent[3] == words[1]


async def test_an_answered_request_is_recorded_although_the_bot_is_stopped(sending: Sending) -> None:
    await sending.place.pipeline.commit(actions=[redact(n) for n in range(3)])
    await sending.until_sent(3)
    await sending.place.pipeline.writer._lock.acquire()
    sending.answer(1, 2, 3)
    while sending.actor._sending:  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    sending.task.cancel()
    sending.place.pipeline.writer._lock.release()
    await asyncio.wait({sending.task})
    assert sorted(sending.outcomes()) == [EventId("$m0"), EventId("$m1"), EventId("$m2")]


async def test_an_error_on_the_way_out_is_not_reported_as_never_retrieved(sending: Sending) -> None:
    async def fail_when_stopped(action: Action, _txn: str) -> Done:
        sending.sent.append(action)
        try:
            await asyncio.Event().wait()
        finally:  # as when what became of it cannot be recorded
            raise OSError("disk full")
        return Done()

    sending.actor._handlers = {Redact: fail_when_stopped}
    await sending.place.pipeline.commit(actions=(redact(1),))
    await sending.until_sent(1)
    await sending.stop()
    failure = sending.actor.failure
    assert failure is not None
    assert failure.done()
    assert not failure._log_traceback  # what asyncio reports when it is thrown away
