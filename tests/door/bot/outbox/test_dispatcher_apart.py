"""Requests to servers other than the homeserver: nothing waits for them, and they wait for nothing."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.matrix.errors import RateLimited
from bot.outbox import dispatcher
from bot.outbox.dispatcher import MOST_OF_A_SERVER, OutboxDispatcher
from bot.outbox.handler import Done, PollAgain
from bot.outbox.selection import APART, OTHERS_AT_ONCE, PATIENCE_MS, URGENT_IN_A_ROW
from moderation.model.actions.anchors import Witness
from moderation.model.actions.base import PROOF, Action
from moderation.model.actions.files import AskPlugin, HashMedia
from moderation.model.actions.lists import PreviewList
from moderation.model.actions.people import Verify
from moderation.model.actions.removal import Sweep
from moderation.model.actions.rooms import Decline, Enter
from moderation.model.actions.telling import Say, Tell
from moderation.model.facts import ActionTaken
from moderation.values.durations import HOUR_MS
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import line
from tests.door.bot.effects.test_anchor_day import ONE, Deployment, deployment

PEOPLE = [UserId(f"@p{number}:example.org") for number in range(APART[PROOF] + 2)]


def verify(user: UserId, on: int = 1) -> Verify:
    return Verify(room=ONE, subject=user, sealed="sealed", on=on)


class Bench:
    """A dispatcher whose handlers note what is begun, and hang until released."""

    def __init__(self, place: Deployment) -> None:
        self.place = place
        self.begun: list[str] = []
        self.go_on: dict[str, asyncio.Event] = {}
        by_type = dict.fromkeys((Verify, Witness, HashMedia, AskPlugin, PreviewList, Decline, Say), self._handle)
        self.actor = OutboxDispatcher(place.stores.database, place.pipeline, by_type, lambda: place.now)

    def free(self, *names: str) -> None:
        for name in names:
            self.go_on.setdefault(name, asyncio.Event()).set()

    async def until(self, *names: str) -> None:
        async with asyncio.timeout(120):
            while sorted(self.begun) != sorted(names):  # noqa: ASYNC110 - the actor tells nobody what it begins
                await asyncio.sleep(0.002)

    async def _handle(self, action: Action, _txn: str) -> Done:
        name = f"{action.subject} {action.on}" if isinstance(action, Verify) else action.NAME
        self.begun.append(name)
        await self.go_on.setdefault(name, asyncio.Event()).wait()
        return Done()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with deployment(tmp_path) as place:
        await place.enter(ONE)
        bench = Bench(place)
        task = asyncio.create_task(bench.actor.run())
        yield bench
        task.cancel()
        await asyncio.wait({task})


def say(number: int = 0) -> Say:
    return Say(room=ONE, lines=(line("done.ack", n=number),))


async def test_a_mail_server_that_hangs_and_a_witness_that_hangs_do_not_wait_for_each_other(bench: Bench) -> None:
    hanging = [verify(user) for user in PEOPLE]
    await bench.place.pipeline.commit(actions=(*hanging, Witness(day="2026-11-24"), say()))
    first = [f"{user} 1" for user in PEOPLE[: APART[PROOF]]]
    await bench.until("witness", "say", *first)
    bench.free(first[0])
    await bench.until("witness", "say", *first, f"{PEOPLE[APART[PROOF]]} 1")


async def test_requests_that_hang_for_long_still_go_as_many_at_once_as_each_may(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "SLOW_S", 0.01)
    await bench.place.pipeline.commit(actions=[verify(user) for user in PEOPLE])
    first = [f"{user} 1" for user in PEOPLE[: APART[PROOF]]]
    await bench.until(*first)
    await asyncio.sleep(0.1)
    bench.place.pipeline.wake.dispatcher.set()
    await asyncio.sleep(0.1)
    assert sorted(bench.begun) == sorted(first)


async def test_people_of_a_server_that_answers_nothing_keep_nobody_else_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "SLOW_S", 0.01)
    monkeypatch.setattr(dispatcher, "MOST_SLOW", MOST_OF_A_SERVER + 2)
    words, near = (line("done.ack", n=1),), UserId("@ann:near.example")
    far = [UserId(f"@p{number}:far.example") for number in range(3 * MOST_OF_A_SERVER)]
    async with deployment(tmp_path) as place:
        await place.enter(ONE)
        begun, arrived = list[UserId](), asyncio.Event()

        async def tell(action: Tell, _txn: str) -> Done:
            begun.append(action.subject)
            if action.subject != near:
                await asyncio.Event().wait()
            arrived.set()
            return Done()

        await place.pipeline.commit(actions=[Tell(room=ONE, subject=user, lines=words) for user in (*far, near)])
        actor = OutboxDispatcher(place.stores.database, place.pipeline, {Tell: tell}, lambda: place.now)
        task = asyncio.create_task(actor.run())
        async with asyncio.timeout(120):
            await arrived.wait()
        task.cancel()
        await asyncio.wait({task})
    assert len(begun) <= MOST_OF_A_SERVER + OTHERS_AT_ONCE + 1


async def test_one_persons_steps_go_in_order_one_at_a_time(bench: Bench) -> None:
    ann, ben = PEOPLE[:2]
    await bench.place.pipeline.commit(actions=(verify(ann, 1), verify(ann, 2), verify(ben, 3)))
    await bench.until(f"{ann} 1", f"{ben} 3")
    bench.free(f"{ann} 1")
    await bench.until(f"{ann} 1", f"{ben} 3", f"{ann} 2")


async def test_a_step_runs_however_much_waits_for_the_homeserver(bench: Bench) -> None:
    await bench.place.pipeline.commit(actions=[say(number) for number in range(100)])
    file: dict[str, Any] = {"room": ONE, "url": "mxc://example.org/file", "subject": PEOPLE[0], "on": 1}
    asked = AskPlugin(plugin="labels", kind="m.image", until=bench.place.now + HOUR_MS, **file)
    look = PreviewList(
        room=ONE, target="#a:b", via="", number=1, subject=PEOPLE[0], operates=False, where=ONE, alone=False
    )
    apart = (
        verify(PEOPLE[0]),
        Witness(day="2026-11-24"),
        HashMedia(judged=True, **file),
        asked,
        look,
        Decline(room=RoomId("!r:x")),
    )
    await bench.place.pipeline.commit(actions=apart)
    others = (HashMedia.NAME, AskPlugin.NAME, PreviewList.NAME, Decline.NAME)
    await bench.until("say", "witness", f"{PEOPLE[0]} 1", *others)
    assert {each.priority for each in apart} == set(APART)


async def test_polling_without_an_outcome_leaves_no_record(tmp_path: Path) -> None:
    async with deployment(tmp_path) as place:
        await place.enter(ONE)
        looked = 0
        done = asyncio.Event()

        async def handle(_action: Action, _txn: str) -> Done:
            nonlocal looked
            looked += 1
            if looked < 5:
                raise PollAgain(500)
            return Done(after=ended)

        async def ended() -> None:
            done.set()

        actor = OutboxDispatcher(place.stores.database, place.pipeline, {Verify: handle}, lambda: place.now)
        task = asyncio.create_task(actor.run())
        await place.pipeline.commit(actions=(Verify(room=RoomId("!r:x"), subject=PEOPLE[0], sealed="", on=1),))
        async with asyncio.timeout(120):
            while not done.is_set():
                place.now += 100
                place.pipeline.wake.dispatcher.set()
                await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.wait({task})
        outcomes = [(each.action, each.result) for each in place.facts() if isinstance(each, ActionTaken)]
        assert outcomes == [("verify", "done")]


async def test_what_waits_for_nothing_still_waits_as_long_as_the_homeserver_says(tmp_path: Path) -> None:
    async with deployment(tmp_path) as place:
        await place.enter(ONE)
        tried, refused = 0, asyncio.Event()

        async def enter(action: Enter, _txn: str) -> Done:
            nonlocal tried
            tried += 1
            if tried == 1:
                refused.set()
                raise RateLimited("", request=f"/rooms/{action.room}/send/m.room.message/1", retry_after_ms=5_000)
            return Done()

        actor = OutboxDispatcher(place.stores.database, place.pipeline, {Enter: enter}, lambda: place.now)
        await place.pipeline.commit(actions=[Enter(room=RoomId("!r:x"), inviter=PEOPLE[0])])
        task = asyncio.create_task(actor.run())
        async with asyncio.timeout(120):
            await refused.wait()
            for _ in range(20):
                place.pipeline.wake.dispatcher.set()
                await place.pipeline.commit()
            assert tried == 1
            place.now += 5_000
            while tried == 1:
                place.pipeline.wake.dispatcher.set()
                await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.wait({task})


async def test_what_is_done_bit_by_bit_leaves_the_others_their_turn(tmp_path: Path) -> None:
    async with deployment(tmp_path) as place:
        await place.enter(ONE)
        begun: list[str] = []
        done = asyncio.Event()

        async def sweep(action: Sweep, _txn: str) -> Done:
            begun.append("sweep")
            if len(begun) == 1:  # from now on one request goes at a time
                raise RateLimited("", request="/rooms/!r:x/redact/$e/1", retry_after_ms=0)
            if action.found < 30:
                raise PollAgain(0, replace(action, found=action.found + 1))
            done.set()
            return Done()

        async def speak(_action: Action, _txn: str) -> Done:
            begun.append("say")
            return Done()

        await place.pipeline.commit(actions=[say()])
        place.now += PATIENCE_MS + 1
        first = Sweep(room=ONE, subject=PEOPLE[0], n=1, on=1, oldest=1, until=place.now)
        await place.pipeline.commit(actions=[first])
        actor = OutboxDispatcher(place.stores.database, place.pipeline, {Sweep: sweep, Say: speak}, lambda: place.now)
        task = asyncio.create_task(actor.run())
        async with asyncio.timeout(120):
            await done.wait()
        task.cancel()
        await asyncio.wait({task})
        assert (begun.count("sweep"), begun.index("say") <= URGENT_IN_A_ROW + 1) == (32, True)
