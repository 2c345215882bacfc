"""receive -> record -> judge -> (outbox): one door for everything that is written.

Rules this module keeps, in this order, for every batch:
1. what was received is appended to the journal and fsynced; only then is it judged;
2. the facts that follow are appended and fsynced; only then what is urgent among their consequences is begun
   (`urgent`), and only then
3. one database transaction is committed, with the tables, the outbox rows and the sync token.
So a message that the homeserver delivered is on disk before the token that acknowledges it, and what is in the
journal but not in the database is caught up on start (`bot/catch_up.py`). One turn at a time, each to its end: being
cancelled does not cut one in two. If the journal has got ahead of the database, nothing more is written until then. A
defect in judging one event is noted and does not stop the others; a failing disk stops everything.
Left to others: what an event is (`receive.py`), what follows (`moderation/`), what a command does (`commands/`),
sending (`act.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.actions import URGENT, Action, Align, KeepDesk
from moderation.complete import complete, concerns
from moderation.consequences import at_once, consequences
from moderation.errors import Broken
from moderation.events import MessagePosted, Received, StateChanged, Unreadable
from moderation.facts import (
    AccountsLinked,
    AccountUnlinked,
    ActionTaken,
    CaseOpened,
    Fact,
    Found,
    NotRead,
    PartsErased,
    RecordsRestored,
    RoomEntered,
    RoomStateChanged,
    StatementGiven,
)
from moderation.ids import EventId, PersonId, RoomId, UserId
from moderation.statements import given, statement, to_be_stated
from storage import outbox, views
from storage.database import Database
from storage.entries import draft_of_event, draft_of_fact, word
from storage.linked_people import linked
from storage.moved_rooms import move_waiting
from storage.project import ERA, UNREAD, project, project_room_state, set_meta
from storage.records.draft import Draft
from storage.records.journal import Journal

from .above import by_name
from .clock import Clock
from .cut_short import CutShort
from .dossier_tasks import dossier_tasks
from .judging import Judging
from .knowledge import Knowledge
from .other_accounts import told_too
from .reporters import counted, reporters
from .room_changes import RoomChanges
from .served_rooms import ServedRooms
from .surroundings import Surroundings
from .turn import Answer, Responder, Settings, Turn

log = structlog.get_logger()

_TURNS_TO_SEND = 2  # of the event loop: one to make a request, one to write it
_PATIENCE_S = 0.05  # so long in all a turn waits for answers to what was urgent, before it takes disk and processor
TAIL = 10_000  # records: what was written last before a stop is among them

T = TypeVar("T")
Decipher = Callable[[Sequence[Received]], Awaitable[Sequence[Received]]]  # `encryption.py`


async def _as_it_came(events: Sequence[Received]) -> Sequence[Received]:
    """What cannot be read is recorded as not read."""
    return events


class Pipeline:
    """The one writer."""

    def __init__(
        self,
        journal: Journal,
        database: Database,
        knowledge: Knowledge,
        settings: Settings,
        clock: Clock,
        responder: Responder,
        wake: Callable[[], None],
    ) -> None:
        self.settings = settings
        self.knowledge = knowledge
        self.served = ServedRooms()
        self.rooms = RoomChanges(knowledge, settings.bot, settings.policy)
        self._judging = Judging(knowledge, self.rooms, responder, settings)
        self.decipher: Decipher = _as_it_came
        self.taken: Callable[[Sequence[Received]], None] = lambda _events: None  # told once they are recorded
        self.urgent: Callable[[Sequence[outbox.Waiting]], None] = lambda _rows: None  # begun once it is recorded
        self.answered: Callable[[float], Awaitable[None]] = _nobody_asked  # until what is urgent was answered
        self.cut_short = CutShort()  # by the last stop
        self._surroundings = Surroundings(knowledge, settings.policy)
        self._journal = journal
        self._database = database
        self._clock = clock
        self._responder = responder
        self._wake = wake
        self._lock = asyncio.Lock()
        self._applied = 0  # records that the database has
        self._refused: OSError | SQLAlchemyError | None = None  # what the system said when a turn failed half-way
        self._persons: dict[UserId, PersonId] = {}  # of the accounts that are named by another one
        self._hushed: set[EventId] = set()  # of the turn: events whose words are not recorded
        self._era = ""  # of a log that goes on from a backup (`outbox.put`)

    async def begin(self) -> None:
        """Read what must be known before the first turn."""
        async with self._database.read() as db:
            self._applied = int(await views.get_meta(db, "applied") or 0)
            self._era = await views.get_meta(db, ERA) or ""
            self._persons = await linked(db)
            await self.served.begin(db)
            await self.knowledge.begin(db)
            await self._responder.begin(db)

    async def catch_up(self, apply: Callable[[Turn], Awaitable[int]]) -> int:
        """Run `apply` (of `bot/catch_up.py`) in one turn, before anything else is taken."""

        async def work() -> int:
            async with self._turn() as turn:
                return await apply(turn)

        self._applied = self._journal.size  # which is what `apply` brings about
        return await self._whole(work())

    # What comes from the homeserver.

    async def take(
        self,
        events: Sequence[Received],
        *,
        token: str | None = None,
        also: Callable[[AsyncConnection], Awaitable[None]] | None = None,
        heard_ms: int = 0,
    ) -> int:
        """Record, judge and queue what follows. Returns how many events were new.

        Events of rooms that are not served, and events seen before, are left out. `token` is the sync token that
        acknowledges all of them; `also` runs in the transaction that stores it. `heard_ms`: when the homeserver had
        been heard before, if they were not heard when they were said.
        """

        async def work() -> int:
            served = [event for event in events if event.room in self.served.codes]
            readable, known = await asyncio.gather(self.decipher(served), self._known(served))
            if heard_ms:
                readable = [replace(e, heard_ms=heard_ms) if isinstance(e, MessagePosted) else e for e in readable]
            recorded = [event for event in readable if self.served.records(event.room)]
            return await self._take_fresh(_fresh(recorded, known), token, also)

        return await self._whole(work())

    async def take_late(self, events: Sequence[Received]) -> int:
        """Events whose key came after they were recorded as not read: record and judge them now, once."""

        async def work() -> int:
            return await self._take_fresh(await self._unread(events), None)

        return await self._whole(work())

    async def take_reasons(self, reasons: Sequence[tuple[EventId, str]], *, again: bool = False) -> None:
        """Record why events cannot be read (a code each), where that was learnt after they were recorded.

        `again`: this may have been done right before the last stop.
        """

        async def facts(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            known = await asyncio.to_thread(self._reasons_of_late) if again else set()
            for event, code in reasons:
                row = await views.event_row(db, event)
                if row is not None and row.kind == UNREAD and (int(row.record), word(code)) not in known:
                    yield (NotRead(room=RoomId(row.room), on=int(row.record), what="withheld", code=word(code)),)

        await self.commit_with(facts)

    def _reasons_of_late(self) -> set[tuple[int, str]]:
        tail = self._journal.read(max(self._journal.size - TAIL, 0))
        return {(int(r.fields["on"]), str(r.fields["code"])) for r in tail if r.fields.get("what") == "withheld"}

    async def open_room(
        self, room: RoomId, snapshot: Sequence[Received], also: Callable[[AsyncConnection], Awaitable[None]]
    ) -> None:
        """Begin to record a room: who is there and what holds there first, then its condition and roles.

        `also` runs in the transaction from which on it is recorded: what was said since the notice is still to be read.
        """

        async def work() -> None:
            served = [event for event in snapshot if event.room in self.served.codes]
            await self._take_fresh(_fresh(served, await self._known(served)), None)
            async with self._turn() as turn:
                self.knowledge.room_changed(room)
                view = await self.knowledge.room(turn.db, room)
                assert view is not None, "a room is entered before it is opened"
                roles = await self.rooms.role_changes(turn.db, view, -1, UserId(""))
                opened = RoomStateChanged(room=room, condition=self.rooms.condition(view))
                answer = Answer((opened, *roles), (KeepDesk(room=room), Align(room=room), *self.rooms.lobby(view)))
                await self.settle(turn, answer, cause=turn.next_index, at_ms=self._clock())
                await also(turn.db)
            self._wake()

        await self._whole(work())

    async def _take_fresh(
        self,
        fresh: Sequence[Received],
        token: str | None,
        also: Callable[[AsyncConnection], Awaitable[None]] | None = None,
    ) -> int:
        if not fresh and token is None and also is None:
            return 0
        self._hushed.clear()
        drafts = [self._draft(event) for event in fresh]
        first = await self._write(drafts, meanwhile=self._look_up(fresh)) if drafts else self._journal.size
        async with self._turn() as turn:
            for index, (event, draft) in enumerate(zip(fresh, drafts, strict=True), first):
                await self.handle(turn, index, event, draft.kind)
            if token is not None:
                await set_meta(turn.db, "sync_token", token)
            if also is not None:
                await also(turn.db)
        self._woken_by(turn)
        self.taken(fresh)
        return len(fresh)

    async def handle(
        self, turn: Turn, index: int, event: Received, kind: str, present: Sequence[tuple[int, Fact]] = ()
    ) -> None:
        """Everything that follows from the event recorded at `index`.

        `present` are the facts of it that the journal already has (after a crash); they are not written again.
        """
        turn.seen.append((index, event, kind))
        if isinstance(event, StateChanged) and await project_room_state(turn.db, event):
            self.knowledge.room_changed(event.room)
        room = await self.knowledge.room(turn.db, event.room)
        if room is None:
            return
        answer = await self._judging.follow(turn, index, event, room, self._era)
        if event.event in self._hushed:
            answer = replace(answer, facts=tuple(_without_words(fact) for fact in answer.facts))
        await self.settle(turn, answer, cause=index, at_ms=event.received_ms, present=present)

    async def settle(
        self, turn: Turn, answer: Answer, *, cause: int, at_ms: int, present: Sequence[tuple[int, Fact]] = ()
    ) -> None:
        """Stage the facts, apply them, and queue what they and the answer ask for."""
        if not (answer.facts or answer.actions or present):
            return  # as of most messages
        stated = [each for each in present if isinstance(each[1], StatementGiven)]  # these come last
        facts = [self._without_words(fact) for fact in answer.facts if not isinstance(fact, StatementGiven)]
        facts = await self._completed(turn, facts, cause, at_ms)
        facts += await dossier_tasks(turn.db, facts, self.settings.policy, at_ms)
        present = present or await self._begin_urgent(turn, facts, answer.actions, cause, at_ms)
        facts = await self._apply_all(turn, facts, [each for each in present if each not in stated], cause, at_ms)
        said = await self._statements(turn, facts, cause)
        facts += await self._apply_all(turn, said, stated, cause, at_ms)
        told = await reporters(turn.db, facts)
        follow = consequences(facts, await self._rooms_of(turn, facts), told) if facts else ()
        settings = self.settings
        asked = (*follow, *await told_too(turn.db, facts), *answer.actions)
        actions = await by_name(turn.db, _urgent_first(asked), self.knowledge, settings.policy, settings.bot)
        await outbox.put(turn.db, actions, cause=cause, era=self._era)
        turn.queued += len(actions)

    async def _begin_urgent(
        self, turn: Turn, facts: Sequence[Fact], actions: Sequence[Action], cause: int, at_ms: int
    ) -> list[tuple[int, Fact]]:
        """What can still be seen need not wait for the tables: if something is urgent, record the facts and begin it.

        Returns the facts, if they are recorded, each with its index. The rows are queued with all others of this cause,
        under the same transaction ids.
        """
        urgent = [action for action in (*at_once(facts), *actions) if action.PRIORITY == URGENT]
        if not urgent or any(isinstance(fact, _RENAMES) for fact in facts):
            return []
        first = turn.next_index
        turn.staged += [self._draft_of_fact(fact, at_ms) for fact in facts]
        await self._write_staged(turn)
        self.urgent(outbox.on_their_way(urgent, cause=cause, era=self._era))
        await self._let_it_pass(turn)
        return list(enumerate(facts, first))

    async def _let_it_pass(self, turn: Turn) -> None:
        """What is left of the turn would take disk and processor from the homeserver, often on the same machine."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(_TURNS_TO_SEND):  # statements do not wait, so nothing would go out before they are all done
            await asyncio.sleep(0)
        if turn.waited_s < _PATIENCE_S:
            await self.answered(_PATIENCE_S - turn.waited_s)
            turn.waited_s += loop.time() - began

    async def _apply_all(
        self, turn: Turn, facts: list[Fact], present: Sequence[tuple[int, Fact]], cause: int, at_ms: int
    ) -> list[Fact]:
        """Stage the facts that the journal does not have yet, and apply them all. What is recorded holds."""
        known = [fact for _, fact in present]
        if facts[: len(known)] != known:
            log.warning("judged_otherwise_before", record=cause)
            facts = known
        for number, fact in enumerate(facts):
            if number < len(present):
                index = present[number][0]
            else:
                index = turn.next_index
                turn.staged.append(self._draft_of_fact(fact, at_ms))
            await self._apply(turn, index, fact, at_ms)
        return facts

    async def _completed(self, turn: Turn, facts: list[Fact], cause: int, at_ms: int) -> list[Fact]:
        """With those who answer for what now waits, and whoever must be told before something happens."""
        if not concerns(facts):
            return facts
        await turn.flush()
        known = self.knowledge
        facts = await counted(turn.db, facts, policy=self.settings.policy, next_case=known.next_case, now_ms=at_ms)
        around = await self._surroundings.around(turn.db, facts, on=cause, now_ms=at_ms)
        # What became of a request comes last: it is no part of what follows from the others (`catch_up.py`).
        given_rise = [fact for fact in facts if not isinstance(fact, ActionTaken)]
        outcomes = [fact for fact in facts if isinstance(fact, ActionTaken)]
        return [*complete(given_rise, around), *outcomes]

    async def _statements(self, turn: Turn, facts: Sequence[Fact], cause: int) -> list[Fact]:
        """The statement of reasons for each decision among the facts, which are applied."""
        numbers = to_be_stated(facts)
        if not numbers:
            return []
        await turn.flush()
        known = [known for n in numbers if (known := await self._surroundings.known(turn.db, n)) is not None]
        return [given(statement(each, facts), each, on=cause) for each in known]

    # What comes from inside: outcomes, deadlines, starts.

    async def commit(
        self,
        facts: Sequence[Fact] = (),
        *,
        actions: Sequence[Action] = (),
        also: Callable[[AsyncConnection], Awaitable[None]] | None = None,
        of_row: str | None = None,
    ) -> None:
        """Record facts that no event gave rise to, with what follows; `also` runs in the same transaction.

        With `of_row` (a transaction id) they are what became of a row of the outbox: nothing is recorded if that is
        known already, and nothing of it twice.
        """

        async def work() -> None:
            async with self._turn() as turn:
                if of_row is not None and not await outbox.waits(turn.db, of_row):
                    return
                fresh = facts if of_row is None else self.cut_short.without(facts, of_row)
                if fresh:
                    answer = Answer(_one_cause(fresh, turn.next_index), tuple(actions))
                    await self.settle(turn, answer, cause=turn.next_index, at_ms=self._clock())
                elif actions:
                    await outbox.put(turn.db, actions, cause=None)
                    turn.queued += len(actions)
                if also is not None:
                    await also(turn.db)
            self._woken_by(turn)

        await self._whole(work())

    async def commit_with(self, make: Callable[[AsyncConnection], AsyncIterator[tuple[Fact, ...]]]) -> int:
        """Like `commit`, for facts that must be made from what is known inside the turn. One group a cause; each is
        applied before the next is made."""

        async def work() -> int:
            count = 0
            async with self._turn() as turn:
                async for facts in make(turn.db):
                    answer = Answer(_one_cause(facts, turn.next_index))
                    await self.settle(turn, answer, cause=turn.next_index, at_ms=self._clock())
                    count += 1
            self._woken_by(turn)
            return count

        return await self._whole(work())

    async def with_journal(self, work: Callable[[Journal], T], *facts: Fact, signed: bool = False) -> T:
        """Record `facts`, then do `work` on the journal, in a thread and before anybody else writes.

        With `signed`, all that is recorded is signed first.
        """

        async def in_turn() -> T:
            if facts:
                async with self._turn() as turn:
                    await self.settle(turn, Answer(facts), cause=turn.next_index, at_ms=self._clock())
                self._woken_by(turn)
            if signed:
                await asyncio.to_thread(self._journal.checkpoint, self._clock())
            return await asyncio.to_thread(work, self._journal)

        return await self._whole(in_turn())

    async def checkpoint(self) -> None:
        """Sign the journal as it stands, if it is time."""

        async def work() -> None:
            now = self._clock()
            if self._journal.due_for_checkpoint(now):
                await asyncio.to_thread(self._journal.checkpoint, now)

        await self._whole(work())

    async def close_day(self) -> None:
        """Close the journal's open day once it is over, so that a quiet log has its closing checkpoint too."""

        async def work() -> None:
            await asyncio.to_thread(self._journal.close_day, self._clock())

        await self._whole(work())

    # Turns.

    async def _whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` when it is our turn, to its end, even if whoever waits for it is cancelled meanwhile."""

        async def in_turn() -> T:
            async with self._lock:
                self._must_be_level()
                try:
                    return await work
                except (OSError, SQLAlchemyError) as error:
                    self._refused = error
                    raise

        task = asyncio.create_task(in_turn())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task})
            raise

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[Turn]:
        """A transaction that commits only after the staged facts are durable in the journal."""
        try:
            async with self._database.write() as db:
                turn = Turn(db, self._journal.size)
                yield turn
                await turn.flush()
                await self._write_staged(turn)
                await set_meta(db, "applied", str(self._journal.size))
            self._applied = self._journal.size
        except BaseException:
            if self._applied == self._journal.size:
                await self.begin()  # what was applied in memory did not happen
            raise

    async def _write_staged(self, turn: Turn) -> None:
        if turn.staged:
            first = await self._write(turn.staged)
            assert first == turn.first, "somebody else wrote to the journal"
            turn.written()

    def _must_be_level(self) -> None:
        """After a turn that failed half-way the next start brings the database up to date; until then, nothing."""
        if self._applied != self._journal.size:
            if self._refused is not None:  # what the system said is the reason for whoever comes next, too
                raise self._refused
            raise Broken("the database is behind the journal; it is brought up to date at the next start")

    async def _write(self, drafts: Sequence[Draft], meanwhile: Awaitable[None] | None = None) -> int:
        written = asyncio.get_running_loop().run_in_executor(None, self._append, drafts)
        try:
            if meanwhile is not None:
                await meanwhile
        finally:
            first = await written
        return first

    async def _look_up(self, events: Sequence[Received]) -> None:
        """Read what judging these will ask for, while they are written."""
        async with self._database.read() as db:
            await self.knowledge.prepare(db, events, self._clock())

    def _append(self, drafts: Sequence[Draft]) -> int:
        first = self._journal.append(drafts)[0]
        self._journal.sync()
        return first

    def _woken_by(self, turn: Turn) -> None:
        if turn.queued or turn.first > turn.began:
            self._wake()

    # Pieces.

    async def _known(self, events: Sequence[Received]) -> set[str]:
        """The ids of those of `events` that are recorded already."""
        ids = [event.event for event in events if event.event is not None]
        async with self._database.read() as db:
            return await views.known_events(db, ids)

    async def _unread(self, events: Sequence[Received]) -> list[Received]:
        """Those of `events` that are recorded as not read, each saying where that stands."""
        async with self._database.read() as db:
            rows = {event.event: await views.event_row(db, event.event) for event in events if event.event}
        return [
            replace(event, late=int(row.record))
            for event in events
            if not isinstance(event, Unreadable) and (row := rows.get(event.event)) is not None and row.kind == UNREAD
        ]

    def _draft(self, event: Received) -> Draft:
        s, content = self.settings, self.settings.content
        if event.sender != s.bot and self._responder.hushed(event, direct=event.room in self.served.direct):
            content = "metadata"
            self._hushed.add(event.event or EventId(""))
        return draft_of_event(event, self.served.codes[event.room], self._person_of, content=content, bot=s.bot)

    def _draft_of_fact(self, fact: Fact, at_ms: int) -> Draft:
        return draft_of_fact(fact, at_ms, self.served.code(fact), self._person_of)

    def _person_of(self, user: UserId) -> PersonId:
        return self._persons.get(user, PersonId(user))

    def _without_words(self, fact: Fact) -> Fact:
        """With `content = "metadata"` nothing that a person wrote is kept, here neither."""
        return fact if self.settings.content == "full" else _without_words(fact)

    async def _apply(self, turn: Turn, index: int, fact: Fact, at_ms: int) -> None:
        await project(fact, turn.db, index, at_ms)
        if isinstance(fact, AccountsLinked | AccountUnlinked | PartsErased):
            self._persons = await linked(turn.db)
        if isinstance(fact, RoomStateChanged):
            self.served.changed(fact)
        if isinstance(fact, RoomEntered):
            for old in self.served.entered(fact):
                await move_waiting(turn.db, old, RoomId(fact.room_id))
                await self.knowledge.begin(turn.db)
            self.knowledge.room_changed(RoomId(fact.room_id))
        if isinstance(fact, RecordsRestored):
            self._era = fact.era
            self.knowledge.next_case = max(self.knowledge.next_case, fact.cases)
        if isinstance(fact, CaseOpened):
            self.knowledge.next_case = max(self.knowledge.next_case, fact.n + 1)
        self.knowledge.changed([fact])

    async def _rooms_of(self, turn: Turn, facts: Sequence[Fact]) -> Callable[[UserId], Sequence[RoomId]]:
        about = [fact for fact in facts if fact.room is None]
        named = {getattr(fact, name, UserId("")) for fact in about for name in ("subject", "target")}
        everywhere = named - {UserId("")}
        if everywhere:
            await turn.flush()
        rooms = {user: await views.groups_of_person(turn.db, user) for user in everywhere}
        return lambda user: rooms.get(user, ())


def _without_words(fact: Fact) -> Fact:
    if isinstance(fact, Found):
        return replace(fact, matched="")
    return replace(fact, excerpt="") if isinstance(fact, CaseOpened) else fact


def _fresh(events: Sequence[Received], known: set[str]) -> list[Received]:
    """The events to record, each once, in order."""
    seen, fresh = set(known), []
    for event in events:
        if event.event is None or event.event not in seen:
            fresh.append(event)
            seen.add(event.event or "")
    return fresh


async def _nobody_asked(_within_s: float) -> None:
    """Nothing is sent."""


def _urgent_first(actions: Sequence[Action]) -> list[Action]:
    """Numbered first, so that their transaction ids are known before the others are."""
    return sorted(actions, key=lambda action: action.PRIORITY != URGENT)


# After these, what follows is written under other names: each must be applied before the next is written.
_RENAMES = (RoomEntered, AccountsLinked, AccountUnlinked, PartsErased)

# Facts that belong together: found again after a crash by the record that gave rise to them.
_OF_CASES = frozenset({"case", "decision", "sanction", "credit", "task", "appeal", "report", "dossier", "verify"})


def _one_cause(facts: Sequence[Fact], first: int) -> tuple[Fact, ...]:
    """Facts that time or an operator gave rise to rest on the first record among them, which is to stand at `first`."""
    return tuple(replace(fact, on=first) if fact.KIND in _OF_CASES and fact.on < 0 else fact for fact in facts)
