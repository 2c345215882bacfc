"""The search for what is due: sanctions that run out, cases to remind of, and deadlines that have passed.

Rules kept here:
- One thing is handled after the other, each with the results of the one before.
- Nothing that people had to do is due while they could not act, since the clocks of cases stand still then
  (`bot/sync/presence.py`).

Left to others: what follows (`moderation/cases/deadlines.py`, `moderation/credit/tiers.py`), when to look
(`scheduler.py`).
"""

from collections.abc import AsyncIterator
from itertools import groupby

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.pipeline.case_context import CaseContextLoader
from bot.pipeline.list_matches import ListMatching
from bot.pipeline.view_cache import ViewCache
from bot.runtime.clock import Clock
from moderation.cases.deadlines import close_case, deadline, reminder, stop_deadlines
from moderation.credit.tiers import review
from moderation.model.context import InForce, RoomView
from moderation.model.facts import OF_ROOMS, Fact, TaskOpened
from moderation.policy import Policy
from moderation.rooms import measures
from storage import queries
from storage.queries import NextTimes

from .due_verification import VerificationDue

CLOSED_AT_ONCE = 500
AT_ONCE = 50  # cases in one turn; the others wait for the next, so that received events do not wait


def _order_of(sanction: InForce) -> tuple[int, ...]:
    """Return what tells apart the measures of one order for several rooms, which end together, from all others."""
    by_order = sanction.basis == "command" and sanction.n and sanction.kind not in OF_ROOMS
    return (sanction.n, sanction.until) if by_order else (0, 0, sanction.record)


class Due:
    """The search for what is due, and for what follows."""

    def __init__(
        self, knowledge: ViewCache, policy: Policy, clock: Clock, lists: ListMatching, spared: str = ""
    ) -> None:
        """Set up; `spared`: a user who is no person, and need not be verified."""
        self._knowledge = knowledge
        self._lists = lists
        self._policy = policy
        self._loader = CaseContextLoader(knowledge, policy)
        self._clock = clock
        self._verification = VerificationDue(knowledge, policy, clock, spared)

    def any(self, next_: NextTimes, people_ms: int) -> bool:
        """Tell whether anything is due, if people could act until `people_ms`; 0: of measures only."""
        now = self._clock()
        if next_.sanction <= now or next_.order <= min(now, people_ms):
            return True
        return bool(people_ms) and (next_.case <= people_ms or self._verification.next(next_) <= now)

    def next(self, next_: NextTimes, *, cases: bool) -> int:
        """Return when something is due next, in milliseconds since 1970 UTC."""
        of_people = (next_.order, next_.case, self._verification.next(next_)) if cases else ()
        times: tuple[int, ...] = (next_.sanction, *of_people)
        return min(times)

    async def groups(self, db: AsyncConnection, people_ms: int) -> AsyncIterator[tuple[Fact, ...]]:
        """Yield the facts, one group a cause. What people had to do is due if its time lies before `people_ms`."""
        due = await queries.sanctions_due(db, self._clock(), people_ms)
        for _, together in groupby(due, _order_of):
            first, *others = together
            if facts := await self._sanction(db, first, self._clock()):
                yield (*facts, *(other.end("time", on=first.record) for other in others))
        for n in await queries.due_cases(db, people_ms, AT_ONCE) if people_ms else ():
            if facts := await self._case(db, n, people_ms):
                yield facts
        if people_ms and self._verification.next(next_ := await queries.next_times(db)) <= self._clock():
            async for facts in self._verification.groups(db, next_):
                yield facts

    async def closings(self, db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
        """Yield the cases whose time to appeal is over, some at a time."""
        before = self._clock() - self._policy.cases.appeal_within
        for n in await queries.closable_cases(db, before, CLOSED_AT_ONCE):
            case = await queries.case_view(db, n)
            if case is not None:
                yield close_case(case)

    async def _sanction(self, db: AsyncConnection, sanction: InForce, now: int) -> tuple[Fact, ...]:
        if await self._lists.still_says(db, sanction):
            return (sanction.extend(now + self._policy.lists.lasts, on=sanction.record),)
        home = sanction.room or next(iter(await queries.groups_of_person(db, sanction.subject)), None)
        room = await self._knowledge.room(db, home) if home else None
        if room is None:  # they are in no room of ours any more
            return (sanction.end("time", on=sanction.record),)
        if sanction.kind in OF_ROOMS:
            return await self._measure(db, sanction, room, now)
        context = await self._knowledge.context(db, room, sanction.subject, now)
        return review(sanction, context, self._policy)

    async def _measure(self, db: AsyncConnection, sanction: InForce, room: RoomView, now: int) -> tuple[Fact, ...]:
        """Handle a measure against a room itself.

        An operator who was already asked to look at the room is not asked again.
        """
        asked = (room.room, "room") in await queries.tasks_about_rooms(db, [room.room])
        facts = measures.due(
            sanction=sanction,
            room=room,
            in_force=await queries.measures_of_room(db, room.room),
            owner=measures.answers_for(await queries.duty_of(db, room, self._policy.operators, now)),
            n=self._knowledge.next_case,
            waiting=len(await queries.with_operator(db, room.room)),
            now_ms=now,
            policy=self._policy,
            on=sanction.record,
        )
        return tuple(fact for fact in facts if not (asked and isinstance(fact, TaskOpened)))

    async def _case(self, db: AsyncConnection, n: int, people_ms: int) -> tuple[Fact, ...]:
        waiting = await self._loader.waiting(db, n, self._clock())
        if waiting is None:
            return await self._forgotten(db, n)
        due = waiting.case.due
        if not due or due > people_ms:
            return reminder(waiting)
        return deadline(waiting)

    async def _forgotten(self, db: AsyncConnection, n: int) -> tuple[Fact, ...]:
        """Stop a case in a room that is no longer served, since nothing is due there.

        In a room that is just being entered it is due soon.
        """
        case = await queries.case_view(db, n)
        room = await self._knowledge.room(db, case.room) if case else None
        if case is None or (room is not None and room.condition != "left"):
            return ()
        return stop_deadlines(case)
