"""The dispatcher, which turns rows of the outbox into requests to the homeserver and records their outcomes.

Rules kept here:
- Urgent actions are begun as soon as they are recorded, before they are in the outbox (`Pipeline.urgent`).
- When the homeserver says to wait, nothing is sent until then, since every refused request costs both sides time.
- Waits that the homeserver orders are logged, and told in the desks that wait for long (`slowed.py`).
- A request that failed for a passing reason is retried later with the same transaction id.
- A request that can never succeed is recorded as refused, and the desk is told once.
- The outcome is recorded in the unit of work that removes the row, so a crash between sending and recording only
  repeats a request that the homeserver recognises.
- The outcomes of all requests that have ended meanwhile are recorded together.
- A request that is not urgent frees its place for another one if no answer comes for some seconds: inviting somebody,
  or writing to them for the first time, takes as long as their server wishes.

Left to others: which row goes next (`selection.py`), how each action is done (`bot/effects/`), what to send
(`moderation/consequences/`).
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.matrix.errors import Answered, HomeserverError, LoggedOut, RateLimited, Unreachable
from bot.matrix.rate_limit import Limit
from bot.pipeline.outcome import Outcome
from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from moderation.model.actions.base import STATE, URGENT, Action
from moderation.model.actions.telling import TellDesk
from moderation.model.facts import ActionTaken
from moderation.values.errors import Broken
from moderation.values.ids import EventId, UserId, server_of
from moderation.values.notices import Phrase, line
from storage import outbox
from storage.database.database import Database
from storage.outbox import OutboxRow

from .handler import Done, Handlers, PollAgain, RetryLater
from .selection import ALWAYS, APART, AT_ONCE, Past, choose, look_again
from .slowed import Slowed

log = structlog.get_logger()

LOOK_AHEAD = 8  # rows of each priority, in addition to those under way
TRIES_AFTER_DEFECT = 2
FIRST_RETRY_MS = 500
LAST_RETRY_MS = 60_000
PUT_OFF_MS = 10_000, 600_000  # shortest and longest wait for a server that answers nothing
SLOW_S = 5.0  # after so long without an answer a request frees its place, sooner the more often it was tried
MOST_SLOW = 64  # requests without an answer that have freed their places
MOST_OF_A_SERVER = 8  # of them, for the people of another server; what is owed to more of them is put off
# Synapse counts all events of a sender against one limit (`rc_message`): messages, redactions, state, removals and
# bans. Making rooms, inviting, joining and files have limits of their own.
_COUNTED = re.compile(r"/rooms/[^/]+/(?:send|redact|state|kick|ban|unban|leave)\b")


class OutboxDispatcher:
    """The part that empties the outbox. `clock` must be the steady clock of the outbox (`Pipeline.steady`)."""

    def __init__(
        self, database: Database, pipeline: Pipeline, handlers: Handlers, clock: Clock, slowed: Slowed | None = None
    ) -> None:
        self._database = database
        self._pipeline = pipeline
        self._handlers = handlers
        self._clock = clock
        self._awake = pipeline.wake.dispatcher
        self._slowed = slowed or Slowed()
        self._past = Past(slow_until=ALWAYS if self._slowed.known else 0)
        self._left: list[OutboxRow] = []  # the rows that were read last and not begun
        self._read_all = False  # no more rows than those were due when they were read
        self._over: set[str] = set()  # those in flight whose outcome is recorded, which has removed their rows
        self._flying: dict[str, OutboxRow] = {}  # begun and not recorded yet, by transaction id
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun: set[str] = set()  # begun since the outbox was read last, or in flight then
        self._sending: dict[str, OutboxRow] = {}  # not answered yet, in the order in which they were begun
        self._urgent: set[asyncio.Task[None]] = set()  # urgent and not recorded yet
        self._outcomes: list[Outcome] = []  # to be recorded
        self._recording = asyncio.Lock()
        self.failure: asyncio.Future[None] | None = None

    def _begin_urgent(self, rows: Sequence[OutboxRow]) -> None:
        """Begin as many urgent rows as may go. They are recorded, and will soon be in the outbox."""
        if self._past.at_once < AT_ONCE or self._clock() < self._past.slow_until:
            return  # few may be sent: all that wait must be compared first
        left = [row for row in self._left if row.txn not in self._begun]
        for row in self._choose([*left, *rows], self._clock()):
            if row in rows:
                self._fly(row)

    def crowded(self) -> None:
        """Note that many events are coming in: what is not urgent waits until they are judged, but not for ever."""
        self._past = self._past.crowded(self._clock())

    def learn_limit(self, limit: Limit) -> None:
        """Note what was found out about the homeserver's rate limit; it counts from the next request on."""
        self._slowed.learn(limit)
        self._past = replace(self._past, slow_until=ALWAYS if self._slowed.known else 0)
        self._awake.set()

    async def landed(self, within_s: float) -> None:
        """Wait until the urgent requests that are being sent now are recorded, but at most `within_s` seconds."""
        if self._urgent:
            await asyncio.wait(self._urgent, timeout=within_s)

    async def run(self) -> None:
        """Work until cancelled. Raises errors that make continuing useless: `LoggedOut`, those of a failing disk."""
        self.failure = asyncio.get_running_loop().create_future()
        try:
            with self._pipeline.urgent.taken_by(self._begin_urgent):
                while True:
                    self._awake.clear()
                    now = self._clock()  # taken once: `_sleep` waits for what is due after it, however long this took
                    due = await self._start_some(now)
                    await self._sleep(now, due)
        finally:
            try:
                await self._land()
            finally:
                if self.failure.done():
                    self.failure.exception()  # mark it as retrieved: what ended the loop is reported by others

    async def _start_some(self, now: int) -> int | None:
        """Begin what may be begun now. Returns the next time at which a row is due, or None."""
        self._begun = set(self._flying)  # requests that end or begin while we read may be among the rows
        async with self._database.read() as db:
            rows, due = await outbox.due_and_next(db, now, LOOK_AHEAD + len(self._begun))
        self._read_all = len(rows) < LOOK_AHEAD
        rows = [row for row in rows if row.txn not in self._begun]
        chosen = self._choose(rows, now)
        self._left = [row for row in rows if row not in chosen]
        if any(row.action.merge for row in chosen):
            chosen = await self._marked(chosen)
        for row in chosen:
            if row.txn not in self._begun:  # by `_begin_urgent`, meanwhile
                self._fly(row)
        return due

    async def _marked(self, chosen: Sequence[OutboxRow]) -> list[OutboxRow]:
        """Mark rows as being sent, and return them as they are then: more may have been added to them meanwhile."""
        now: dict[int, Action] = {}

        async def mark(db: AsyncConnection) -> None:
            now.update(await outbox.mark_sending(db, [row.id for row in chosen]))

        await self._pipeline.commit(also=mark)
        return [replace(row, action=now.get(row.id, row.action)) for row in chosen]

    def _choose(self, rows: Sequence[OutboxRow], now: int) -> list[OutboxRow]:
        busy = {row.action.queue for row in self._flying.values()} - {None}
        return choose(rows, list(self._sending.values()), busy, self._past, now)

    def _fly(self, row: OutboxRow) -> None:
        task = asyncio.create_task(self._do(row), name=f"act {row.txn}")
        self._flying[row.txn] = self._sending[row.txn] = row
        self._begun.add(row.txn)
        self._tasks.add(task)
        if row.priority <= URGENT:
            self._urgent.add(task)
        elif row.priority not in APART:
            self._free_later(row)

        def landed(done: asyncio.Task[None]) -> None:
            self._answered(row)
            del self._flying[row.txn]
            self._tasks.discard(done)
            self._urgent.discard(done)
            if row.txn not in self._over or self._may_begin_more():
                self._awake.set()
            self._over.discard(row.txn)
            if not done.cancelled() and (error := done.exception()) and self.failure and not self.failure.done():
                self.failure.set_exception(error)

        task.add_done_callback(landed)

    def _answered(self, row: OutboxRow) -> None:
        """Free the place of a request for another one; the outcome of this one is recorded meanwhile."""
        if self._sending.pop(row.txn, None) is not None and self._may_begin_more():
            self._awake.set()

    def _free_later(self, row: OutboxRow) -> None:
        """Free the place of a request for another one if it is not answered in time."""

        def free() -> None:
            if self._sending.get(row.txn) is not row:
                return
            if len(self._silent()) < MOST_SLOW:
                self._answered(row)
            else:
                self._free_later(row)

        asyncio.get_running_loop().call_later(SLOW_S / min(1 + row.attempts, 5), free)

    def _silent(self) -> list[OutboxRow]:
        """Return the rows that have freed their places without an answer."""
        rows = self._flying.values()
        return [row for row in rows if row.txn not in self._sending and row.priority not in APART]

    def _waits_for_silent(self, row: OutboxRow) -> bool:
        """Tell whether a request may depend on another server, from which enough answers are missing."""
        server = _server(row.action)
        if row.priority <= URGENT or row.priority in APART or server in ("", server_of(self._pipeline.settings.bot)):
            return False
        return sum(_server(each.action) == server for each in self._silent()) >= MOST_OF_A_SERVER

    def _may_begin_more(self) -> bool:
        """Tell whether a row may wait for a place: what was queued since the rows were read wakes us itself."""
        return bool(self._left) or not self._read_all

    async def _ask(self, row: OutboxRow) -> Done:
        handler = self._handlers[type(row.action)]
        try:
            with self._pipeline.urgent.asking() if row.priority <= URGENT else nullcontext():
                done = await handler(row.action, row.txn)
            self._past = self._past.taken(row, self._clock())
            return done
        except Answered:
            self._past = self._past.taken(row, self._clock())
            raise
        except PollAgain as again:
            if again.action is not None:  # part of it was accepted
                self._past = self._past.taken(row, self._clock())
            raise
        finally:
            self._answered(row)

    async def _do(self, row: OutboxRow) -> None:
        if self._waits_for_silent(row):
            await self._again(row, _backoff(row.attempts, *PUT_OFF_MS))
            return
        try:
            done = await self._ask(row)
        except LoggedOut:
            raise
        except RateLimited as error:
            await self._limited(row, error)
        except Unreachable as error:
            log.info("act_later", action=row.action.NAME, why=str(error))
            await self._again(row, _backoff(row.attempts))
        except RetryLater as error:
            await self._later(row, error)
        except PollAgain as error:
            await self._again(row, error.wait_ms, error.action, merges=error.action is None)
        except Answered as error:
            log.warning("act_refused", action=row.action.NAME, room=row.action.room, why=str(error))
            await self._finish(row, Done(result="refused", code=error.errcode or "-"))
        except HomeserverError as error:
            log.warning("act_refused", action=row.action.NAME, room=row.action.room, why=str(error))
            await self._finish(row, Done(result="refused"))
        except (OSError, Broken, SQLAlchemyError):
            raise  # the disk fails: nothing after it could be trusted
        except Exception:
            log.exception("act_failed", action=row.action.NAME, record=row.record)
            await self._after_defect(row)
        else:
            await self._finish(row, done)

    async def _after_defect(self, row: OutboxRow) -> None:
        """Retry an action after a defect of ours, or give it up: it must neither stop the others nor run for ever."""
        if row.attempts < TRIES_AFTER_DEFECT:
            await self._again(row, _backoff(row.attempts))
        else:
            await self._finish(row, Done(result="abandoned", code="defect"))

    async def _later(self, row: OutboxRow, error: RetryLater) -> None:
        log.warning("act_later", action=row.action.NAME, why=str(error), tried=row.attempts + 1)
        if row.attempts + 1 < error.tries:
            await self._again(row, _backoff(row.attempts, error.first_ms, error.last_ms), merges=True)
        else:
            await self._finish(row, error.given_up)

    async def _finish(self, row: OutboxRow, done: Done) -> None:
        action = row.action
        taken = ActionTaken(
            room=action.room or None,
            on=row.record,
            action=action.NAME,
            result=done.result,
            code=_word(done.code),
            n=getattr(action, "n", 0),
            txn=row.txn,
            subject=getattr(action, "subject", None) or getattr(action, "to", None) or UserId(""),
            event=getattr(action, "event", EventId("")),
            made=done.made,
        )
        told = (_refusal(action, done.code),) if done.result == "refused" and action.PRIORITY <= STATE else ()
        await self._record(Outcome((*done.facts, taken), (*done.actions, *told), done.also, row.txn))
        self._over.add(row.txn)
        if done.after is not None:
            await done.after()

    async def _record(self, outcome: Outcome) -> None:
        """Record an outcome, together with all others that arrive while it waits."""
        self._outcomes.append(outcome)
        async with self._recording:
            if outcome in self._outcomes:
                await self._record_all()

    async def _record_all(self) -> None:
        outcomes = list(self._outcomes)
        await self._pipeline.commit_all(outcomes)
        self._outcomes = self._outcomes[len(outcomes) :]

    async def _limited(self, row: OutboxRow, error: RateLimited) -> None:
        """Wait as the homeserver says: with everything if such requests share one limit, else only with this row."""
        told: tuple[Action, ...] = ()
        also = partial(outbox.not_started, row=row) if row.action.merge else None
        counted = _COUNTED.search(error.request) is not None
        if counted:
            now = self._clock()
            self._past = self._past.limited(now + error.retry_after_ms)
            told = self._slowed.refused([row, *self._left], error.retry_after_ms, now)
        if not counted or row.priority in APART:  # which do not wait with the others
            also = partial(outbox.retry_later, txn=row.txn, not_before=self._clock() + error.retry_after_ms)
        if also or told:
            await self._record(Outcome(actions=told, also=also))

    async def _again(self, row: OutboxRow, wait_ms: int, left: Action | None = None, *, merges: bool = False) -> None:
        """Try a row again after a time. `merges`: nothing of it was sent, so the same wanted meanwhile is this one."""

        async def later(db: AsyncConnection) -> None:
            await outbox.retry_later(db, row.txn, self._clock() + wait_ms, left)
            if merges and row.action.merge:
                await outbox.not_started(db, row)

        await self._record(Outcome(also=later))

    async def _sleep(self, since: int, due: int | None) -> None:
        """Wait until something is queued, a request ends, or a row becomes due that was not due at `since`."""
        assert self.failure is not None
        times = [time for time in (due, look_again(self._left, self._past, since)) if time is not None]
        timeout = min((max(time - self._clock(), 1) / 1000 for time in times), default=None)
        waking = asyncio.create_task(self._awake.wait())
        both: set[asyncio.Future[Any]] = {waking, self.failure}
        try:
            await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()
        if self.failure.done():
            self.failure.result()

    async def _land(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._outcomes:
            await self._record_all()


def _refusal(action: Action, code: str) -> TellDesk:
    """Return the message to the managers that something could not be done; at most one waits to be sent."""
    what = Phrase(f"action.{action.NAME}")
    return TellDesk(room=action.room, lines=(line("desk.refused", what=what, code=code),), once="refused")


def _server(action: Action) -> str:
    """Return the server of the person whom an action concerns."""
    return server_of(getattr(action, "subject", None) or getattr(action, "to", None) or "")


def _backoff(attempts: int, first_ms: int = FIRST_RETRY_MS, last_ms: int = LAST_RETRY_MS) -> int:
    return int(min(first_ms * 2 ** min(attempts, 20), last_ms))


def _word(code: str) -> str:
    """Return an error code of the homeserver in a form that is safe for the skeleton of a record."""
    kept = "".join(c for c in code if c.isascii() and (c.isalnum() or c in "_.-"))
    return kept[:64] or "-"
