"""The projection of facts learnt from other shards, by the projections of what was recorded there.

Rules kept here:
- The same record of another log counts once.
- What changes a record that is not learnt yet waits for it; nobody else has to do anything when it comes.
- A row has the index of our record, and the time at which it was recorded there: a balance is the same everywhere.

Left to others: what crosses (`moderation/shards/crossing.py`), checking it (`bot/exchange/`).
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from sqlalchemy import ColumnElement, Table, insert, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import HERE, Learnt, OrderedEverywhere, OrderRecalled, ShardPinned
from moderation.model.reach import DEPLOYMENT
from moderation.shards.applying import applied, waits_for_other
from moderation.shards.crossing import FOUND_BY_EACH
from moderation.shards.eras import written_in
from storage import schema

from .common import add, project, put
from .eras import eras_naming, eras_of, is_ours

_KEPT = frozenset(field.name for field in fields(Learnt)) & frozenset(schema.learnt.c.keys())
_t = schema.learnt.c


@project.register
async def _(fact: Learnt, db: AsyncConnection, index: int, _at_ms: int) -> None:
    if await is_learnt(db, fact):
        return
    changed = await changed_by(db, fact) if waits_for_other(fact) else -1
    values = {name: getattr(fact, name) for name in _KEPT}
    values |= {"idx": fact.index, "record": index, "position": fact.position, "waits": int(changed is None)}
    values["of"], values["of_era"] = fact.changed_log
    await db.execute(insert(schema.learnt).values(**values))
    await _apply(fact, db, index, changed)
    for row in await waiting_for(db, fact):
        await db.execute(update(schema.learnt).where(_t.record == row.record).values(waits=0))
        if row.what == "entry":  # it stands in the ledger already, where it undoes nothing yet
            own = schema.credit.c.record == row.record
            await db.execute(update(schema.credit).where(own).values(undoes=index))
        else:
            await _apply(_as_it_was(row, fact), db, row.record, index)


@project.register
async def _(fact: OrderedEverywhere, db: AsyncConnection, index: int, at_ms: int) -> None:
    where = (fact.origin, fact.era, fact.index) if fact.origin != "-" else ("-", "-", index)
    await add(db, schema.orders, fact, index, at_ms, origin=where[0], era=where[1], idx=where[2])


@project.register
async def _(fact: OrderRecalled, db: AsyncConnection, _index: int, at_ms: int) -> None:
    await db.execute(update(schema.orders).where(schema.orders.c.record == fact.start).values(ended=max(at_ms, 1)))


@project.register
async def _(fact: ShardPinned, db: AsyncConnection, index: int, _at_ms: int) -> None:
    await put(db, schema.shard_keys, {"origin": fact.origin}, vkey=fact.vkey, record=index)


async def _apply(fact: Learnt, db: AsyncConnection, index: int, changed: int | None) -> None:
    if changed is None and fact.what != "entry":
        return
    if fact.what == "recalled":
        order = await order_of(db, fact)
        if order is not None:
            await db.execute(
                update(schema.orders).where(schema.orders.c.record == order.record).values(ended=fact.made)
            )
        return
    what = applied(fact, -1 if changed is None else changed)
    if what is not None:
        await project(what, db, index, fact.made)


def _as_it_was(row: Any, about: Learnt) -> Learnt:
    """Return what waited, as far as it counts: it concerns the people whom the record concerns that it changes."""
    return Learnt(
        what=row.what,
        origin=row.origin,
        index=row.idx,
        made=row.made,
        size=row.size,
        root=row.root,
        era=row.era,
        refers=row.refers,
        until=row.until,
        why=row.why,
        method=row.method,
        list=about.list,
        subject=about.subject,
        target=about.target,
        server=about.server,
    )


async def is_learnt(db: AsyncConnection, fact: Learnt) -> bool:
    """Return whether the record of the other log was learnt before."""
    same = select(_t.record).where(_t.origin == fact.origin, _t.era == fact.era, _t.idx == fact.index)
    return await db.scalar(same) is not None


async def changed_by(db: AsyncConnection, fact: Learnt) -> int | None:
    """Return our record of the one that a learnt one changes; None if it is not learnt, or none that could be changed.

    Of our own only what other shards know can be changed by them, and only of the person whom they name. What had the
    same number in a time that is lost, since the log was restored, is another record.
    """
    of, era = fact.changed_log
    if of != HERE:
        return await record_of(db, of, era, fact.refers)
    ours = _ours(fact)
    if ours is None or not await is_ours(db, era, fact.refers):
        return None
    table, conditions = ours
    record = await db.scalar(select(table.c.record).where(table.c.record == fact.refers, *conditions))
    return None if record is None else int(record)


async def began_here(db: AsyncConnection, end: Learnt) -> bool:
    """Tell whether what one of our own records changes was begun in this log and crossed, though it is purged there.

    `end` is that record as the others learn it. Of what is no longer spared no row is left, but its own reach.
    """
    if await db.scalar(select(_t.record).where(_t.record == end.refers)) is not None:
        return False
    return end.what == "unspared" or await changed_by(db, replace(end, of=HERE, of_era=end.era)) is not None


async def order_of(db: AsyncConnection, recalled: Learnt) -> Any | None:
    """Return the row of the order that another shard recalls, if this shard carries it out."""
    o, (of, era) = schema.orders.c, recalled.changed_log
    wanted = select(schema.orders).where(_names(o.subject, recalled.subject))
    if of == HERE:
        own = wanted.where(o.origin == "-", o.record == recalled.refers)
        return (await db.execute(own)).first() if await is_ours(db, era, recalled.refers) else None
    theirs = wanted.where(o.origin == of, o.idx == recalled.refers)
    for each in await eras_naming(db, of, era, recalled.refers):
        if found := (await db.execute(theirs.where(o.era == each))).first():
            return found
    return None


def _ours(fact: Learnt) -> tuple[Table, Sequence[ColumnElement[bool]]] | None:
    """Return the table with what another shard may change, and which of its rows that may be."""
    match fact.what:
        case "admitted" | "prolonged":
            t = schema.sanctions.c
            everywhere = (t.kind == "ban", t.room == "", t.reach == DEPLOYMENT, t.basis.not_in(FOUND_BY_EACH))
            return schema.sanctions, (*everywhere, _names(t.subject, fact.subject))
        case "revoked":
            v = schema.verifications.c
            return schema.verifications, (v.reach == DEPLOYMENT, _names(v.user, fact.subject))
        case "unlinked":
            k = schema.links.c
            return schema.links, (_names(k.user, fact.subject), _names(k.to, fact.target))
        case "recalled":
            o = schema.orders.c
            return schema.orders, (o.origin == "-", _names(o.subject, fact.subject))
        case "unspared":
            s = schema.list_spared.c
            whom = _names(s.server, fact.server) if fact.server else _names(s.subject, fact.subject)
            return schema.list_spared, (s.reach == DEPLOYMENT, s.list == fact.list, whom)
    return None


def _names(column: ColumnElement[str], said: str) -> ColumnElement[bool]:
    """Return whether a row is about whom a fact names; who was erased may be missing in either."""
    return column.in_((said, "")) if said else true()


async def record_of(db: AsyncConnection, origin: str, era: str, index: int) -> int | None:
    """Return our record of a record in another log; None if it is not learnt.

    A log that continues from a backup refers to what it had recorded before, which was learnt in an earlier era.
    """
    for each in await eras_naming(db, origin, era, index):
        record = await db.scalar(select(_t.record).where(_t.origin == origin, _t.era == each, _t.idx == index))
        if record is not None:
            return int(record)
    return None


async def waiting_for(db: AsyncConnection, begun: Learnt) -> Sequence[Any]:
    """Return what was learnt before the record of another log that it changes, which is being learnt now."""
    waits = select(schema.learnt).where(_t.of == begun.origin, _t.refers == begun.index, _t.waits == 1)
    rows = (await db.execute(waits.order_by(_t.record))).all()
    eras = await eras_of(db, begun.origin) if rows else ()
    return [row for row in rows if begun.era in written_in(eras, row.of_era, begun.index)]
