"""Facts about consequences for people: credit, sanctions, kept levels, and outcomes of requests."""

from sqlalchemy import bindparam, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.builtin_rules import LISTED, UNVERIFIED
from moderation.model.facts import (
    LASTING,
    OF_ROOMS,
    ActionTaken,
    BalanceCorrected,
    CreditChanged,
    EntryConfirmed,
    LevelKept,
    SanctionEnded,
    SanctionExtended,
    SanctionStarted,
    Swept,
)
from moderation.rooms.server_acl import KEPT
from moderation.rooms.slow_mode import TOLD_ONCE
from storage import schema

from .common import RECKONED, REMOVED, SWEEP, add, pointed, project, put, set_meta

_SENT = delete(schema.outbox).where(schema.outbox.c.txn == bindparam("txn"))
_IN_THE_DESK = ("card", "edit-card", "tell-desk")  # actions that tell people in the desk something about a case
_OF_BURSTS = ("burst-card", "edit-burst")  # the same, about many cases


@project.register
async def _(fact: CreditChanged, db: AsyncConnection, index: int, at_ms: int) -> None:
    await add(db, schema.credit, fact, index, at_ms)


@project.register
async def _(fact: EntryConfirmed, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    await db.execute(update(schema.credit).where(schema.credit.c.record == fact.start).values(reach=""))


@project.register
async def _(fact: BalanceCorrected, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    await set_meta(db, RECKONED, str(fact.start))


@project.register
async def _(fact: SanctionStarted, db: AsyncConnection, index: int, at_ms: int) -> None:
    await add(db, schema.sanctions, fact, index, at_ms)
    if fact.rule in TOLD_ONCE and not fact.quiet:
        await pointed(db, fact.room or "", fact.subject, fact.rule, index, at_ms)
    if fact.kind == "kick" and fact.rule == UNVERIFIED:
        await pointed(db, fact.room or "", fact.subject, REMOVED, index, at_ms)
    if fact.kind in LASTING:  # a new sanction takes up again what was left alone before
        h, r = schema.holds.c, schema.rooms.c
        whose = "" if fact.kind in OF_ROOMS else fact.subject
        again = update(schema.holds).where(h.user == whose, h.step == "overruled")
        if fact.reach:
            again = again.where(h.room.in_(select(r.room).where(or_(r.community == fact.reach, r.room == fact.room))))
        elif fact.room is not None:
            again = again.where(h.room == fact.room)
        again = again.where(h.what == KEPT + fact.server if fact.server else h.what.not_like(f"{KEPT}%"))
        await db.execute(again.values(step="held", corrections=0))


@project.register
async def _(fact: Swept, db: AsyncConnection, index: int, at_ms: int) -> None:
    basis = "list" if fact.rule == LISTED else "command"
    await add(db, schema.sanctions, fact, index, at_ms, kind=SWEEP, basis=basis, until=0)


@project.register
async def _(fact: SanctionExtended, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    await db.execute(update(schema.sanctions).where(schema.sanctions.c.record == fact.start).values(until=fact.until))


@project.register
async def _(fact: SanctionEnded, db: AsyncConnection, _index: int, at_ms: int) -> None:
    began = schema.sanctions.c.record == fact.start
    await db.execute(update(schema.sanctions).where(began).values(ended=max(at_ms, 1), why_ended=fact.why))


@project.register
async def _(fact: LevelKept, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    key = {"room": fact.room, "user": fact.subject, "what": KEPT + fact.server if fact.server else fact.what}
    if fact.step == "released":
        await db.execute(delete(schema.holds).filter_by(**key))
        return
    step = "held" if fact.step == "corrected" else fact.step
    await put(db, schema.holds, key, step=step, prior=fact.prior, held=fact.held)
    if fact.step == "corrected":
        await db.execute(update(schema.holds).filter_by(**key).values(corrections=schema.holds.c.corrections + 1))


@project.register
async def _(fact: ActionTaken, db: AsyncConnection, _index: int, at_ms: int) -> None:
    await db.execute(_SENT, {"txn": fact.txn})
    if fact.action == "card" and fact.result == "done":
        await db.execute(update(schema.cases).where(schema.cases.c.n == fact.n).values(card=fact.made))
    if fact.action == "burst-card" and fact.result == "done":
        await db.execute(update(schema.cases).where(schema.cases.c.n == fact.n).values(burst_card=fact.made))
    if fact.action == "show-power" and fact.made:
        await db.execute(update(schema.rooms).where(schema.rooms.c.room == fact.room).values(introduced=fact.made))
    if fact.action == SWEEP and fact.result != "done":  # what it was to redact counts as standing again
        await _sweep_failed(db, fact, at_ms)
    if fact.action in (*_IN_THE_DESK, *_OF_BURSTS) and fact.result == "done" and fact.n and fact.room is not None:
        await _told_in_desk(db, fact)


async def _sweep_failed(db: AsyncConnection, fact: ActionTaken, at_ms: int) -> None:
    s = schema.sanctions.c
    own = (s.kind == SWEEP, s.n == fact.n, s.room == fact.room)
    await db.execute(update(schema.sanctions).where(*own).values(ended=max(at_ms, 1), why_ended=fact.result))


async def _told_in_desk(db: AsyncConnection, fact: ActionTaken) -> None:
    """Mark people in the desk as told of a case, and of the cases on the same card."""
    code = select(schema.rooms.c.desk).where(schema.rooms.c.room == fact.room).scalar_subquery()
    desks = select(schema.rooms.c.room).where(schema.rooms.c.purpose == "desk", schema.rooms.c.code == code)
    there = select(schema.members.c.user).where(schema.members.c.room.in_(desks), schema.members.c.membership == "join")
    c = schema.cases.c
    of_burst = fact.action in _OF_BURSTS
    shown = select(c.n).where(c.burst == fact.n if of_burst else or_(c.n == fact.n, c.lead == fact.n))
    a = schema.assignments.c
    told = update(schema.assignments).where(a.n.in_(shown), a.told == 0, a.user.in_(there))
    await db.execute(told.values(told=1))
