"""Random histories of the dispatcher: whatever handlers answer, and when, the outbox becomes empty by itself."""

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.matrix.errors import Forbidden, HomeserverError, RateLimited, Unreachable
from bot.outbox import dispatcher
from bot.outbox.dispatcher import OutboxDispatcher
from bot.outbox.handler import Done, PollAgain, RetryLater
from bot.runtime.clock import SteadyClock
from moderation.model.actions.base import Action
from moderation.model.actions.removal import Redact
from moderation.model.actions.rooms import Align, Decline, Enter
from moderation.model.actions.telling import Say, ShowPower, Tell, TellDesk
from moderation.values.ids import EventId, UserId
from moderation.values.notices import line
from storage import outbox
from tests.door.bot.effects.test_anchor_day import ONE, TWO, Deployment, deployment
from tests.examples import ALL

KINDS = (Redact, Align, Tell, TellDesk, ShowPower, Say, Enter, Decline)
PAUSES_S = (0, 0, 0.001, 0.005, 0.02, 0.05)


@dataclass
class History:
    """A random history: after `surprises` of them, requests only succeed."""

    place: Deployment
    chance: random.Random
    steady: SteadyClock
    surprises: int = 60
    made: int = field(default=0)

    def action(self) -> Action:
        """Return an action that waits for others of its room or person, merges with others, or does neither."""
        self.made += 1
        room, who = self.chance.choice((ONE, TWO)), UserId(f"@p{self.chance.randrange(4)}:example.org")
        words = (line("done.ack", n=self.made),)
        return self.chance.choice(
            (
                Redact(room=room, event=EventId(f"$m{self.made}"), subject=who),
                Align(room=room),
                Tell(room=room, subject=who, lines=words, n=self.chance.randrange(3)),
                Tell(room=room, subject=who, lines=words, first=True),
                TellDesk(room=room, lines=words, once=self.chance.choice(("", "a", "b"))),
                ShowPower(room=room),
                Say(room=room, lines=words),
                Enter(room=room, inviter=who),
                Decline(room=room),
            )
        )

    async def handle(self, action: Action, _txn: str) -> Done:
        """End as a request may: done, with more to do; to be repeated; refused; or with a defect."""
        await asyncio.sleep(self.chance.choice(PAUSES_S))
        if self.surprises <= 0 or self.chance.random() < 0.5:
            return self._done(action)
        self.surprises -= 1
        wait_ms = self.chance.choice((1, 30, 100))
        raise self.chance.choice(
            (
                Unreachable("x", request="PUT /rooms/!a/send/x"),
                RetryLater("y", tries=30, first_ms=self.chance.choice((1, 5, 50)), last_ms=60),
                PollAgain(self.chance.choice((0, 1, 20))),
                PollAgain(self.chance.choice((0, 1, 20)), action),
                RateLimited("z", request="PUT /_matrix/client/v3/rooms/!a/send/x", retry_after_ms=wait_ms),
                RateLimited("z", request="POST /createRoom", retry_after_ms=wait_ms),
                Forbidden("no", errcode="M_FORBIDDEN"),
                HomeserverError("no"),
                ValueError("a defect"),
            )
        )

    def _done(self, action: Action) -> Done:
        more: dict[str, Any] = {}
        if self.surprises > 0 and self.chance.random() < 0.5:
            self.surprises -= 1
            more = self.chance.choice(
                (
                    {"actions": tuple(self.action() for _ in range(self.chance.randrange(1, 3)))},
                    {"also": self._queued(self.action(), self.chance.choice((0, 0, 1, 30)))},
                    {"also": lambda db: outbox.make_said_due(db, action.room)},
                )
            )
        pause_s = self.chance.choice(PAUSES_S)
        return Done(**more, after=(lambda: asyncio.sleep(pause_s)) if pause_s else None)

    def _queued(self, action: Action, wait_ms: int) -> Any:
        async def put(db: AsyncConnection) -> None:
            now = self.steady()
            await outbox.put(db, (action,), cause=None, now=now, not_before=now + wait_ms if wait_ms else 0)

        return put

    async def produce(self) -> None:
        """Want actions now and then, alone or in heaps."""
        for _ in range(self.chance.randrange(5, 12)):
            await asyncio.sleep(self.chance.choice((0, 0.001, 0.01, 0.1)))
            await self.place.pipeline.commit(actions=[self.action() for _ in range(self.chance.choice((1, 1, 2, 12)))])


@pytest.mark.examples
@pytest.mark.parametrize("seed", range(2 if ALL else 1))
async def test_the_outbox_becomes_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(dispatcher, "FIRST_RETRY_MS", 5)
    monkeypatch.setattr(dispatcher, "SLOW_S", 0.01)
    monkeypatch.setattr(dispatcher, "MOST_SLOW", 3)
    async with deployment(tmp_path) as place:
        await place.enter(ONE, TWO)
        steady = SteadyClock(lambda: place.now)
        place.pipeline.steady = place.pipeline.processor.steady = steady
        history = History(place, random.Random(seed), steady)
        actor = OutboxDispatcher(place.stores.database, place.pipeline, dict.fromkeys(KINDS, history.handle), steady)
        running = asyncio.create_task(actor.run())
        async with asyncio.timeout(120):
            await asyncio.gather(*(history.produce() for _ in range(3)))
            while await place.stores.database.fetch(outbox.count):
                assert not running.done()
                await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.wait({running})
