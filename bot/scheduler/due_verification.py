"""The search for what is due where rooms ask for verification: people to tell, remove, demote, restore or let in.

Rules kept here:
- Everything is checked from scratch each time, so that nothing is forgotten, however it came about.
- A check costs one query a room. It is done when something is known to be due, when anybody's verification changed, and
  once a minute for people who came meanwhile.
- Only some are handled at a time, so that received events do not wait.

Left to others: what follows (`moderation/people/verification.py`), reading (`storage/queries/verification.py`).
"""

from collections.abc import AsyncIterator, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.pipeline.view_cache import ViewCache
from bot.runtime.clock import Clock
from moderation.model.context import Context, RoomView
from moderation.model.facts import Fact
from moderation.people import door as at_the_door
from moderation.people import verification
from moderation.policy import Policy
from moderation.values.ids import RoomId, UserId
from storage import queries

BEAT_MS = 60_000
AT_ONCE = 50
_UNDER_WAY_MS = 3_600_000  # how long a request to the homeserver is not repeated

Facts = tuple[Fact, ...]
Step = Callable[[verification.Guest, verification.Asks, Context, Policy], Facts]
Next = Callable[[verification.Guest, verification.Asks, RoomView], int]


class VerificationDue:
    """The search for what is due; it knows when to look next."""

    def __init__(self, knowledge: ViewCache, policy: Policy, clock: Clock, spared: str = "") -> None:
        """Set up; `spared`: a user who is no person, and is asked for nothing."""
        self._knowledge = knowledge
        self._policy = policy
        self._clock = clock
        self._spared = spared
        self._seen: int | None = None  # the newest verification at the last look
        self._look_at = 0
        self._times: list[int] = []
        self._beat_ms = _beat(policy)

    def next(self, known: queries.NextTimes) -> int:
        """Return when to look next, in milliseconds since 1970 UTC."""
        return self._look_at if known.newest_verification == self._seen else 0

    async def groups(self, db: AsyncConnection, known: queries.NextTimes) -> AsyncIterator[Facts]:
        """Yield the facts, one group a cause."""
        now, found = self._clock(), 0
        self._seen, self._times = known.newest_verification, []
        async for facts in self._all(db, now):
            yield facts
            found += 1
            if found == AT_ONCE:
                break
        # What was done brings new dates, which are found by looking again.
        self._look_at = now if found else min([now + self._beat_ms, *(time for time in self._times if time > now)])

    async def _all(self, db: AsyncConnection, now: int) -> AsyncIterator[Facts]:
        async for facts in self._restored(db, now):
            yield facts
        asked = verification.any_room_asks(self._policy.verification) or await queries.any_asks(db)
        rooms = await queries.active_groups(db) if asked else ()
        for name in rooms:
            room = await self._knowledge.room(db, name)
            if room is not None:
                async for facts in self._in_room(db, room, now):
                    yield facts
        for ending in await queries.endings(db, now):
            if facts := self._ending(ending, now):
                yield facts

    async def _restored(self, db: AsyncConnection, now: int) -> AsyncIterator[Facts]:
        for sanction in await queries.demoted_unverified(db):
            room = await self._knowledge.room(db, sanction.room) if sanction.room else None
            subject = await self._knowledge.person(db, sanction.subject, now)
            if why := verification.why_demotion_ends(subject, room, self._policy, now):
                yield (sanction.end(why, on=sanction.record),)

    async def _in_room(self, db: AsyncConnection, room: RoomView, now: int) -> AsyncIterator[Facts]:
        asks = verification.asked_of(room, self._policy)
        if asks.of_managers:
            guests = await queries.members_below(db, room.room, asks.manage, asks, now, managers=True)
            async for facts in self._guests(
                db, guests, asks, room, now, verification.manages, verification.manages_next
            ):
                yield facts
        if asks.of_members and asks.below == "remove":
            guests = await queries.members_below(db, room.room, asks.write, asks, now)
            async for facts in self._guests(
                db, guests, asks, room, now, verification.facts_of_staying, verification.next_step
            ):
                yield facts
        if asks.gated:
            async for facts in self._at_the_door(db, room, now):
                yield facts
        if asks.gated or asks.below == "remove":
            async for facts in self._outside(db, room, now):
                yield facts

    async def _guests(
        self,
        db: AsyncConnection,
        guests: Sequence[verification.Guest],
        asks: verification.Asks,
        room: RoomView,
        now: int,
        step: Step,
        next_: Next,
    ) -> AsyncIterator[Facts]:
        for guest in (each for each in guests if each.user != self._spared):
            if (time := next_(guest, asks, room)) > now:
                self._times.append(time)
            elif facts := step(guest, asks, await self._context(db, room, guest.user, now), self._policy):
                yield facts

    async def _at_the_door(self, db: AsyncConnection, room: RoomView, now: int) -> AsyncIterator[Facts]:
        for user, answered in (await queries.knocking_people(db, room.room)).items():
            context = await self._context(db, room, user, now)
            if _under_way(context, room.room, now):
                continue
            if at_the_door.welcome(context.subject, room, context.bot, self._policy, now):
                yield at_the_door.admit(room.room, user)
            elif not answered:
                yield at_the_door.answer_knock(context, self._policy, on=-1)
            elif answered + at_the_door.KNOCK_STANDS <= now:
                yield at_the_door.refuse_knock(room.room, user)
            else:
                self._times.append(answered + at_the_door.KNOCK_STANDS)

    async def _outside(self, db: AsyncConnection, room: RoomView, now: int) -> AsyncIterator[Facts]:
        for user in await queries.outside(db, room.room, room.code):
            context = await self._context(db, room, user, now)
            if at_the_door.welcome(context.subject, room, context.bot, self._policy, now):
                yield at_the_door.admit(room.room, user)

    async def _context(self, db: AsyncConnection, room: RoomView, user: UserId, now: int) -> Context:
        return await self._knowledge.context(db, room, user, now)

    def _ending(self, ending: queries.Ending, now: int) -> Facts:
        if ending.until <= now:
            return () if ending.told_over >= ending.until else verification.expires(ending.user, ending.until, now)
        begins = verification.warned_from(ending.at, ending.until)
        if begins <= now and ending.told < begins:
            return verification.expires(ending.user, ending.until, now)
        self._times.append(max(begins, now + 1) if ending.told < begins else ending.until)
        return ()


def _under_way(context: Context, room: RoomId, now: int) -> bool:
    """Tell whether they were invited or refused a moment ago, and the homeserver has not told of it yet."""
    told = context.subject.told
    return any(now - told.get((room, what), -_UNDER_WAY_MS) < _UNDER_WAY_MS for what in ("admitted", "refused"))


def _beat(policy: Policy) -> int:
    """Return how often to look for people who came meanwhile: often enough that no short grace ends unseen."""
    settings = policy.verification
    graces = (settings.grace, *(each.grace for each in settings.rooms if each.grace))
    return min(BEAT_MS, *(grace // 4 for grace in graces))
