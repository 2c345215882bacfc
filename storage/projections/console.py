"""Links to the web console and the sessions opened by them."""

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import ConsoleEnded, ConsoleLinkGiven, ConsoleOpened
from storage import schema

from .common import add, project


@project.register
async def _(fact: ConsoleLinkGiven, db: AsyncConnection, index: int, at_ms: int) -> None:
    if fact.ticket:  # else it was erased
        await add(db, schema.console_links, fact, index, at_ms)


@project.register
async def _(fact: ConsoleOpened, db: AsyncConnection, index: int, at_ms: int) -> None:
    if fact.session:  # else it was erased
        link = fact.link if fact.link >= 0 else -1 - index  # each link opens one session
        await add(db, schema.console_sessions, fact, index, at_ms, link=link)


@project.register
async def _(fact: ConsoleEnded, db: AsyncConnection, _index: int, at_ms: int) -> None:
    of_it = schema.console_sessions.c.record == fact.start
    await db.execute(update(schema.console_sessions).where(of_it).values(ended=at_ms))
