"""Facts about the records themselves: gaps, erasing, purging, restoring, anchors, and requests for personal data."""

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, true, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import (
    LASTING,
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
from storage import schema
from storage.journal.retention.ranges import Ranges
from storage.journal.retention.targets import Targets
from storage.state import anchor_progress

from . import linked_accounts
from .common import CASES_FROM, END_MISSING, ERA, EXCHANGE_TIDY, LOST_TIME, PURGED, add, project, set_meta
from .eras import note_own_era


@project.register
async def _(fact: NotSeen, db: AsyncConnection, _index: int, at_ms: int) -> None:
    """Note that a missing end was reported, or postpone deadlines: their clocks stop while the bot is down."""
    if fact.what == "cut":
        await set_meta(db, END_MISSING, "0")
    if fact.what != "down":
        return
    before = fact.since or at_ms - fact.count
    for column in (schema.cases.c.due, schema.cases.c.remind):
        await db.execute(update(schema.cases).where(column > before).values({column: column + fact.count}))
    p, s = schema.pointed.c, schema.sanctions.c
    told = p.step.in_(("halfway", "managing"))  # what follows these is postponed likewise
    await db.execute(update(schema.pointed).where(told, p.at <= before).values(at=p.at + fact.count))
    running = (s.kind.in_(("rectify", "suspend")), s.ended == 0, s.until > before, s.basis == "neglect")
    await db.execute(update(schema.sanctions).where(*running).values(until=s.until + fact.count))


@project.register
async def _(fact: RecordsRestored, db: AsyncConnection, _index: int, at_ms: int) -> None:
    await set_meta(db, ERA, fact.era)
    await note_own_era(db, fact.era, fact.size)
    await set_meta(db, LOST_TIME, f"{fact.made} {at_ms}")
    await set_meta(db, CASES_FROM, str(fact.cases))


@project.register
async def _(fact: PartsErased, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    """Remove from the tables what is erased from the records: the first part of a record is its subject's."""
    await set_meta(db, "erased", "1")
    await _not_tidy(db)
    targets = Targets.parse(fact.records)
    if fact.what != "retention":  # on retention, what still holds stays until the record of it expires
        for start, stop in targets.records().runs():
            await linked_accounts.forget_links(db, start, stop)
            pinned = schema.pinned_keys.c.record
            await db.execute(delete(schema.pinned_keys).where(pinned >= start, pinned < stop))
    for start, stop in targets.places.get(0, Ranges()).runs():
        await _forget_subject(db, start, stop)
        for table in () if fact.what == "retention" else (schema.list_spared, schema.published_entries):
            about = table.c.subject != ""  # not a server
            await db.execute(delete(table).where(table.c.record >= start, table.c.record < stop, about))
    for start, stop in targets.places.get(1, Ranges()).runs():
        await _forget_actor(db, start, stop)


_BLANKED = {  # what a record says of the person it is about, by the table of its rows
    schema.readings: ("subject", "by"),
    schema.cases: ("subject", "person", "excerpt"),
    schema.sanctions: ("subject", "person", "event"),
    schema.credit: ("person", "user"),
    schema.verifications: ("person", "user"),
    schema.assignments: ("user", "gone_by"),
    schema.case_steps: ("subject",),
    schema.case_notes: ("by", "words"),
    schema.statements: ("subject", "statement"),
    schema.reports: ("subject",),
    schema.tasks: ("subject",),
    schema.dossiers: ("subject",),
    schema.approvers: ("account",),
    schema.chosen_lists: ("by",),
    schema.list_previews: ("by",),
    schema.policy_rooms: ("by",),
}
_ALONE = ("acknowledged", "claimed", "noted", "commented", "lodged")  # steps of which the record is about who took them
_DELETED = (
    schema.evidence,
    schema.requests,
    schema.away,
    schema.rosters,
    schema.duty_accepted,
    schema.pointed,
    schema.console_links,
    schema.console_sessions,
    schema.events,
    schema.old_events,
    schema.spoke,
    schema.withheld,
    schema.list_matches,
)
_WITHDRAWN = schema.published_entries.c.step == "withdrawn"


async def _forget_subject(db: AsyncConnection, start: int, stop: int) -> None:
    """Blank what the records from `start` up to `stop` said of the people they are about."""

    def these(column: ColumnElement[int]) -> ColumnElement[bool]:
        return and_(column >= start, column < stop)

    m, a = schema.members.c, schema.accounts.c
    wrote = select(schema.events.c.sender).where(these(schema.events.c.record))
    spoke = union(wrote, select(schema.spoke.c.user).where(these(schema.spoke.c.record)))
    await db.execute(delete(schema.members).where(m.user.in_(spoke), m.membership != "join"))
    await db.execute(update(schema.members).where(m.user.in_(spoke)).values(display_name=""))
    await db.execute(delete(schema.accounts).where(a.user.in_(spoke), a.user == a.person))
    await db.execute(update(schema.accounts).where(a.user.in_(spoke)).values(language=""))
    still_there = select(m.user).where(m.membership == "join")
    left = and_(these(schema.rooms.c.entered), schema.rooms.c.direct_with.not_in(still_there))
    await db.execute(update(schema.rooms).where(left).values(direct_with=""))
    for table, columns in _BLANKED.items():
        await db.execute(update(table).where(these(table.c.record)).values(dict.fromkeys(columns, "")))
    steps = schema.case_steps
    await db.execute(update(steps).where(these(steps.c.record), steps.c.step.in_(_ALONE)).values(by=""))
    for table in _DELETED:
        await db.execute(delete(table).where(these(table.c.record)))
    await db.execute(delete(schema.published_entries).where(these(schema.published_entries.c.record), _WITHDRAWN))


async def _forget_actor(db: AsyncConnection, start: int, stop: int) -> None:
    """Blank what the records said of those who acted."""
    for table in (
        schema.sanctions,
        schema.verifications,
        schema.reports,
        schema.cases,
        schema.decisions,
        schema.case_steps,
    ):
        values = {"by": "", "reason": ""} if "reason" in table.c else {"by": ""}
        await db.execute(update(table).where(table.c.record >= start, table.c.record < stop).values(**values))


# Tables whose rows go with their records.
_OF_RECORDS = (
    schema.events,
    schema.old_events,
    schema.spoke,
    schema.withheld,
    schema.dossier_steps,
    schema.credit,
    schema.requests,
    schema.pointed,
    schema.readings,
    schema.daily,
    schema.trials,
    schema.console_links,
    schema.console_sessions,
    schema.list_previews,
)


@project.register
async def _(fact: RecordsPurged, db: AsyncConnection, _index: int, at_ms: int) -> None:
    """Delete what is over from the tables too; what still holds stays."""
    below, c, s = fact.below, schema.cases.c, schema.sanctions.c
    lasting = s.kind.in_(sorted(LASTING))
    holding = select(s.n).where(s.ended == 0, lasting)
    standing = select(schema.published_entries.c.n).where(~_WITHDRAWN)
    decided = (c.outcome != "", c.state != "appealed")
    over = select(c.n).where(c.record < below, *decided, c.n.not_in(holding), c.n.not_in(standing))
    for table in (
        schema.evidence,
        schema.assignments,
        schema.case_steps,
        schema.case_notes,
        schema.statements,
        schema.reports,
        schema.decisions,
        schema.questions,
    ):
        await db.execute(delete(table).where(table.c.n.in_(over)))
    await db.execute(delete(schema.cases).where(c.n.in_(over.scalar_subquery())))
    await db.execute(delete(schema.away).where(schema.away.c.until < at_ms))
    await db.execute(delete(schema.tasks).where(schema.tasks.c.record < below, schema.tasks.c.done > 0))
    for table in _OF_RECORDS:
        await db.execute(delete(table).where(table.c.record < below))
    d, v, o = schema.dossiers.c, schema.verifications.c, schema.orders.c
    steps = select(schema.dossier_steps.c.dossier)
    await db.execute(delete(schema.dossiers).where(d.record < below, d.record.not_in(steps)))
    await db.execute(delete(schema.verifications).where(v.record < below, v.until < at_ms))
    for table in (schema.sanctions, schema.room_rules, schema.approvers):
        await db.execute(delete(table).where(table.c.record < below, table.c.ended > 0))
    await _not_tidy(db)
    await set_meta(db, PURGED, str(below))
    ended = or_(o.ended > 0, and_(o.until > 0, o.until < at_ms))
    await db.execute(delete(schema.orders).where(o.record < below, ended))
    await _forget_learnt(db, below)
    of_cases = ((schema.list_matches, true()), (schema.listed_servers, true()), (schema.sanctions, ~lasting))
    for table, never_ended in of_cases:
        of_none = table.c.n.not_in(select(c.n))
        await db.execute(delete(table).where(table.c.record < below, never_ended, of_none))
    await db.execute(delete(schema.published_entries).where(schema.published_entries.c.record < below, _WITHDRAWN))


async def _not_tidy(db: AsyncConnection) -> None:
    await db.execute(delete(schema.meta).where(schema.meta.c.key == EXCHANGE_TIDY))


async def _forget_learnt(db: AsyncConnection, below: int) -> None:
    """Delete what was learnt from other shards, except what may still be changed by them, and where their eras begin.

    The record of something learnt is that of its row in the tables, but an order has a case, and so a record, of its
    own here: it names the place of the one that was learnt.
    """
    t, o = schema.learnt.c, schema.orders.c
    holding = (schema.links, schema.verifications, schema.sanctions, schema.list_spared)
    gone = [t.record.not_in(select(table.c.record)) for table in holding]
    carried_out = exists().where(o.origin == t.origin, o.era == t.era, o.idx == t.idx)
    await db.execute(delete(schema.learnt).where(t.record < below, t.what != "restored", ~carried_out, *gone))


@project.register
async def _(fact: DataAsked, db: AsyncConnection, _index: int, at_ms: int) -> None:
    if fact.what in ("erase-confirmed", "erase-relayed"):
        return
    for_room = ("adopt", "leave", "policy", "everywhere", "everywhere-confirmed")
    what = f"{fact.what} {fact.room}" if fact.what in for_room else fact.what
    await add(db, schema.requests, fact, fact.on, at_ms, what=what)


@project.register
async def _(fact: ContentRead | RecordsExported, db: AsyncConnection, index: int, at_ms: int) -> None:
    if fact.note == "-" and not getattr(fact, "by", ""):
        return  # done by an order to the bot, which is recorded as such
    await add(db, schema.readings, fact, index, at_ms, day=(fact.read or at_ms) // DAY_MS)


@project.register
async def _(fact: CheckpointAnchored, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    if fact.where == "desk":
        await anchor_progress.advance(db, fact.day)
