"""The answers to events that wait for their delivery: messages, reactions, names and topics of people on this server.

Rules kept here:
- People of other servers are not refused here: on their servers the event would stand, and the bot, from whom this
  server hides it, could not remove it. It is judged after its delivery.
- An event is judged as the homeserver will deliver it. If an answer comes too late for that, it is not judged here.
- Of the refusals of one person within a minute a limited number is recorded (`bot/pipeline/refusal_cap.py`). More are
  refused all the same, and counted in the log.

Left to others: the judgement and its record (`bot/pipeline/beforehand.py`), the words (`bot/texts/beforehand.py`).
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

import structlog

from bot.events.parse_event import receive
from bot.pipeline.beforehand import BeforeDelivery, Beforehand, RefusedIn
from bot.pipeline.refusal_cap import MOST_OF_PERSON, RefusalCap
from bot.runtime.clock import Clock
from moderation.values.ids import UserId, server_of

from .frames import now_ms
from .protocol import EventQuestion

MOST_TOGETHER = 50  # questions that are judged in one turn, so that others have theirs

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Waiting:
    asked: BeforeDelivery
    answer: asyncio.Future[RefusedIn | None]


class MessageJudge:
    """The answers to `EventQuestion`, for the people of one server."""

    def __init__(self, beforehand: Beforehand, server: str, clock: Clock) -> None:
        self._beforehand = beforehand
        self._server = server
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._work: asyncio.Task[None] | None = None
        self._recorded = RefusalCap(MOST_OF_PERSON)

    async def ask(self, asked: EventQuestion, by_ms: int) -> RefusedIn | None:
        """Return why an event is refused; None if it goes through. `by_ms`: until when an answer matters."""
        event = receive(asked.event, asked.room, self._clock())
        if event.sender is None or server_of(event.sender) != self._server or not self._beforehand.concerns(event):
            return None
        if self._beforehand.lets_through(event):
            return None
        user = event.sender
        due = BeforeDelivery(event, asked.event, lambda: now_ms() <= by_ms, lambda: self._records(user))
        waiting = _Waiting(due, asyncio.Future())
        self._waiting.append(waiting)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._judge_all())
        return await waiting.answer

    async def _judge_all(self) -> None:
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(MOST_TOGETHER, len(self._waiting)))]
            try:
                answers = await self._beforehand.judge([each.asked for each in some])
            except Exception as error:
                for each in some:
                    _fail(each.answer, error)
                continue
            for each, answer in zip(some, answers, strict=True):
                if not each.answer.done():
                    each.answer.set_result(answer)

    def _records(self, user: UserId) -> bool:
        """Count a refusal, and return whether it is recorded."""
        at_ms = now_ms()
        if not self._recorded.has_room(user, at_ms):
            log.warning("antispam_refused_unrecorded", user=user)
            return False
        self._recorded.add(user, at_ms)
        return True


def _fail(answer: asyncio.Future[RefusedIn | None], error: Exception) -> None:
    with suppress(asyncio.InvalidStateError):
        answer.set_exception(error)
