"""The statement in a file on a person, in words, gathered from the tables.

Rules kept here:
- Only what is about the person is read, and only the cases the file covers.
- Those who decided stay unnamed.

Left to others: the page (`storage/export/dossier.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.texts.matrix_message import Speech
from bot.texts.statement import statement_lines
from moderation.cases.statements import Statement, from_json
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Line, Moment, Phrase, RoomName, RuleText, line
from storage import queries, schema
from storage.export.dossier import DossierEntry, File, Happened, Stated
from storage.queries import Dossier


async def naming_others(db: AsyncConnection, cases: Sequence[int]) -> frozenset[int]:
    """Return the records of statements that name the person who decided.

    In the export no part of these records is shown, since the page has their content without the name.
    """
    s = schema.statements.c
    rows = (await db.execute(select(s.record, s.statement).where(s.n.in_(cases)))).all()
    return frozenset(row.record for row in rows if (said := from_json(row.statement)) is not None and said.by)


class Gatherer:
    """A reader that puts the tables into words, in one language."""

    def __init__(self, db: AsyncConnection, speech: Speech, language: str) -> None:
        self._db = db
        self._speech = speech
        self._language = language
        self._rooms: dict[str, str] = {}

    async def file(self, dossier: Dossier, digest: str, *, by: str, reason: str, now_ms: int) -> File:
        """Gather all of it; `digest` is what the approvals refer to."""
        self._rooms = await queries.room_names(self._db)
        accounts = await queries.accounts_of(self._db, dossier.subject)
        cases = await self._rows(
            select(schema.cases).where(schema.cases.c.n.in_(dossier.cases)).order_by(schema.cases.c.n)
        )
        stated = {row.n: await self._stated(row.n) for row in cases}
        return File(
            number=dossier.record,
            accounts=accounts,
            names=await self._names(accounts),
            verified=await self._verified(dossier.subject, now_ms),
            rooms=await self._groups(accounts),
            made_at_ms=now_ms,
            by=by,
            reason=reason,
            begun=DossierEntry(dossier.at, dossier.reader, dossier.reason),
            approvals=tuple(DossierEntry(s.at, s.reader, s.reason) for s in dossier.approvals(digest)),
            cases=dossier.cases,
            timeline=(*self._of_cases(cases, stated), *await self._measures(dossier.cases)),
            stated=tuple(Stated(row.n, self._statements(row, stated[row.n])) for row in cases if stated[row.n]),
        )

    async def _stated(self, n: int) -> Sequence[Row[tuple[object, ...]]]:
        return await self._rows(
            select(schema.statements).where(schema.statements.c.n == n).order_by(schema.statements.c.record)
        )

    # Who.

    async def _names(self, accounts: Sequence[UserId]) -> tuple[str, ...]:
        m = schema.members.c
        rows = await self._rows(select(m.display_name).where(m.user.in_(accounts), m.display_name != "").distinct())
        return tuple(sorted(row.display_name for row in rows))

    async def _verified(self, user: UserId, now_ms: int) -> str:
        person = await queries.person_view(self._db, user, now_ms=now_ms, recent_since=now_ms)
        return self._said(line(f"dossier.verified.{'yes' if person.verified else 'no'}", level=person.verified))

    async def _groups(self, accounts: Sequence[UserId]) -> tuple[tuple[str, str], ...]:
        query = (
            select(schema.rooms.c.code, schema.rooms.c.name)
            .join(schema.members, schema.members.c.room == schema.rooms.c.room)
            .where(schema.members.c.user.in_(accounts), schema.rooms.c.purpose == "group")
            .distinct()
            .order_by(schema.rooms.c.code)
        )
        return tuple((row.code, row.name) for row in await self._rows(query))

    # What happened.

    def _of_cases(
        self, cases: Sequence[Row[tuple[object, ...]]], stated: dict[int, Sequence[Row[tuple[object, ...]]]]
    ) -> Iterator[Happened]:
        for row in cases:
            rule, grade = RuleText(row.rule), Phrase(f"grade.{row.grade}")
            opened = line("dossier.line.opened", n=row.n, rule=rule, grade=grade, room=RoomName(row.room))
            yield Happened(row.opened, self._said(opened), row.record, row.excerpt)
            yield from self._decisions(row, stated[row.n])
            if row.appealed:
                yield Happened(row.appealed, self._said(line("dossier.line.appealed", n=row.n)), -1, row.appeal)

    def _decisions(self, row: Row[tuple[object, ...]], stated: Sequence[Row[tuple[object, ...]]]) -> Iterator[Happened]:
        """Yield every decision that the statements of reasons tell; without statements the last one, from the case."""
        decided = [(each, said) for each in stated if (said := from_json(each.statement)) and said.outcome]
        known: set[tuple[str, bool]] = set()
        for each, said in decided:
            if (said.outcome, said.on_appeal) not in known:
                known.add((said.outcome, said.on_appeal))
                yield Happened(each.at, self._decided(row.n, said.outcome, on_appeal=said.on_appeal), each.record)
        if not decided and row.outcome:
            yield Happened(
                row.decided, self._decided(row.n, row.outcome, on_appeal=row.state in ("affirmed", "reversed"))
            )

    def _decided(self, n: int, outcome: str, *, on_appeal: bool) -> str:
        key = "dossier.line.decided-on-appeal" if on_appeal else "dossier.line.decided"
        return self._said(line(key, n=n, outcome=Phrase(f"state.{outcome}")))

    async def _measures(self, numbers: Sequence[int]) -> tuple[Happened, ...]:
        s = schema.sanctions.c
        rows = await self._rows(select(schema.sanctions).where(s.n.in_(numbers)).order_by(s.record))
        return tuple(each for row in rows for each in self._measure(row))

    def _measure(self, row: Row[tuple[object, ...]]) -> Iterator[Happened]:
        what = Phrase(f"export.word.{row.kind}")
        key = "dossier.line.measure-until" if row.until else "dossier.line.measure"
        yield Happened(row.at, self._said(line(key, n=row.n, what=what, until=Moment(row.until))), row.record)
        if row.ended:
            why = Phrase(f"why-ended.{row.why_ended}")
            yield Happened(row.ended, self._said(line("dossier.line.ended", n=row.n, what=what, why=why)))

    # Why.

    def _statements(
        self, row: Row[tuple[object, ...]], stated: Sequence[Row[tuple[object, ...]]]
    ) -> tuple[tuple[str, ...], ...]:
        found = [from_json(each.statement) for each in stated]
        return tuple(self._paragraphs(each, RoomId(row.room)) for each in found if each is not None)

    def _paragraphs(self, stated: Statement, room: RoomId) -> tuple[str, ...]:
        """Write a statement without the name of the person who decided: a file names nobody it is not about."""
        unnamed = self._said(line("dossier.page.unnamed"))
        return tuple(self._said(each) for each in statement_lines(replace(stated, by=stated.by and unnamed), room))

    def _said(self, said: Line) -> str:
        return self._speech.text((said,), self._language, self._rooms).plain

    async def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        rows: Sequence[Row[Any]] = (await self._db.execute(query)).all()
        return rows
