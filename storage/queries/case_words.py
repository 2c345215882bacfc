"""Words about a case: statements of reasons, notes, and comments of the person concerned."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import UserId
from storage import schema
from storage.database.dialect import sql_list

_t, _note = schema.statements.c, schema.case_notes.c
_STATEMENTS = select(_t.statement).where(_t.n == bindparam("n"), _t.statement != "").order_by(_t.record)
_NOTES = select(schema.case_notes).where(_note.n == bindparam("n"), _note.words != "").order_by(_note.record)


async def statements_of(db: AsyncConnection, n: int) -> tuple[str, ...]:
    """Return the statements of reasons for a case, as JSON, oldest first."""
    return tuple(await db.scalars(_STATEMENTS, {"n": n}))


@dataclass(frozen=True, slots=True)
class CaseNote:
    """A note that somebody left on a case for those who handle it."""

    by: UserId
    words: str
    at: int


async def comments_of(db: AsyncConnection, accounts: Collection[UserId], since_ms: int, n: int = 0) -> int:
    """Return how many comments a person gave since then on cases about them, or on case `n`; kept or not."""
    c, note = schema.cases.c, schema.case_notes.c
    own = (c.n == note.n, sql_list(c.subject, accounts), sql_list(note.by, accounts), note.at >= since_ms)
    count = select(func.count()).select_from(schema.case_notes.join(schema.cases, c.n == note.n))
    return int(await db.scalar(count.where(*own, *([c.n == n] if n else []))) or 0)


async def notes_of(db: AsyncConnection, n: int) -> tuple[CaseNote, ...]:
    """Return the notes on a case, oldest first."""
    return tuple(CaseNote(UserId(row.by), row.words, row.at) for row in await db.execute(_NOTES, {"n": n}))
