"""receive -> record -> judge -> (outbox): the only way in which anything is written.

Rules kept here, in this order, for every batch:
1. What was received is appended to the journal and fsynced; only then is it judged.
2. The facts that follow are appended and fsynced; only then are their urgent consequences begun.
3. Only then is one database transaction committed, with the tables, the outbox rows and the sync token.

So a message that the homeserver delivered is on disk before the token that acknowledges it, and what is in the journal
but not in the database is caught up at the start (`replay.py`). A defect in judging one event is noted and does not
stop the others; a failing disk stops everything.
Left to others: running one unit of work at a time (`writer.py`), what follows from facts (`process_facts.py`), codes
that people show to others (`shown_codes.py`), why an event cannot be read (`unread_reasons.py`), which events are new
(`new_events.py`), events refused before their delivery (`withholding.py`), checkpoints and days of the journal
(`journal_access.py`), what an event is (`bot/events/parse_event.py`) and gives rise to (`judge_event.py`), what a
command does (`commands/`), sending (`bot/outbox/dispatcher.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.runtime.clock import Clock
from bot.runtime.wakeup import Wake
from moderation.model.actions.base import Action
from moderation.model.actions.rooms import Align, KeepDesk
from moderation.model.facts import ConsoleCommand, Fact, KnownOfFile, RoomStateChanged
from moderation.values.events import MembershipChanged, MessagePosted, Received, StateChanged
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import line
from storage import outbox
from storage.database.database import Database
from storage.journal.journal import Journal
from storage.journal.record import Draft
from storage.projections import project_room_state
from storage.record_mapping import draft_of_event

from .event_reader import EventReader
from .in_flight import InFlight
from .journal_access import JournalAccess
from .judge_event import Judging, unharmed
from .judging_costs import JudgingCosts
from .list_matches import ListMatching
from .lost_time import LostTime
from .new_events import during_stays, fresh_ones, known_ids, read_late
from .outcome import Outcome, with_one_cause
from .process_facts import FactProcessor
from .room_changes import RoomChanges
from .room_registry import ServedRooms
from .shown_codes import ShownCodes
from .unit_of_work import Answer, PipelineSettings, Responder, UnitOfWork
from .urgent_rows import UrgentRows
from .view_cache import ViewCache
from .watched_lists import WatchedLists
from .withholding import Withholding
from .writer import Writer

COUNTED = (MessagePosted, MembershipChanged)  # for these, when they were sent counts after an absence


class Pipeline:
    """The way in for events, outcomes and deadlines."""

    def __init__(
        self,
        journal: Journal,
        database: Database,
        knowledge: ViewCache,
        settings: PipelineSettings,
        clock: Clock,
        reader: EventReader,
        responder: Responder,
        lists: WatchedLists,
        steady: Clock | None = None,
    ) -> None:
        self.settings = settings
        self.steady = steady or clock  # the time of the outbox
        self.knowledge = knowledge
        self.served = ServedRooms()
        self.wake = Wake()
        self.urgent = UrgentRows()
        self.writer = Writer(journal, database, self.begin)
        self.processor = FactProcessor(self.writer, knowledge, settings, self.served, self.urgent, self.steady)
        self.lists = lists
        self.matching = ListMatching(knowledge, self.lists, settings.policy)
        self.rooms = RoomChanges(knowledge, settings, self.matching)
        self.costs = JudgingCosts()
        self.lost_time = LostTime(database, self.served, settings.bot)
        self._judging = Judging(knowledge, self.rooms, responder, settings, journal, self.costs)
        self.contexts = self._judging.contexts
        self.unread_messages = self._judging.unread
        self.withholding = Withholding(
            self.writer, self.processor, self._judging, knowledge, self.served, clock, self._woken_by
        )
        self.in_flight = InFlight()  # by the last stop
        self._journal = journal
        self._database = database
        self._clock = clock
        self._reader = reader
        self._responder = responder
        self.shown_codes = ShownCodes(settings.bot, knowledge, database, self.served, responder)
        self.journal = JournalAccess(journal, self.writer, self.processor, clock, self._woken_by)

    async def begin(self) -> None:
        """Read what must be known before the first unit of work."""
        async with self._database.read() as db:
            await self.writer.begin(db)
            await self.processor.begin(db)
            await self.served.begin(db)
            await self.knowledge.begin(db)
            await self._responder.begin(db)

    async def catch_up(self, apply: Callable[[UnitOfWork], Awaitable[int]]) -> int:
        """Run `apply` (of `replay.py`) in one unit of work, before anything else is taken."""

        async def work() -> int:
            async with self.writer.unit_of_work() as unit:
                return await apply(unit)

        self.writer.is_catching_up()
        return await self.writer.run_exclusive(work())

    # What comes from the homeserver.

    async def take(
        self,
        events: Sequence[Received],
        *,
        token: str | None = None,
        also: Callable[[AsyncConnection], Awaitable[None]] | None = None,
        heard_ms: int = 0,
    ) -> int:
        """Record and judge events, and queue what follows. Returns how many were new.

        Events of rooms that are not served, and events seen before, are left out. `token` is the sync token that
        acknowledges all of them; `also` runs in the transaction that stores it. `heard_ms`: when the homeserver was
        last heard before, if the events were not received at the time they were sent.

        Events that will take long to judge are taken in slices; between them other work has its turn.
        """
        *before, last = self.costs.slices(events)
        new = 0
        for some in before:
            new += await self._take(some, None, None, heard_ms)
        return new + await self._take(last, token, also, heard_ms)

    async def _take(
        self,
        events: Sequence[Received],
        token: str | None,
        also: Callable[[AsyncConnection], Awaitable[None]] | None,
        heard_ms: int,
    ) -> int:
        async def work() -> int:
            served = [event for event in events if event.room in self.served.codes]
            readable, known = await asyncio.gather(self._read(served), self._known(served))
            if heard_ms:
                readable = [replace(e, heard_ms=heard_ms) if isinstance(e, COUNTED) else e for e in readable]
            there = during_stays(readable, self.settings.bot, self.served.is_own)
            recorded = [event for event in there if self.served.records(event.room)]
            return await self._take_fresh(fresh_ones(recorded, known), token, also)

        return await self.writer.run_exclusive(work())

    def is_asked(self, event: Received) -> bool:
        """Tell whether an event of a group may ask something of the bot."""
        return isinstance(event, MessagePosted) and self._responder.asks(event, direct=False)

    async def take_late(self, events: Sequence[Received]) -> int:
        """Record and judge events, once, whose key came after they were recorded as not read. Returns how many."""

        async def work() -> int:
            unread = await self._database.fetch(read_late, events)
            return await self._take_fresh(unread, None)

        return await self.writer.run_exclusive(work())

    async def open_room(
        self, room: RoomId, snapshot: Sequence[Received], also: Callable[[AsyncConnection], Awaitable[None]]
    ) -> None:
        """Begin to record a room: first its members and state, then its condition and roles.

        `also` runs in the transaction with which recording begins: what was said since the notice is still to be read.
        """

        async def work() -> None:
            served = [event for event in snapshot if event.room in self.served.codes]
            await self._take_fresh(fresh_ones(served, await self._known(served)), None)
            async with self.writer.unit_of_work() as unit:
                self.knowledge.room_changed(room)
                view = await self.knowledge.room(unit.db, room)
                assert view is not None, "a room is entered before it is opened"
                roles = await self.rooms.role_changes(unit.db, view, -1, UserId(""))
                opened = RoomStateChanged(room=room, condition=self.rooms.condition(view))
                shared = (*await self.rooms.servers(unit, view), *await self.rooms.asking(unit, view))
                aligned = (Align(room=room), *shared)
                answer = Answer((opened, *roles), (KeepDesk(room=room), *aligned, *self.rooms.lobby(view)))
                await self.processor.process(unit, answer, cause=unit.next_index, at_ms=self._clock())
                await also(unit.db)
            self.wake()

        await self.writer.run_exclusive(work())

    async def _take_fresh(
        self,
        fresh: Sequence[Received],
        token: str | None,
        also: Callable[[AsyncConnection], Awaitable[None]] | None = None,
    ) -> int:
        if not fresh and token is None and also is None:
            return 0
        await self.shown_codes.begin(fresh)
        drafts = [self._draft(event) for event in fresh]
        first = await self.writer.write(drafts, meanwhile=self._look_up(fresh)) if drafts else self._journal.size
        async with self.writer.unit_of_work() as unit:
            for index, (event, draft) in enumerate(zip(fresh, drafts, strict=True), first):
                unit.counts.add(draft.kind, draft.group, draft.at_ms, index)
                await self.handle(unit, index, event, draft.kind)
            if token is not None:
                unit.meta["sync_token"] = token
            if also is not None:
                await also(unit.db)
        self._woken_by(unit)
        self._reader.recorded(fresh)
        return len(fresh)

    async def handle(
        self, unit: UnitOfWork, index: int, event: Received, kind: str, present: Sequence[tuple[int, Fact]] = ()
    ) -> None:
        """Judge the event recorded at `index`, and process all that follows from it.

        `present` are its facts that the journal already has (after a crash); they are not written again.
        """
        unit.seen.append((index, event, kind))
        before = await self.knowledge.room(unit.db, event.room) if isinstance(event, StateChanged) else None
        if isinstance(event, StateChanged) and await project_room_state(unit.db, event):
            self.knowledge.room_changed(event.room)
        room = await self.knowledge.room(unit.db, event.room)
        if room is None:
            return
        answer = await self._judging.follow(unit, index, event, room, before or room, self.processor.era)
        answer = self.shown_codes.without_words(answer, event, room)
        await self.processor.process(unit, answer, cause=index, at_ms=event.received_ms, present=present)

    # What comes from inside: outcomes, deadlines, starts.

    async def commit(
        self,
        facts: Sequence[Fact] = (),
        *,
        actions: Sequence[Action] = (),
        also: Callable[[AsyncConnection], Awaitable[None]] | None = None,
        of_row: str | None = None,
    ) -> None:
        """Record facts that no event caused, and what follows from them; `also` runs in the same transaction.

        With `of_row` (a transaction id) they are the outcome of a row of the outbox: nothing is recorded if its outcome
        is known already, and no fact of it twice.
        """
        await self.commit_all([Outcome(tuple(facts), tuple(actions), also, of_row)])

    async def commit_all(self, outcomes: Sequence[Outcome]) -> None:
        """Record several outcomes as `commit` does, one after the other, without letting others write between them.

        The actions of outcomes of requests are queued first: if the bot is killed in between, the request is repeated.
        """

        async def work() -> None:
            if asking := [outcome for outcome in outcomes if outcome.of_row is not None and outcome.actions]:
                async with self.writer.unit_of_work() as unit:
                    for outcome in asking:
                        await self.processor.queue_after(unit, outcome.of_row or "", outcome.actions)
            async with self.writer.unit_of_work() as unit:
                for outcome in outcomes:
                    await self._settle(unit, outcome)
            more = any(outcome.of_row is not None and outcome.also is not None for outcome in outcomes)
            self._woken_by(unit, asked=bool(asking) or more)

        await self.writer.run_exclusive(work())

    async def _settle(self, unit: UnitOfWork, outcome: Outcome) -> None:
        if outcome.of_row is not None and not await outbox.is_waiting(unit.db, outcome.of_row):
            return
        facts = outcome.facts
        fresh = facts if outcome.of_row is None else self.in_flight.without(facts, outcome.of_row)
        actions = outcome.actions if outcome.of_row is None else ()
        if fresh:
            first, at_ms = unit.next_index, self._clock()
            answer = Answer(with_one_cause(fresh, first), actions)
            await self.processor.process(unit, answer, cause=first, at_ms=at_ms)
            for index, fact in enumerate(fresh, first):
                if isinstance(fact, KnownOfFile):
                    await self.judge_file(unit, index, fact, at_ms)
        elif actions:
            await self.processor.queue_alone(unit, actions)
        if outcome.also is not None:
            await outcome.also(unit.db)

    async def commit_with(self, make: Callable[[AsyncConnection], AsyncIterator[tuple[Fact, ...]]]) -> int:
        """Record facts as `commit` does that `make` builds from what is known inside the unit of work.

        `make` yields one group for each cause; each is applied before the next is made. Returns the number of groups.
        """

        async def work() -> int:
            count = 0
            async with self.writer.unit_of_work() as unit:
                async for facts in make(unit.db):
                    answer = Answer(with_one_cause(facts, unit.next_index))
                    await self.processor.process(unit, answer, cause=unit.next_index, at_ms=self._clock())
                    count += 1
            self._woken_by(unit)
            return count

        return await self.writer.run_exclusive(work())

    async def carry_out(self, check: Callable[[AsyncConnection], Awaitable[ConsoleCommand]]) -> Answer:
        """Record a command given in the web console, and do it. `check` returns it, or raises `Refused`."""

        async def work() -> Answer:
            asked = await self._database.fetch(check)
            at_ms = self._clock()
            async with self.writer.unit_of_work() as unit:
                index = unit.next_index
                await self.processor.process(unit, Answer((asked,)), cause=index, at_ms=at_ms)
                answer = await self.obey(unit, index, asked, at_ms)
            self._woken_by(unit)
            return answer

        return await self.writer.run_exclusive(work())

    async def obey(
        self,
        unit: UnitOfWork,
        index: int,
        asked: ConsoleCommand,
        at_ms: int,
        present: Sequence[tuple[int, Fact]] = (),
    ) -> Answer:
        """Do what the command recorded at `index` says, as `handle` does for an event."""
        room = await self.knowledge.room(unit.db, asked.home)
        assert room is not None, "it was said in a direct room"
        work = self._responder.carry_out(unit.db, asked, room, index, at_ms)
        answer = await unharmed(index, asked.home, work, Answer(told=(line("error.defect"),), refused=True))
        await self.processor.process(unit, answer, cause=index, at_ms=at_ms, present=present)
        return answer

    async def judge_file(
        self,
        unit: UnitOfWork,
        index: int,
        kept: KnownOfFile,
        at_ms: int,
        present: Sequence[tuple[int, Fact]] = (),
    ) -> None:
        """Judge what is in the file that the record at `index` tells of, as `handle` does an event."""
        room = await self.knowledge.room(unit.db, kept.home)
        if room is None or not (self._judging.judges_files or present):
            return
        answer = await unharmed(index, kept.home, self._judging.follow_file(unit, index, kept, room, at_ms))
        await self.processor.process(unit, answer, cause=index, at_ms=at_ms, present=present)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[UnitOfWork]:
        """Open a unit of work in which nothing is written, to be used inside `run_exclusive`."""
        async with self._database.read() as db:
            yield UnitOfWork(db, self._journal.size)

    # Parts of the above.

    async def _look_up(self, events: Sequence[Received]) -> None:
        """Read what judging these events will need, while they are written."""
        await self._database.fetch(self.knowledge.prepare, events, self._clock())

    def _woken_by(self, unit: UnitOfWork, *, asked: bool = False) -> None:
        """Wake the others; `asked`: something may be in the outbox that the unit of work did not queue itself."""
        if asked or unit.queued:
            self.wake()
        elif unit.first > unit.began:
            self.wake.later()

    async def _read(self, events: Sequence[Received]) -> Sequence[Received]:
        """Return the events, decrypted as far as possible now, with those marked that were removed before."""
        return await self.lost_time.mark(await self._reader.read(events))

    async def _known(self, events: Sequence[Received]) -> set[str]:
        return await self._database.fetch(known_ids, events)

    def _draft(self, event: Received) -> Draft:
        content = "metadata" if self.shown_codes.is_hushed(event) else self.settings.content
        group, person_of = self.served.codes[event.room], self.processor.person_of
        recorded = self.shown_codes.as_recorded(event)
        return draft_of_event(recorded, group, person_of, content=content, bot=self.settings.bot)
