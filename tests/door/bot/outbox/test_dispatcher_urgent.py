"""Removing visible messages goes first: begun once recorded, before the tables are written, alone for a moment."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.outbox.dispatcher import OutboxDispatcher
from bot.outbox.handler import Done
from bot.outbox.selection import CALM_MS, PATIENCE_MS
from bot.pipeline import process_facts
from bot.runtime.clock import SteadyClock
from moderation.model.actions.base import URGENT, Action
from moderation.model.actions.cards import Offer, PostCard
from moderation.model.actions.removal import Redact
from moderation.model.actions.telling import Tell
from moderation.model.facts import ActionTaken, CaseOpened, CreditChanged, Fact, SanctionStarted, StatementGiven
from moderation.values.ids import EventId, UserId
from storage import outbox
from storage.database.database import Database
from storage.outbox import OutboxRow
from tests.door.bot.effects.test_anchor_day import ONE, Deployment, deployment

ANNA = UserId("@anna:example.org")


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Deployment]:
    async with deployment(tmp_path) as place:
        await place.enter(ONE)
        yield place


def violation(n: int = 1) -> tuple[Fact, ...]:
    """Return the facts of a case that a rule decided, with its redaction."""
    about: dict[str, Any] = {"room": ONE, "n": n, "subject": ANNA, "rule": "r"}
    opened = CaseOpened(
        **about, grade="minor", decide="auto", state="decided", due=0, manages=0, event=EventId(f"$m{n}")
    )
    gone = SanctionStarted(**about, kind="redact", basis="rule", event=EventId(f"$m{n}"))
    return (opened, gone, CreditChanged(**about, entry="charge", cost=5, left=95, grade="minor"))


async def rows(place: Deployment) -> list[OutboxRow]:
    async with place.stores.database.read() as db:
        return await outbox.due_rows(db, place.now, 100)


async def test_an_urgent_request_begins_after_the_journal_and_before_the_tables(place: Deployment) -> None:
    given: list[tuple[list[type[Fact]], int, list[OutboxRow]]] = []
    before = len(place.facts())

    def begin(urgent: Sequence[OutboxRow]) -> None:
        tables = place.pipeline.knowledge.next_case  # what the tables have: no case yet
        given.append(([type(fact) for fact in place.facts()[before:]], tables, list(urgent)))

    with place.pipeline.urgent.taken_by(begin):
        await place.pipeline.commit(violation())
    [(recorded, next_case, [row])] = given
    assert (recorded, next_case) == ([CaseOpened, SanctionStarted, CreditChanged], 1)
    assert [type(fact) for fact in place.facts()[before:]][3:] == [StatementGiven]
    assert row.action == Redact(room=ONE, event=EventId("$m1"), subject=ANNA, rule="r")
    queued = await rows(place)
    assert (queued[0].txn, queued[0].action, queued[0].record) == (row.txn, row.action, row.record)
    assert [type(each.action) for each in queued[1:]] == [PostCard, Tell]


async def test_the_bot_leaves_disk_and_processor_to_the_homeserver_until_it_answers(place: Deployment) -> None:
    sent = Sent(place)
    running = asyncio.create_task(sent.actor.run())
    await asyncio.sleep(0)
    unit = asyncio.create_task(place.pipeline.commit(violation()))
    await sent.until(1)
    assert place.pipeline.knowledge.next_case == 1  # the tables have no case yet
    assert not unit.done()
    began = asyncio.get_running_loop().time()
    sent.arrive.set()
    await unit
    assert asyncio.get_running_loop().time() - began < 20
    assert place.pipeline.knowledge.next_case == 2
    running.cancel()
    await asyncio.wait({running})


async def test_a_turn_waits_a_limited_time_for_all_urgent_requests_together(
    place: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    async def answered(within_s: float) -> None:
        asked.append(within_s)
        await asyncio.sleep(within_s)  # the homeserver is slow

    monkeypatch.setattr(place.pipeline.urgent, "answered", answered)

    async def many(_db: object) -> AsyncIterator[tuple[Fact, ...]]:
        for number in range(1, 9):
            yield violation(number)

    await place.pipeline.commit_with(many)
    assert asked == [process_facts._PATIENCE_S]
    assert place.pipeline.knowledge.next_case == 9


async def test_only_urgent_requests_begin_early(place: Deployment) -> None:
    given: list[Sequence[OutboxRow]] = []
    with place.pipeline.urgent.taken_by(given.append):
        await place.pipeline.commit((violation()[0],))
    assert given == []


class Sent:
    """A dispatcher that notes what it sends, and when."""

    def __init__(self, place: Deployment) -> None:
        self.order: list[tuple[str, float]] = []
        self.arrive = asyncio.Event()
        self.passed_s = 0.0
        steady = SteadyClock(lambda: place.now, lambda: time.monotonic() + self.passed_s)
        place.pipeline.steady = place.pipeline.processor.steady = steady
        handlers = {Redact: self._urgent, PostCard: self._other, Tell: self._other, Offer: self._quiet}
        self.actor = OutboxDispatcher(place.stores.database, place.pipeline, handlers, steady)
        self.wake = place.pipeline.wake.dispatcher.set

    async def _urgent(self, action: Action, _txn: str) -> Done:
        assert action.PRIORITY == URGENT
        self._note(action)
        await self.arrive.wait()
        return Done()

    async def _other(self, action: Action, _txn: str) -> Done:
        self._note(action)
        return Done()

    async def _quiet(self, _action: Action, _txn: str) -> Done:
        return Done()

    def _note(self, action: Action) -> None:
        self.order.append((action.NAME, asyncio.get_running_loop().time()))

    async def until(self, count: int) -> None:
        async with asyncio.timeout(120):
            while len(self.order) < count:  # noqa: ASYNC110 - the actor tells nobody what it sends
                await asyncio.sleep(0.002)


async def test_an_urgent_request_is_sent_once_and_its_outcome_recorded_once(place: Deployment) -> None:
    sent = Sent(place)
    sent.arrive.set()
    task = asyncio.create_task(sent.actor.run())
    await asyncio.sleep(0)
    await place.pipeline.commit(violation())
    await sent.until(3)
    while await rows(place):  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    task.cancel()
    await asyncio.wait({task})
    assert [name for name, _ in sent.order] == ["redact", "card", "tell"]
    taken = [fact.action for fact in place.facts() if isinstance(fact, ActionTaken)]
    assert [action for action in taken if action != "offer"] == ["redact", "card", "tell"]


async def test_other_requests_wait_for_a_pause_in_urgent_ones(place: Deployment) -> None:
    sent = Sent(place)
    task = asyncio.create_task(sent.actor.run())
    await asyncio.sleep(0)
    await place.pipeline.commit(violation(1))
    await sent.until(1)
    await place.pipeline.commit(violation(2))
    await sent.until(2)
    landed = asyncio.create_task(sent.actor.landed(20))
    await asyncio.sleep(0)
    assert not landed.done()
    arrived = asyncio.get_running_loop().time()
    sent.arrive.set()
    await landed
    await sent.until(5)
    task.cancel()
    await asyncio.wait({task})
    assert [name for name, _ in sent.order[:2]] == ["redact", "redact"]
    assert sent.order[2][1] - arrived >= CALM_MS / 1000


async def test_other_requests_wait_a_limited_time_during_full_sync_answers(place: Deployment) -> None:
    sent = Sent(place)
    sent.arrive.set()
    task = asyncio.create_task(sent.actor.run())
    await asyncio.sleep(0)
    sent.actor.crowded()
    await place.pipeline.commit(violation())
    await sent.until(1)
    while len(await rows(place)) > 2:  # noqa: ASYNC110 - what is urgent does not wait
        await asyncio.sleep(0.002)
    for _ in range(PATIENCE_MS // 500 - 1):
        sent.passed_s += 0.5
        sent.actor.crowded()  # answers that come full, one after the other
        sent.wake()
        await asyncio.sleep(0.002)
    assert [name for name, _ in sent.order] == ["redact"]
    sent.passed_s += 0.5
    sent.actor.crowded()
    sent.wake()
    await sent.until(3)
    task.cancel()
    await asyncio.wait({task})
    assert sorted(name for name, _ in sent.order) == ["card", "redact", "tell"]


async def test_waiting_for_an_urgent_request_has_a_limit(place: Deployment) -> None:
    sent = Sent(place)
    task = asyncio.create_task(sent.actor.run())
    await asyncio.sleep(0)
    await place.pipeline.commit(violation())
    await sent.until(1)
    await asyncio.wait_for(sent.actor.landed(0.01), 10)
    task.cancel()
    await asyncio.wait({task})
    assert [name for name, _ in sent.order] == ["redact"]


class HeldUp:
    """The database, with readers that wait at a gate as on a busy machine."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.gate = asyncio.Event()
        self.waits = asyncio.Event()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        self.waits.set()
        await self.gate.wait()
        async with self._database.read() as db:
            yield db


async def test_a_request_begun_during_selection_is_not_begun_again(place: Deployment) -> None:
    sent = Sent(place)
    database = HeldUp(place.stores.database)
    sent.actor._database = database  # type: ignore[assignment]
    task = asyncio.create_task(sent.actor.run())
    await database.waits.wait()
    await place.pipeline.commit(violation())
    await sent.until(1)
    database.gate.set()
    while len(await rows(place)) < 3:  # noqa: ASYNC110 - it has looked once it has seen the others
        await asyncio.sleep(0)
    sent.arrive.set()
    await sent.until(3)
    task.cancel()
    await asyncio.wait({task})
    assert [name for name, _ in sent.order] == ["redact", "card", "tell"]
