"""The recovery of the database from the journal: after a crash, or from nothing.

Rules kept here:
- What the journal says holds.
- Events whose consequences were not recorded yet are judged now, by the policy that was in force.
- Consequences that were recorded are applied as they stand, and what they ask for is queued.
- Rebuilding the whole database (`rebuild`) only applies records: it judges nothing again and queues nothing, since
  that was done before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bot.events.parse_event import receive
from bot.events.parse_fields import object_of
from moderation.model.actions.cards import AskDesk, PostCard
from moderation.model.facts import (
    ActionTaken,
    ConsoleCommand,
    Fact,
    KnownOfFile,
    MessageWithheld,
    NotRead,
    NotSeen,
    RoomEntered,
)
from moderation.values.events import Json, MessagePosted, Received, StateChanged, Unreadable
from moderation.values.ids import EventId, GroupCode, RoomId, UserId
from storage import outbox
from storage.database.database import Database
from storage.journal.journal import Journal
from storage.journal.record import Record
from storage.projections import (
    MESSAGE,
    DailyCounts,
    LeftEvents,
    project,
    project_events,
    project_room_state,
    set_all_meta,
)
from storage.record_mapping import fact_of_record, raw_of_record, seen_kind

from . import heartbeat
from .leaving_again import LeavingAgain
from .pipeline import Pipeline
from .unit_of_work import Answer, UnitOfWork


def _came_later(fact: Fact) -> bool:
    return fact.OF_ACTING or isinstance(fact, NotRead)


class Rooms:
    """Group codes and the rooms they stand for, as learnt from the journal."""

    def __init__(self, known: dict[GroupCode, RoomId]) -> None:
        self._rooms = dict(known)

    def of(self, code: str) -> RoomId | None:
        return self._rooms.get(GroupCode(code))

    def learn(self, fact: Fact) -> None:
        if isinstance(fact, RoomEntered):
            self._rooms[fact.code] = RoomId(fact.room_id)


def event_of_record(record: Record, rooms: Rooms) -> Received | None:
    """Return the event that a record was made from, as far as it was kept; None for other records."""
    room = rooms.of(record.group) if record.group else None
    if room is None:
        return None
    if record.kind == "coverage" and record.fields.get("what") == "unreadable":
        return _unreadable(record, room)
    raw: dict[str, Json] | None = raw_of_record(record)
    if raw is None:
        return None
    event = receive(raw, room, record.at_ms, encrypted=bool(record.parts[0].get("encrypted")))
    if isinstance(event, Unreadable):
        return event
    late, heard = record.fields.get("late", -1), record.fields.get("heard", 0)
    assert isinstance(late, int) and isinstance(heard, int), "kinds.py says so"
    return replace(event, late=late, heard_ms=heard)


def _unreadable(record: Record, room: RoomId) -> Unreadable:
    part = record.parts[0] if record.parts else {}
    event, sender = part.get("ev"), part.get("mxid")
    return Unreadable(
        room=room,
        received_ms=record.at_ms,
        problem=str(part.get("problem", "")),
        event=EventId(event) if isinstance(event, str) else None,
        sender=UserId(sender) if isinstance(sender, str) else None,
    )


async def catch_up(unit: UnitOfWork, pipeline: Pipeline, records: Iterable[Record], rooms: Rooms) -> int:
    """Apply the records that the database has not seen yet. Returns how many there were."""
    tail = list(records)
    at: dict[int, Record] = {record.index: record for record in tail}
    given: dict[int, list[tuple[int, Fact]]] = {}
    by_index: dict[int, Fact] = {}
    answered: set[str] = set()  # the requests whose outcome is recorded
    for record in tail:
        fact = fact_of_record(record, rooms.of)
        if fact is None:
            continue
        rooms.learn(fact)
        if isinstance(fact, ActionTaken):
            answered.add(fact.txn)
        if not _came_later(fact) or _of_returned(fact, at.get(fact.on), rooms):
            given.setdefault(fact.on, []).append((record.index, fact))
            by_index[record.index] = fact
    done: set[int] = set()
    for record in tail:
        if record.kind == MESSAGE:  # facts are counted where they are applied
            unit.counts.add(record.kind, record.group, record.at_ms, record.index)
        if record.index in done:
            continue
        event, fact = event_of_record(record, rooms), fact_of_record(record, rooms.of)
        if isinstance(fact, ConsoleCommand | KnownOfFile | MessageWithheld):
            present = given.get(record.index, [])
            await _follow_up(unit, pipeline, record, fact, present)
            done.update(index for index, _ in present)
        elif event is not None:
            present = given.get(record.index, [])
            if not present:
                event = _without_answered_mark(event, answered)
            await pipeline.handle(unit, record.index, event, seen_kind(record), present)
            done.update(index for index, _ in present)
        else:
            done.update(await _apply_group(unit, pipeline, record, by_index, rooms))
    if cut := _in_flight(tail, rooms):
        pipeline.in_flight.begin(cut, await outbox.all_waiting(unit.db))
    if (heard := _heard(tail, rooms)) > (await heartbeat.last_noted(unit.db) or 0):
        await heartbeat.note(unit.db, heard)
    return len(tail)


async def _follow_up(
    unit: UnitOfWork,
    pipeline: Pipeline,
    record: Record,
    fact: ConsoleCommand | KnownOfFile | MessageWithheld,
    present: Sequence[tuple[int, Fact]],
) -> None:
    """Do what follows from a fact that was recorded by itself, which perhaps was not done."""
    itself = [(record.index, fact)]
    await pipeline.processor.process(unit, Answer((fact,)), cause=record.index, at_ms=record.at_ms, present=itself)
    if isinstance(fact, ConsoleCommand):
        await pipeline.obey(unit, record.index, fact, record.at_ms, present)
    elif isinstance(fact, KnownOfFile):
        await pipeline.judge_file(unit, record.index, fact, record.at_ms, present)
    else:
        await pipeline.withholding.judge(unit, record.index, fact, record.at_ms, present)


def _of_returned(fact: Fact, cause: Record | None, rooms: Rooms) -> bool:
    """Return whether the outcome of a message was recorded because it came back, and so followed from that event."""
    if not isinstance(fact, ActionTaken) or cause is None:
        return False
    event = event_of_record(cause, rooms)
    return isinstance(event, MessagePosted) and event.event == fact.made


def _without_answered_mark(event: Received, answered: set[str]) -> Received:
    """Return the event without the mark of a card or question, if the outcome of sending it is recorded already."""
    if not isinstance(event, MessagePosted):
        return event
    requests = (object_of(event.content.get(mark)).get("request") for mark in (PostCard.MARK, AskDesk.MARK))
    return replace(event, content={}) if answered.intersection(map(str, requests)) else event


def _heard(tail: Sequence[Record], rooms: Rooms) -> int:
    """Return until when (ms) these records show that the homeserver was heard; 0 if they do not show it."""
    heard = 0
    for record in tail:
        fact = fact_of_record(record, rooms.of)
        if fact is None:
            heard = max(heard, record.at_ms if event_of_record(record, rooms) is not None else 0)
        elif isinstance(fact, NotSeen) and fact.what == "down":
            heard = max(heard, fact.since + fact.count if fact.since else record.at_ms)
    return heard


def _in_flight(tail: Sequence[Record], rooms: Rooms) -> list[Fact]:
    """Return the facts of a request at the end of the journal whose outcome record is missing, the newest first.

    Only what the log noted about itself when it was opened after the crash may follow them.
    """
    found: list[Fact] = []
    for record in reversed(tail):
        if record.kind == "coverage" and not found:
            continue
        fact = fact_of_record(record, rooms.of)
        if fact is None or not fact.OF_ACTING or isinstance(fact, ActionTaken):
            break
        found.append(fact)
    return found


async def _apply_group(
    unit: UnitOfWork, pipeline: Pipeline, record: Record, facts_at: Mapping[int, Fact], rooms: Rooms
) -> list[int]:
    """Apply facts whose cause is no event in the tail, one cause at a time, as they were recorded.

    Returns the indices of the records that are done with.
    """
    fact = fact_of_record(record, rooms.of)
    if fact is None:
        return [record.index]
    group: list[tuple[int, Fact]] = [(record.index, fact)]
    if fact.on >= 0 and not _came_later(fact):
        group = _one_cause(record.index, fact.on, facts_at)
    facts = Answer(tuple(other for _, other in group))
    await pipeline.processor.process(unit, facts, cause=record.index, at_ms=record.at_ms, present=group)
    return [index for index, _ in group]


def _one_cause(first: int, on: int, facts_at: Mapping[int, Fact]) -> list[tuple[int, Fact]]:
    """Return the facts of one cause: consecutive records that refer to the same record or to the first of them.

    Other facts that refer to that record stand elsewhere in the journal, such as the end of a measure, long after it
    began.
    """
    group: list[tuple[int, Fact]] = []
    index = first
    while (fact := facts_at.get(index)) is not None and fact.on in (on, first):
        group.append((index, fact))
        index += 1
    return group


async def rebuild(journal: Journal, database: Database, left: LeftEvents | None = None) -> int:
    """Fill an empty database from the whole journal. Returns how many records were applied.

    `left`: up to where events had left their table; they leave again. None: all stay for now.
    """
    rooms, last_ms, counts, leaving = Rooms({}), 0, DailyCounts(), LeavingAgain(left)
    async with database.write() as db:
        for record in journal.read():
            last_ms = record.at_ms
            await leaving.before(db, record)
            counts.add(record.kind, record.group, record.at_ms, record.index)
            fact = fact_of_record(record, rooms.of)
            if fact is not None:
                rooms.learn(fact)
                leaving.learn(fact)
                await project(fact, db, record.index, record.at_ms)
                continue
            event = event_of_record(record, rooms)
            if event is not None:
                await project_events(db, [(record.index, event, seen_kind(record))])
                if isinstance(event, StateChanged):
                    await project_room_state(db, event)
        await leaving.finish(db)
        await heartbeat.note(db, last_ms)
        await set_all_meta(db, {"applied": str(journal.size)}, counts.statements())
    return journal.size
