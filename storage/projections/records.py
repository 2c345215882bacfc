"""Facts about the records themselves: gaps, erasing, purging, restoring, anchors, and who asked for their data."""

from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import (
    CheckpointAnchored,
    ContentRead,
    DataAsked,
    NotSeen,
    PartsErased,
    RecordsExported,
    RecordsPurged,
    RecordsRestored,
)
from moderation.values.durations import DAY_MS
from storage import schema as t
from storage.journal.retention.ranges import Ranges
from storage.journal.retention.targets import Targets
from storage.state import anchor_progress as anchored

from . import linked_accounts as linked_people
from .common import CASES_FROM, END_MISSING, ERA, LOST_TIME, add, project, set_meta


@project.register
async def _(fact: NotSeen, db: AsyncConnection, _index: int, at_ms: int) -> None:
    """Note that a missing end was told. Clocks do not run while the bot is down: what was not due is due later."""
    if fact.what == "cut":
        await set_meta(db, END_MISSING, "0")
    if fact.what != "down":
        return
    before = fact.since or at_ms - fact.count
    for column in (t.cases.c.due, t.cases.c.remind):
        await db.execute(update(t.cases).where(column > before).values({column: column + fact.count}))
    told = t.pointed.c.step.in_(("halfway", "managing"))  # what follows later, follows so much later
    await db.execute(update(t.pointed).where(told, t.pointed.c.at <= before).values(at=t.pointed.c.at + fact.count))
    s = t.sanctions.c
    running = (s.kind.in_(("rectify", "suspend")), s.ended == 0, s.until > before, s.basis == "neglect")
    await db.execute(update(t.sanctions).where(*running).values(until=s.until + fact.count))


@project.register
async def _(fact: RecordsRestored, db: AsyncConnection, _index: int, at_ms: int) -> None:
    await set_meta(db, ERA, fact.era)
    await set_meta(db, LOST_TIME, f"{fact.made} {at_ms}")
    await set_meta(db, CASES_FROM, str(fact.cases))


@project.register
async def _(fact: PartsErased, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    """What is gone from the records is gone from the tables: the first part of a record is its subject's."""
    await set_meta(db, "erased", "1")
    targets = Targets.parse(fact.records)
    if fact.what != "retention":  # what still holds, holds when the record of it has had its time
        for start, stop in targets.records().runs():
            await linked_people.forget_links(db, start, stop)
            pinned = t.pinned_keys.c.record
            await db.execute(delete(t.pinned_keys).where(pinned >= start, pinned < stop))
    for start, stop in targets.places.get(0, Ranges()).runs():
        await _forget_subject(db, start, stop)
    for start, stop in targets.places.get(1, Ranges()).runs():
        await _forget_actor(db, start, stop)


async def _forget_subject(db: AsyncConnection, start: int, stop: int) -> None:
    """Blank what the records from `start` up to `stop` said of those they are about."""

    def these(column: ColumnElement[int]) -> ColumnElement[bool]:
        return and_(column >= start, column < stop)

    spoke = select(t.events.c.sender).where(these(t.events.c.record)).distinct()
    gone = and_(t.members.c.user.in_(spoke), t.members.c.membership != "join")
    await db.execute(delete(t.members).where(gone))
    await db.execute(update(t.members).where(t.members.c.user.in_(spoke)).values(display_name=""))
    await db.execute(delete(t.accounts).where(t.accounts.c.user.in_(spoke), t.accounts.c.user == t.accounts.c.person))
    await db.execute(update(t.accounts).where(t.accounts.c.user.in_(spoke)).values(language=""))
    await db.execute(update(t.evidence).where(these(t.evidence.c.record)).values(event=""))
    await db.execute(update(t.readings).where(these(t.readings.c.record)).values(subject="", by=""))
    await db.execute(delete(t.requests).where(these(t.requests.c.record)))
    still_there = select(t.members.c.user).where(t.members.c.membership == "join")
    left = and_(these(t.rooms.c.entered), t.rooms.c.direct_with.not_in(still_there))
    await db.execute(update(t.rooms).where(left).values(direct_with=""))
    nobody = {"subject": "", "person": ""}
    await db.execute(update(t.cases).where(these(t.cases.c.record)).values(excerpt="", **nobody))
    await db.execute(update(t.sanctions).where(these(t.sanctions.c.record)).values(event="", **nobody))
    await db.execute(update(t.credit).where(these(t.credit.c.record)).values(person="", user=""))
    await db.execute(update(t.verifications).where(these(t.verifications.c.record)).values(person="", user=""))
    await db.execute(update(t.assignments).where(these(t.assignments.c.record)).values(user="", gone_by=""))
    await db.execute(update(t.case_notes).where(these(t.case_notes.c.record)).values(by="", words=""))
    await db.execute(update(t.statements).where(these(t.statements.c.record)).values(subject="", statement=""))
    await db.execute(update(t.reports).where(these(t.reports.c.record)).values(subject=""))
    await db.execute(update(t.tasks).where(these(t.tasks.c.record)).values(subject=""))
    await db.execute(update(t.dossiers).where(these(t.dossiers.c.record)).values(subject=""))
    await db.execute(update(t.approvers).where(these(t.approvers.c.record)).values(account=""))
    for table in (t.away, t.rosters, t.pointed):
        await db.execute(delete(table).where(these(table.c.record)))
    await db.execute(delete(t.events).where(these(t.events.c.record)))


async def _forget_actor(db: AsyncConnection, start: int, stop: int) -> None:
    """Blank what the records said of those who acted."""
    for table in (t.sanctions, t.verifications, t.reports, t.cases, t.decisions):
        record = table.c.record
        values = {"by": ""} if table in (t.verifications, t.decisions) else {"by": "", "reason": ""}
        await db.execute(update(table).where(record >= start, record < stop).values(**values))


@project.register
async def _(fact: RecordsPurged, db: AsyncConnection, _index: int, at_ms: int) -> None:
    """What is over goes from the tables too; what still holds stays."""
    below = fact.below
    await db.execute(delete(t.events).where(t.events.c.record < below))
    holding = select(t.sanctions.c.n).where(t.sanctions.c.ended == 0)
    decided = (t.cases.c.outcome != "", t.cases.c.state != "appealed")
    over = select(t.cases.c.n).where(t.cases.c.record < below, *decided, t.cases.c.n.not_in(holding))
    for table in (t.evidence, t.assignments, t.case_notes, t.statements, t.reports, t.decisions):
        await db.execute(delete(table).where(table.c.n.in_(over)))
    await db.execute(delete(t.away).where(t.away.c.until < at_ms))
    await db.execute(delete(t.tasks).where(t.tasks.c.record < below, t.tasks.c.done > 0))
    await db.execute(delete(t.dossier_steps).where(t.dossier_steps.c.record < below))
    steps = select(t.dossier_steps.c.dossier)
    await db.execute(delete(t.dossiers).where(t.dossiers.c.record < below, t.dossiers.c.record.not_in(steps)))
    await db.execute(delete(t.cases).where(t.cases.c.n.in_(over.scalar_subquery())))
    await db.execute(delete(t.credit).where(t.credit.c.record < below))
    await db.execute(delete(t.sanctions).where(t.sanctions.c.record < below, t.sanctions.c.ended > 0))
    await db.execute(delete(t.verifications).where(t.verifications.c.record < below, t.verifications.c.until < at_ms))
    for table in (t.room_rules, t.approvers):
        await db.execute(delete(table).where(table.c.record < below, table.c.ended > 0))
    for table in (t.requests, t.pointed, t.readings):
        await db.execute(delete(table).where(table.c.record < below))


@project.register
async def _(fact: DataAsked, db: AsyncConnection, _index: int, at_ms: int) -> None:
    what = f"adopt {fact.room}" if fact.what == "adopt" else fact.what
    await add(db, t.requests, record=fact.on, user=fact.subject, what=what, at=at_ms)


@project.register
async def _(fact: ContentRead, db: AsyncConnection, index: int, at_ms: int) -> None:
    if fact.note == "-" and not fact.by:
        return  # done by an order to the bot, each of which is recorded
    said = {"subject": fact.subject, "by": fact.by, "reader": fact.reader, "what": fact.what}
    await add(db, t.readings, record=index, note=fact.note, day=(fact.read or at_ms) // DAY_MS, **said)


@project.register
async def _(fact: RecordsExported, db: AsyncConnection, index: int, at_ms: int) -> None:
    if fact.note == "-":
        return
    said = {"subject": "", "by": "", "reader": fact.reader, "what": fact.what}
    await add(db, t.readings, record=index, note=fact.note, day=(fact.read or at_ms) // DAY_MS, **said)


@project.register
async def _(fact: CheckpointAnchored, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    if fact.where == "desk":
        await anchored.advance(db, fact.day)
