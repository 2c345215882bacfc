"""Recorded events judged again, each as it stood when it was recorded, by the policy of today or by another one.

The tables are rebuilt record by record, in a database of their own. So an event meets the rooms, roles, levels and
counts of its time, and not those of today.

Rules kept here:
- The recorded facts are the ones that apply: what is judged again changes nothing.
- Nothing is recorded, queued or said.
- An event is judged before the facts that followed from it apply, and after those of the events before it.

Left to others: what is done with the answers (`bot/cli/rules/`), making tables (`storage/projections/`).
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from moderation.model.facts import CaseOpened, Fact, KnownOfFile, MessageWithheld, RoomEntered
from moderation.values.events import MembershipChanged, Received, StateChanged, Unreadable
from storage.database.database import Database
from storage.journal.record import Record
from storage.projections import project, project_room_state
from storage.record_mapping import fact_of_record, seen_kind

from .judging_context import JudgingContexts, ToJudge
from .message_text import Records
from .replay import Rooms, event_of_record
from .unit_of_work import PipelineSettings, UnitOfWork
from .view_cache import ViewCache
from .withheld import event_of

MOST_WAITING = 2_000  # events whose facts may still follow; more are never recorded at once


class JudgeAgain(Protocol):
    """A judge of one recorded event; what it returns says whether the event was removed or held back."""

    def __call__(self, index: int, due: ToJudge, /) -> Sequence[Fact]: ...


class JudgingAgain:
    """One reading of the records from the first to the last."""

    def __init__(
        self,
        knowledge: ViewCache,
        settings: PipelineSettings,
        records: Records,
        *,
        since_ms: int,
        window_ms: int,
        judge: JudgeAgain,
    ) -> None:
        """Set up. `since_ms`: of which time on events are judged; `window_ms`: how long before they are counted."""
        self._knowledge = knowledge
        self._settings = settings
        self._contexts = JudgingContexts(knowledge, settings, records)
        self._since, self._window, self._judge_one = since_ms, window_ms, judge
        self._rooms = Rooms({})
        self._waiting: deque[tuple[Record, Received]] = deque()

    async def read(self, records: Iterable[Record], database: Database) -> None:
        """Read all records into an empty database."""
        async with database.write() as db:
            unit = UnitOfWork(db, 0)
            await self._knowledge.begin(db)
            for record in records:
                fact = fact_of_record(record, self._rooms.of)
                if fact is not None:
                    await self._apply(unit, record, fact)
                elif event := event_of_record(record, self._rooms):
                    self._waiting.append((record, event))
                    await self._judge_all_but(unit, MOST_WAITING)
            await self._judge_all_but(unit, 0)
            await unit.flush()

    async def _apply(self, unit: UnitOfWork, record: Record, fact: Fact) -> None:
        """Apply a recorded fact, after judging the events before those that it may stand in front of."""
        await self._judge_all_but(unit, 0 if fact.OF_ACTING else self._after(fact))
        await unit.flush()
        self._rooms.learn(fact)
        await project(fact, unit.db, record.index, record.at_ms)
        if isinstance(fact, RoomEntered):
            await self._knowledge.begin(unit.db)
        if isinstance(fact, CaseOpened):
            self._knowledge.number_cases_from(fact.n + 1)
        self._knowledge.changed([fact])
        if isinstance(fact, KnownOfFile) and record.at_ms >= self._since:
            await self._judge_file(unit, record, fact)
        if isinstance(fact, MessageWithheld) and record.at_ms >= self._since:
            await self._judge_withheld(unit, record, fact)

    async def _judge_file(self, unit: UnitOfWork, record: Record, kept: KnownOfFile) -> None:
        """Judge by what is recorded of a file, as its message."""
        room = await self._knowledge.room(unit.db, kept.home)
        due = await self._contexts.of_file(unit, kept, room, record.at_ms) if room is not None else None
        if due is not None:
            self._judge_one(kept.on, due)

    async def _judge_withheld(self, unit: UnitOfWork, record: Record, fact: MessageWithheld) -> None:
        """Judge an event that was refused before its delivery; it counts towards no flood."""
        room = await self._knowledge.room(unit.db, fact.home)
        if room is not None and room.purpose == "group":
            event = event_of(fact, record.at_ms)
            self._judge_one(record.index, await self._contexts.of_withheld(unit, record.index, event, room))

    def _after(self, fact: Fact) -> int:
        """Return how many of the waiting events were judged only after this fact applied."""
        if self._waiting and fact.on > self._waiting[-1][0].index:  # it followed from another fact of the same cause
            return len(self._waiting)
        if all(waiting.index != fact.on for waiting, _ in self._waiting):
            return 0
        return sum(waiting.index > fact.on for waiting, _ in self._waiting)

    async def _judge_all_but(self, unit: UnitOfWork, left: int) -> None:
        while len(self._waiting) > left:
            await self._judge(unit, *self._waiting.popleft())

    async def _judge(self, unit: UnitOfWork, record: Record, event: Received) -> None:
        unit.seen.append((record.index, event, seen_kind(record)))
        if isinstance(event, StateChanged) and await project_room_state(unit.db, event):
            self._knowledge.room_changed(event.room)
        if isinstance(event, MembershipChanged):
            await unit.flush()
            self._knowledge.moved(event.user)
        if isinstance(event, Unreadable) or record.at_ms < self._since - self._window:
            return
        room = await self._knowledge.room(unit.db, event.room)
        if room is None or room.purpose != "group":
            return
        await self._contexts.count(unit, event)
        if record.at_ms >= self._since:
            due = await self._contexts.of(unit, record.index, event, room)
            self._contexts.judged(due.event, self._judge_one(record.index, due))
