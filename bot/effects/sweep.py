"""The removal of all that somebody wrote in a room for some time: by `!redact @x 24h`, or with a ban.

Rules kept here:
- What is found is kept in the outbox before the first of it is redacted. The transaction id of each redaction is made
  of case and event. So a repeat after a crash asks for nothing twice.
- A few messages go at a time, all at once; then what is more urgent has its turn. Once the homeserver accepts no more,
  one goes at a time, and one more at once with each that is accepted.
- A message that the homeserver refuses to redact keeps no other from it; the outcome says so. One for which no answer
  comes goes last, and is given up after an hour in which the homeserver was there for other requests. A sweep of which
  anything was refused or given up can be asked for again.
- The bot looks again until nothing more is found: while the room is behind (for an hour at most), since what was
  written before the order may still come; and if the person is removed, too, until it sees that they are out. What they
  write after an order that does not remove them, or once they are back, stays.

Left to others: which messages are meant (`storage/queries/sweeps.py`), the request (`redact_and_kick.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from bot.matrix.errors import Forbidden, HomeserverError, RateLimited, Rejected, TooLarge, Unreachable
from bot.outbox.handler import ActionHandler, Done, Handlers, PollAgain, Services
from moderation.model.actions.removal import Redact, Sweep
from moderation.model.actions.telling import TellDesk
from moderation.model.builtin_rules import LISTED
from moderation.values.durations import HOUR_MS
from moderation.values.ids import EventId
from moderation.values.notices import Who, line
from storage import queries
from storage.state.backfill import gap_of

AT_ONCE = 4
AGAIN_MS, AGAIN_BEHIND_MS = 500, 5_000
PATIENCE_MS = 15_000
LAST_AGAIN_MS = 60_000
TRIES = 67  # for messages for which only errors come: about an hour
BEHIND_MS = HOUR_MS  # how long it waits for a room that is behind
_FINAL = (Forbidden, TooLarge, Rejected)  # for this message, not for others


class Sweeper(ActionHandler):
    """The handler of `Sweep`."""

    def __init__(self, services: Services, redact: Callable[[Redact, str], Awaitable[Done]]) -> None:
        super().__init__(services)
        self._redact = redact
        self._at_once = AT_ONCE
        self._unanswered: set[EventId] = set()
        self.handles: Handlers = {Sweep: self.sweep}

    async def sweep(self, action: Sweep, _txn: str) -> Done:
        """Redact the next few messages, or look for more."""
        if action.events:
            left = await self._redact_some(action)
            raise PollAgain(_pause(left.tries) if left.tries > action.tries else 0, left)
        found, patience = await self._look(action)
        if found:
            seen, ids = max(each.record for each in found), tuple(each.event for each in found)
            raise PollAgain(0, replace(action, events=ids, seen=seen, found=action.found + len(ids)))
        if self._clock() < action.until + patience:
            raise PollAgain(AGAIN_MS if patience == PATIENCE_MS else AGAIN_BEHIND_MS)
        return _outcome(action, self._policy.sweep.at_most)

    async def _redact_some(self, action: Sweep) -> Sweep:
        """Redact the next few messages and return what is left to do. Raises what kept it from all of them."""
        events = sorted(action.events, key=self._unanswered.__contains__)
        some, rest = events[: self._at_once], events[self._at_once :]
        outcomes = await asyncio.gather(*(self._redact_one(action, each) for each in some), return_exceptions=True)
        errors = {each: error for each, error in zip(some, outcomes, strict=True) if isinstance(error, BaseException)}
        final = [error for error in errors.values() if isinstance(error, _FINAL)]
        later = {each: error for each, error in errors.items() if isinstance(error, RateLimited | Unreachable)}
        limited = any(isinstance(error, RateLimited) for error in later.values())
        self._at_once = 1 if limited else min(self._at_once + 1, AT_ONCE)
        self._unanswered -= set(some)
        self._unanswered |= {each for each, error in later.items() if isinstance(error, Unreachable)}
        if len(later) == len(some) and self._unanswered.issuperset(events) and await self._is_there():
            return _tried(action)
        if len(later) == len(some) or len(final) + len(later) < len(errors):
            raise next(error for error in errors.values() if not isinstance(error, _FINAL))
        refused = action.refused or next((error.errcode or "-" for error in final), "")
        return replace(action, events=(*later, *rest), refused=refused, tries=0)

    async def _is_there(self) -> bool:
        """Return whether the homeserver answers other requests."""
        try:
            await self._homeserver.whoami()
        except HomeserverError:
            return False
        return True

    async def _redact_one(self, action: Sweep, event: EventId) -> Done:
        one = Redact(room=action.room, event=event, subject=action.subject, rule=action.rule)
        return await self._redact(one, f"answerable.sweep.{action.n}.{event}")

    async def _look(self, action: Sweep) -> tuple[tuple[queries.WrittenEvent, ...], int]:
        """Return what is to be redacted and was not found before, and for how long after the order more may come."""
        room, left = action.room, self._policy.sweep.at_most - action.found
        async with self._database.read() as db:
            accounts = await queries.accounts_of(db, action.subject)
            behind = await gap_of(db, room) is not None
            removed = action.n > 0 and await queries.was_removed(db, action.n, action.subject, room)
            leaving = removed and bool(await queries.joined_of(db, room, accounts))
            oldest = max(action.oldest, action.seen + 1)
            ends = await queries.came_back(db, room, accounts, action.until, action.n) if removed else action.until
            places = await queries.with_former_rooms(db, room)
            found = await queries.written_from(
                db, places, accounts, oldest, left, n=action.n, before=action.on, before_ms=ends
            )
        patience = BEHIND_MS if behind else PATIENCE_MS if leaving else 0
        return tuple(found), patience if left > 0 else 0


def _pause(tries: int) -> int:
    """Return how long to wait (ms) after so many tries."""
    return int(min(AGAIN_MS * 2 ** min(tries, 20), LAST_AGAIN_MS))


def _tried(action: Sweep) -> Sweep:
    """Return what is left after one more try for which only errors came: the same; after an hour of tries nothing."""
    if action.tries < TRIES:
        return replace(action, tries=action.tries + 1)
    return replace(action, events=(), unanswered=action.unanswered + len(action.events))


def _outcome(action: Sweep, at_most: int) -> Done:
    """Return the outcome. A person who orders a removal is told its limit at once; for one by a list the desk is."""
    told: tuple[TellDesk, ...] = ()
    if action.rule == LISTED and action.found >= at_most:
        said = line("desk.swept-most", n=action.n, who=Who(action.subject), count=action.found)
        told = (TellDesk(room=action.room, lines=(said,)),)
    if action.unanswered:
        said = line("desk.unanswered", who=Who(action.subject), count=action.unanswered)
        told = (*told, TellDesk(room=action.room, lines=(said,), once="unanswered"))
    if action.refused:
        return Done(result="refused", code=action.refused, actions=told)
    return Done(result="abandoned", code="unanswered", actions=told) if action.unanswered else Done(actions=told)
