"""Turns rows of the outbox into requests to the homeserver, most urgent first, and records what became of them.

Rules this module keeps:
- urgent things (a violation that can still be seen) go several at once and are never kept waiting by what is not
  urgent: nothing else is sent while they wait, since a homeserver's rate limit is one budget for nearly all requests;
  they are begun as soon as they are recorded, before they stand in the outbox (`at_once`); in a flood they come one
  after the other, so what is not urgent waits until none has been sent for a moment, and no room is kept waiting by
  cards and words about what it can still see; while answers of the homeserver come full, the same holds for a while
  (`crowded`), since each outcome is a turn of its own and keeps what was said from being judged;
- when the homeserver says to wait, nothing is asked until then, since every refused request costs both sides time;
- a request that failed for a passing reason is tried again later, with the same transaction id; one that can never
  succeed is recorded as refused, and the owner is told, once;
- what is asked of others than the homeserver (`APART`) goes by itself, waits for nothing and keeps nothing waiting, not
  even what is asked of others again; of one person's proofs one goes at a time, in order;
- the outcome is recorded in the turn that removes the row, so a crash between sending and recording only repeats a
  request that the homeserver recognises.
Left to others: how each action is done (`HANDLERS`, one module a noun), what to send (`moderation/consequences.py`)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.actions import OUTSIDE, PROOF, STATE, URGENT, Action, TellDesk
from moderation.errors import Broken
from moderation.facts import ActionTaken, Fact
from moderation.ids import EventId, UserId
from moderation.notices import Phrase, line
from storage import outbox
from storage.database import Database
from storage.outbox import Waiting

from .clock import Clock
from .homeserver_errors import Answered, HomeserverError, LoggedOut, RateLimited, Unreachable
from .pipeline import Pipeline

log = structlog.get_logger()

URGENT_AT_ONCE = 4
CALM_S = 0.1  # so long after the last urgent thing others may be sent
UNCROWDED_S = 1.0  # so long after the last answer that was full; by then the next one has been taken
CROWDED_S = 10.0  # so long at most others wait for that, and then for as long they need not
OTHERS_AT_ONCE = 1
APART: Mapping[int, int] = {OUTSIDE: 1, PROOF: 8}  # how many at once
LOOK_AHEAD = 32
TRIES_AFTER_DEFECT = 2
FIRST_RETRY_MS = 500
LAST_RETRY_MS = 60_000
_OWN_BUDGETS = ("/createRoom", "/invite")


@dataclass(frozen=True, slots=True)
class Done:
    """What a handler did: its own facts, and what the action's record shall say."""

    facts: tuple[Fact, ...] = ()
    actions: tuple[Action, ...] = ()
    made: str = ""
    result: str = "done"
    code: str = "-"
    also: Callable[[AsyncConnection], Awaitable[None]] | None = None  # written with it, in the same transaction
    after: Callable[[], Awaitable[None]] | None = None  # done once that is written; a crash may leave it out


Handler = Callable[[Action, str], Awaitable[Done]]


class Later(Exception):
    """It cannot be done yet, for a reason that is not the homeserver's.

    It is tried `tries` times in all, with pauses that double from `first_ms` up to `last_ms`; then `given_up` is what
    was done.
    """

    def __init__(self, why: str, given_up: Done, *, tries: int, first_ms: int, last_ms: int) -> None:
        super().__init__(why)
        self.given_up = given_up
        self.tries = tries
        self.first_ms = first_ms
        self.last_ms = last_ms


class Again(Exception):
    """Nothing has come of it yet, as was to be expected: look again after `wait_ms`."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__(wait_ms)
        self.wait_ms = wait_ms


class Actor:
    """Empties the outbox."""

    def __init__(
        self, database: Database, pipeline: Pipeline, handlers: Mapping[type[Action], Handler], clock: Clock
    ) -> None:
        self._database = database
        self._pipeline = pipeline
        self._handlers = handlers
        self._clock = clock
        self._awake = asyncio.Event()
        self._running = False
        self._flying: dict[str, asyncio.Task[None]] = {}  # by transaction id
        self._begun: set[str] = set()  # since the outbox was looked into last, or flying then
        self._urgent: set[asyncio.Task[None]] = set()  # of those
        self._unanswered: set[asyncio.Future[None]] = set()  # of those, what the homeserver has not answered yet
        self._apart_flying: list[Action] = []
        self._limited_until = 0  # the homeserver takes no messages before this time
        self._calm_at = 0.0  # on the loop's clock: when nothing urgent will have been sent for a moment
        self._held_back = False  # something waits for that
        self._crowded_since = self._crowded_last = -CROWDED_S
        self._others_until = 0  # the same, learnt by something that is not urgent: what is urgent asks for itself
        self.failure: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Something was queued."""
        self._awake.set()

    def at_once(self, rows: Sequence[Waiting]) -> None:
        """Begin with urgent rows, as many as may go. They are recorded, and will be in the outbox before long."""
        if self._running and self._clock() >= self._limited_until:
            for row in rows[: max(URGENT_AT_ONCE - len(self._urgent), 0)]:
                self._fly(row)

    def crowded(self) -> None:
        """Much is coming in: what is not urgent waits until it has been judged, but not for ever."""
        now = asyncio.get_running_loop().time()
        if now - self._crowded_last > UNCROWDED_S:
            self._crowded_since = now
        self._crowded_last = now
        if (now - self._crowded_since) % (2 * CROWDED_S) < CROWDED_S:  # half of the time, where it does not end
            self._calm_at = max(self._calm_at, now + UNCROWDED_S)

    async def landed(self, within_s: float) -> None:
        """Until what is urgent and is being sent now has arrived, but not for longer than `within_s`."""
        if self._urgent:
            await asyncio.wait(self._urgent, timeout=within_s)

    async def answered(self, within_s: float) -> None:
        """Until the homeserver has answered what is urgent and is being sent now, but not for longer than `within_s`.

        Unlike `landed` this does not wait until that is recorded, so it may be awaited by whoever keeps others from
        recording anything.
        """
        if self._unanswered:
            await asyncio.wait(self._unanswered, timeout=within_s)

    async def run(self) -> None:
        """Work until cancelled. Raises what makes it useless to go on: `LoggedOut`, a failing disk."""
        self.failure = asyncio.get_running_loop().create_future()
        self._running = True
        try:
            while True:
                self._awake.clear()
                now = self._clock()  # once: what is due after it is waited for, whatever time has passed meanwhile
                await self._start_some(now)
                await self._sleep(now)
        finally:
            self._running = False
            await self._land()

    async def _start_some(self, now: int) -> None:
        self._begun = set(self._flying)  # what lands, or begins, while we look may be among the rows
        async with self._database.read() as db:
            rows = await outbox.waiting(db, now, LOOK_AHEAD + len(self._begun), without=tuple(APART))
            for priority in APART:  # by itself: however much waits for the homeserver, it is seen
                rows += await outbox.waiting(db, now, LOOK_AHEAD + len(self._begun), only=priority)
        rows = [row for row in rows if row.txn not in self._begun]
        chosen = self._choose(rows, now)
        if not chosen:
            return
        if any(row.action.merge for row in chosen):
            await self._pipeline.commit(also=_started([row.id for row in chosen]))
        for row in chosen:
            self._fly(row)

    def _choose(self, rows: Sequence[Waiting], now: int) -> list[Waiting]:
        urgent = [row for row in rows if row.action.PRIORITY == URGENT]
        others = [row for row in rows if row.action.PRIORITY != URGENT and row.action.PRIORITY not in APART]
        apart = [row for priority in APART for row in self._choose_apart(rows, priority)]
        if now < self._limited_until:
            return apart
        self._held_back = bool(others) and self._calm_in() > 0
        if urgent or self._urgent or now < self._others_until or self._held_back:
            others = []
        free = URGENT_AT_ONCE - len(self._urgent)
        slow = OTHERS_AT_ONCE - (len(self._flying) - len(self._urgent) - len(self._apart_flying))
        return [*urgent[: max(free, 0)], *others[: max(slow, 0)], *apart]

    def _choose_apart(self, rows: Sequence[Waiting], priority: int) -> list[Waiting]:
        """The next of what is asked of others, of each person one."""
        flying = [each for each in self._apart_flying if priority == each.PRIORITY]
        busy = {_of_whom(each) for each in flying}
        chosen: list[Waiting] = []
        for row in rows:
            if priority == row.action.PRIORITY and ((who := _of_whom(row.action)) is None or who not in busy):
                busy.add(who)
                chosen.append(row)
        return chosen[: max(APART[priority] - len(flying), 0)]

    def _fly(self, row: Waiting) -> None:
        urgent, apart = row.action.PRIORITY == URGENT, row.action.PRIORITY in APART
        if apart:
            self._apart_flying.append(row.action)
        task = asyncio.create_task(self._do(row), name=f"act {row.txn}")
        self._flying[row.txn] = task
        self._begun.add(row.txn)
        if urgent:
            self._urgent.add(task)

        def landed(done: asyncio.Task[None]) -> None:
            self._flying.pop(row.txn, None)
            if urgent:
                self._urgent.discard(done)
                self._calm_at = max(self._calm_at, asyncio.get_running_loop().time() + CALM_S)
            if apart:
                self._apart_flying.remove(row.action)
            self._awake.set()
            if not done.cancelled() and (error := done.exception()) and self.failure and not self.failure.done():
                self.failure.set_exception(error)

        task.add_done_callback(landed)

    async def _ask(self, row: Waiting) -> Done:
        handler = self._handlers[type(row.action)]
        if row.action.PRIORITY != URGENT:
            return await handler(row.action, row.txn)
        answered = asyncio.get_running_loop().create_future()
        self._unanswered.add(answered)
        try:
            return await handler(row.action, row.txn)
        finally:
            self._unanswered.discard(answered)
            answered.set_result(None)

    async def _do(self, row: Waiting) -> None:
        try:
            done = await self._ask(row)
        except LoggedOut:
            raise
        except RateLimited as error:
            await self._limited(row, error)
        except Unreachable as error:
            log.info("act_later", action=row.action.NAME, why=str(error))
            await self._again(row, _backoff(row.attempts))
        except Later as error:
            await self._later(row, error)
        except Again as error:
            await self._again(row, error.wait_ms)
        except Answered as error:
            log.warning("act_refused", action=row.action.NAME, room=row.action.room, why=str(error))
            await self._finish(row, Done(result="refused", code=error.errcode or "-"))
        except HomeserverError as error:
            log.warning("act_refused", action=row.action.NAME, room=row.action.room, why=str(error))
            await self._finish(row, Done(result="refused"))
        except (OSError, Broken, SQLAlchemyError):
            raise  # the disk: nothing that follows could be believed
        except Exception:
            log.exception("act_failed", action=row.action.NAME, record=row.record)
            await self._after_defect(row)
        else:
            await self._finish(row, done)

    async def _after_defect(self, row: Waiting) -> None:
        """A defect of ours in one action must not stop the others, nor be tried for ever."""
        if row.attempts < TRIES_AFTER_DEFECT:
            await self._again(row, _backoff(row.attempts))
        else:
            await self._finish(row, Done(result="abandoned", code="defect"))

    async def _later(self, row: Waiting, error: Later) -> None:
        log.warning("act_later", action=row.action.NAME, why=str(error), tried=row.attempts + 1)
        if row.attempts + 1 < error.tries:
            await self._again(row, _backoff(row.attempts, error.first_ms, error.last_ms))
        else:
            await self._finish(row, error.given_up)

    async def _finish(self, row: Waiting, done: Done) -> None:
        action = row.action
        taken = ActionTaken(
            room=action.room or None,
            on=row.record,
            action=action.NAME,
            result=done.result,  # type: ignore[arg-type]
            code=_word(done.code),
            n=getattr(action, "n", 0),
            txn=row.txn,
            subject=getattr(action, "subject", UserId("")),
            event=getattr(action, "event", EventId("")),
            made=done.made,
        )
        told = (_refusal(action, done.code),) if done.result == "refused" and action.PRIORITY <= STATE else ()
        await self._pipeline.commit(
            (*done.facts, taken), actions=(*done.actions, *told), also=done.also, of_row=row.txn
        )
        if done.after is not None:
            await done.after()

    async def _limited(self, row: Waiting, error: RateLimited) -> None:
        """Wait as told. Making rooms and inviting have budgets of their own, so then only this row waits."""
        until = self._clock() + error.retry_after_ms
        if row.action.PRIORITY == URGENT:
            self._limited_until = max(self._limited_until, until)
        elif not error.request.endswith(_OWN_BUDGETS):
            self._others_until = max(self._others_until, until)
        await self._again(row, error.retry_after_ms)

    async def _again(self, row: Waiting, wait_ms: int) -> None:
        until = self._clock() + wait_ms

        async def later(db: AsyncConnection) -> None:
            await outbox.later(db, row.txn, until)

        await self._pipeline.commit(also=later)

    async def _sleep(self, since: int) -> None:
        """Until something is queued, something lands, or the time of something comes that was not there at `since`."""
        assert self.failure is not None
        async with self._database.read() as db:
            due = await outbox.next_time(db, since)
        times = [time for time in (due, self._limited_until, self._others_until) if time is not None and time > since]
        waits = [max(time - self._clock(), 1) / 1000 for time in times]
        if self._held_back:
            waits.append(max(self._calm_in(), 0.0))
        timeout = min(waits, default=None)
        waking = asyncio.create_task(self._awake.wait())
        both: set[asyncio.Future[Any]] = {waking, self.failure}
        try:
            await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()
        if self.failure.done():
            self.failure.result()

    def _calm_in(self) -> float:
        """Seconds until what is not urgent may be sent; not more than 0: now."""
        return self._calm_at - asyncio.get_running_loop().time()

    async def _land(self) -> None:
        for task in list(self._flying.values()):
            task.cancel()
        await asyncio.gather(*self._flying.values(), return_exceptions=True)


def _started(rows: Sequence[int]) -> Callable[[AsyncConnection], Awaitable[None]]:
    async def mark(db: AsyncConnection) -> None:
        await outbox.started(db, rows)

    return mark


def _of_whom(action: Action) -> UserId | None:
    """Whose turn it is: nobody's own actions overtake each other."""
    return getattr(action, "subject", None)


def _refusal(action: Action, code: str) -> TellDesk:
    """The word to the managers that something could not be done; once while it waits to be said."""
    what = Phrase(f"action.{action.NAME}")
    return TellDesk(room=action.room, lines=(line("desk.refused", what=what, code=code),), once="refused")


def _backoff(attempts: int, first_ms: int = FIRST_RETRY_MS, last_ms: int = LAST_RETRY_MS) -> int:
    return int(min(first_ms * 2 ** min(attempts, 20), last_ms))


def _word(code: str) -> str:
    """An error code of the homeserver, safe for a skeleton."""
    kept = "".join(c for c in code if c.isascii() and (c.isalnum() or c in "_.-"))
    return kept[:64] or "-"
