"""The cache of what was read from the database about rooms and people, until something about them changes.

Most messages break no rule; judging them must not cost a query each.

Rules kept here:
- Whatever a fact concerns is forgotten as soon as the fact is written, and read again inside the same transaction.
- All accounts of a person are forgotten together.
- After a failed transaction everything is forgotten.
- The cache of people is bounded: the least recently used entry goes first. That of rooms is not: they are those served,
  and with a bound, rooms that speak in turn would all be read again and again.
"""

from bisect import insort
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.runtime.newest import Newest
from moderation.model.builtin_rules import OWN_RULES
from moderation.model.context import Context, PersonView, RoomView
from moderation.model.facts import REMOVING, Fact, RoomListed, SanctionEnded, SanctionStarted
from moderation.rooms.slow_mode import HELD_BACK
from moderation.rules.check import Counted
from moderation.values.events import MessagePosted, Received
from moderation.values.ids import RoomId, UserId
from storage import queries

from .comings import Comings
from .messages_standing import MessagesStanding
from .on_the_way import OnTheWay

MAX_PEOPLE = 20_000
MAX_TIMES = 1_000  # of one person in one room


class ViewCache:
    """The views of rooms and people that the pipeline judges by."""

    def __init__(self, bot: UserId, *, incident_ms: int, window_ms: int) -> None:
        self.bot = bot
        self._incident_ms = incident_ms
        self._window_ms = window_ms
        self.standing = MessagesStanding()
        self.comings = Comings()
        self.on_the_way = OnTheWay()
        self._rooms: dict[RoomId, RoomView] = {}
        self._people: Newest[UserId, PersonView] = Newest(MAX_PEOPLE)
        self._times: Newest[tuple[RoomId, UserId], deque[int]] = Newest(MAX_PEOPLE)
        self._others: Newest[tuple[RoomId, UserId], deque[tuple[int, Counted]]] = Newest(MAX_PEOPLE)
        self._stood: Newest[tuple[RoomId, UserId], int | None] = Newest(MAX_PEOPLE)  # only what was asked for before
        self._accounts: dict[UserId, frozenset[UserId]] = {}  # of those who have several
        self.next_case = 0

    async def begin(self, db: AsyncConnection) -> None:
        """Forget everything; read what must be known from the start."""
        self._rooms.clear()
        self._people.clear()
        self._times.clear()
        self._others.clear()
        self._stood.clear()
        self.standing.clear()
        self.comings.clear()
        self.on_the_way.clear()
        self._accounts.clear()
        self.next_case = await queries.next_case(db)

    def number_cases_from(self, number: int) -> None:
        """Give new cases numbers from this one on, if lower ones are taken."""
        self.next_case = max(self.next_case, number)

    async def room(self, db: AsyncConnection, room: RoomId) -> RoomView | None:
        """Return a room that the bot serves, or None."""
        if known := self._rooms.get(room):
            return known
        view = await queries.room_view(db, room, self.bot)
        if view is not None:
            self._rooms[room] = view
        return view

    async def person(self, db: AsyncConnection, user: UserId, now_ms: int) -> PersonView:
        """Return a person, with what counts for or against them."""
        if known := self._people.use(user):
            return known
        since = now_ms - 2 * self._incident_ms
        view = await queries.person_view(db, user, now_ms=now_ms, recent_since=since)
        return self._remember(user, view) if user else view  # facts about nobody do not say whose view changes

    def _remember(self, user: UserId, view: PersonView) -> PersonView:
        if len(view.accounts) > 1:
            self._accounts |= dict.fromkeys(view.accounts, view.accounts)
        self._people[user] = view
        return view

    async def prepare(self, db: AsyncConnection, events: Sequence[Received], now_ms: int) -> None:
        """Read the rooms of these events, and all their senders together. Nobody may be writing meanwhile."""
        for room in dict.fromkeys(event.room for event in events):
            await self.room(db, room)
        users = {event.sender: None for event in events if event.sender and event.sender not in self._people}
        if len(users) == 1:
            await self.person(db, next(iter(users)), now_ms)
        elif users:
            since = now_ms - 2 * self._incident_ms
            for user, view in (await queries.people_views(db, tuple(users), now_ms=now_ms, recent_since=since)).items():
                self._remember(user, view)

    async def posted(self, db: AsyncConnection, room: RoomId, user: UserId, at_ms: int) -> None:
        """Note that somebody has just posted."""
        times = await self._times_of(db, room, user, at_ms)
        while times and at_ms - times[0] > self._window_ms:
            times.popleft()
        if len(times) == MAX_TIMES:
            times.popleft()
        insort(times, at_ms)

    async def posted_lately(self, db: AsyncConnection, room: RoomId, user: UserId, now_ms: int) -> tuple[int, ...]:
        """Return when somebody posted, oldest first, as far back as a rule may look."""
        times = await self._times_of(db, room, user, now_ms)
        return tuple(at_ms for at_ms in times if now_ms - at_ms <= self._window_ms)

    async def _times_of(self, db: AsyncConnection, room: RoomId, user: UserId, now_ms: int) -> deque[int]:
        times = self._times.use((room, user))
        if times is None:
            found = await queries.recent_times(db, room, user, now_ms - self._window_ms, MAX_TIMES)
            times = self._times[room, user] = deque(found, maxlen=MAX_TIMES)
        return times

    def did(self, room: RoomId, user: UserId, at_ms: int, what: Counted) -> None:
        """Note that somebody has just done something that is counted like posting, but only since the start."""
        times = self._others.use((room, user))
        if times is None:
            times = self._others[room, user] = deque(maxlen=MAX_TIMES)
        while times and at_ms - times[0][0] > self._window_ms:
            times.popleft()
        if len(times) == MAX_TIMES:
            times.popleft()
        insort(times, (at_ms, what))

    async def stood(self, db: AsyncConnection, event: MessagePosted) -> int | None:
        """Return the time (ms) of the sender's last message in this room before this one that was not held back.

        It is the time at which that message counts as said; None if there is no such message.
        """
        key = (event.room, event.sender)
        if key not in self._stood:
            self._stood[key] = await queries.last_stood(db, event.room, event.sender, event.event)
        return self._stood.use(key)

    def stands(self, event: MessagePosted) -> None:
        """Note that this message was not held back."""
        key = (event.room, event.sender)
        if key in self._stood:
            self._stood[key] = event.counted_ms

    async def context(self, db: AsyncConnection, room: RoomView, user: UserId, now_ms: int) -> Context:
        """Return all that is needed to judge what `user` did in `room` at `now_ms`."""
        return self._context(room, await self.person(db, user, now_ms), now_ms)

    def _context(self, room: RoomView, person: PersonView, now_ms: int) -> Context:
        key = (room.room, person.user)
        return Context(
            now_ms=now_ms,
            room=room,
            subject=person,
            bot=self.bot,
            next_case=self.next_case,
            recent_ms=tuple(self._times.use(key) or ()),
            recent_others=tuple(self._others.use(key) or ()),
        )

    def at_hand(self, room: RoomId, user: UserId, now_ms: int) -> Context | None:
        """Return what `context` does, with all times of messages, without the database; None if something is missing.

        It may be asked for while somebody writes.
        """
        context, times = self.known(room, user, now_ms), self._times.use((room, user))
        if context is None or times is None:
            return None
        return replace(context, recent_ms=tuple(at_ms for at_ms in times if now_ms - at_ms <= self._window_ms))

    def known(self, room: RoomId, user: UserId, now_ms: int) -> Context | None:
        """Return what `context` does without the database; None if the room or the person has to be read."""
        view, person = self._rooms.get(room), self._people.use(user)
        return None if view is None or person is None else self._context(view, person, now_ms)

    def changed(self, facts: Sequence[Fact]) -> None:
        """Forget the people and rooms that these facts concern."""
        for fact in facts:
            self.standing.changed(fact)
            if _changes_nobody(fact):
                continue
            self._person_changed(getattr(fact, "subject", None))
            self._person_changed(getattr(fact, "target", None))  # of two accounts that are linked, or no longer
            if fact.room is not None and fact.CHANGES != "people alone":
                self._rooms.pop(fact.room, None)
            if isinstance(fact, RoomListed):  # the managers of the room now manage in another community
                self._people.clear()
            if fact.CHANGES == "all rooms" or _suspends_everywhere(fact):
                self._rooms.clear()

    def moved(self, user: UserId) -> None:
        """Forget somebody: where they are has changed."""
        self._people.pop(user, None)

    def room_changed(self, room: RoomId) -> None:
        """Forget a room: its levels or its name have changed."""
        self._rooms.pop(room, None)

    def _person_changed(self, user: UserId | None) -> None:
        if user:
            for account in self._accounts.pop(user, {user}):
                self._people.pop(account, None)


def _suspends_everywhere(fact: Fact) -> bool:
    """Tell whether a fact may change who has a role in rooms other than its own."""
    if not isinstance(fact, SanctionStarted | SanctionEnded) or fact.kind not in ("demote", "ban"):
        return False
    return fact.room is None or bool(fact.reach)


def _changes_nobody(fact: Fact) -> bool:
    """Tell whether a fact changes nothing about anybody.

    A removal is over as soon as it is done: nothing holds afterwards. But people are told only once in a while of a
    removal by the bot's own rules, so it matters when they were told last.
    """
    if isinstance(fact, SanctionStarted):
        return fact.kind in REMOVING and fact.rule not in OWN_RULES and fact.rule not in HELD_BACK
    return fact.CHANGES == "nothing"
