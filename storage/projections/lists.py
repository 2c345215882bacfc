"""Policy lists: which are watched, whom they meant, and who is spared."""

from sqlalchemy import ColumnElement, and_, delete, insert, or_, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import ListChosen, ListMatched, ListPreviewed, ListPublished, ListSpared, ServerListed
from moderation.model.reach import DEPLOYMENT
from storage import schema

from .common import add, person_of, project, put_row


@project.register
async def _(fact: ListChosen, db: AsyncConnection, index: int, at_ms: int) -> None:
    named = schema.chosen_lists.c.list == fact.list
    if fact.step == "ended":
        await db.execute(delete(schema.chosen_lists).where(named))
        return
    await put_row(db, schema.chosen_lists, ("list",), fact, index, at_ms, since=fact.since or at_ms)


@project.register
async def _(fact: ListPreviewed, db: AsyncConnection, index: int, at_ms: int) -> None:
    t = schema.list_previews
    if fact.step == "left":
        await db.execute(update(t).where(t.c.list_room == fact.list_room).values(entered=0))
        return
    if fact.step == "asked":
        asked = {"room": fact.room or "", "by": fact.by, "record": index, "asked": at_ms, "at": at_ms}
        await db.execute(insert(t), {"number": fact.number, **asked})
        return
    entered = {"list_room": fact.list_room, "entered": 1}
    shown = {"list_room": fact.list_room, "reach": fact.reach, "entries": fact.entries, "digest": fact.digest}
    changed = entered if fact.step == "entered" else shown
    await db.execute(update(t).where(t.c.number == fact.number).values(record=index, at=at_ms, **changed))


@project.register
async def _(fact: ListMatched, db: AsyncConnection, index: int, at_ms: int) -> None:
    if fact.subject:  # else they were erased
        await add(db, schema.list_matches, fact, index, at_ms)


@project.register
async def _(fact: ServerListed, db: AsyncConnection, index: int, at_ms: int) -> None:
    await add(db, schema.listed_servers, fact, index, at_ms)


@project.register
async def _(fact: ListPublished, db: AsyncConnection, index: int, at_ms: int) -> None:
    if fact.subject:  # else they were erased
        await put_row(db, schema.published_entries, ("list", "key"), fact, index, at_ms)


@project.register
async def _(fact: ListSpared, db: AsyncConnection, index: int, at_ms: int) -> None:
    if not (fact.subject or fact.server):  # they were erased
        return
    if fact.step == "spared":
        await add(db, schema.list_spared, fact, index, at_ms)
    elif fact.undoes >= 0:
        await db.execute(delete(schema.list_spared).where(schema.list_spared.c.record == fact.undoes))
    else:
        within = spared_within(fact, await person_of(db, fact.subject))
        await db.execute(delete(schema.list_spared).where(within))


def spared_within(unspared: ListSpared, person: str) -> ColumnElement[bool]:
    """Return the condition for what a fact takes back that names no record: all within its reach."""
    s = schema.list_spared.c
    theirs = and_(s.reach != DEPLOYMENT, or_(s.room == unspared.room, s.reach == unspared.reach))
    within = true() if unspared.reach == DEPLOYMENT else theirs
    return and_(s.list == unspared.list, s.person == person, s.server == unspared.server, within)
