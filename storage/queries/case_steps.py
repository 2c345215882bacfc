"""The time line of a case: its steps, what it cost, and the measures taken for it; and its last record."""

from dataclasses import dataclass

from sqlalchemy import bindparam, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import UserId
from storage import schema


@dataclass(frozen=True, slots=True)
class CaseStepRow:
    """A row of a time line.

    `step` is one of `case_steps`, an entry of a ledger ("charge", "warning", "compensation"), "measure" or
    "measure-ended"; `what` is then the ledger or the kind of measure, and `state` why it ended.
    """

    record: int  # -1: the table does not say which
    at: int
    step: str
    what: str
    by: UserId  # "": the bot by a rule or a deadline, or somebody who had it erased
    subject: UserId
    state: str
    asked: str
    due: int  # of a measure: until when; 0: no end
    cost: int


async def time_line(db: AsyncConnection, n: int) -> tuple[CaseStepRow, ...]:
    """Return everything that happened to a case, oldest first."""
    rows = [CaseStepRow(*row) for row in await db.execute(_TIME_LINE, {"n": n})]
    return tuple(sorted(rows, key=lambda row: (row.at, row.record < 0, row.record)))


async def last_record_of(db: AsyncConnection, n: int) -> int:
    """Return the last record about a case, by which is seen whether it has changed; -1 if there is no such case."""
    return max(await db.scalars(_RECORDS, {"n": n}), default=-1)


_S, _C, _M = schema.case_steps.c, schema.credit.c, schema.sanctions.c
_NO, _NONE = literal(0), literal("")
_STEPS = select(_S.record, _S.at, _S.step, _S.what, _S.by, _S.subject, _S.state, _S.asked, _S.due, _NO)
_ENTRIES = select(_C.record, _C.at, _C.entry, _C.ledger, _NONE, _C.user, _NONE, _NONE, _NO, _C.cost)
_MEASURES = select(_M.record, _M.at, literal("measure"), _M.kind, _M.by, _M.subject, _NONE, _NONE, _M.until, _NO)
_ENDS = select(
    literal(-1), _M.ended, literal("measure-ended"), _M.kind, _NONE, _M.subject, _M.why_ended, _NONE, _NO, _NO
)
_PERSON = select(schema.cases.c.person).where(schema.cases.c.n == bindparam("n")).scalar_subquery()
_OF_CASE = (_M.person == _PERSON, _M.n == bindparam("n"))
_TIME_LINE = union_all(
    _STEPS.where(_S.n == bindparam("n")),
    _ENTRIES.where(_C.person == _PERSON, _C.n == bindparam("n")),
    _MEASURES.where(*_OF_CASE),
    _ENDS.where(*_OF_CASE, _M.ended > 0),
)
_RECORDS = union_all(
    select(_S.record).where(_S.n == bindparam("n")),
    select(schema.evidence.c.record).where(schema.evidence.c.n == bindparam("n")),
    select(_C.record).where(_C.person == _PERSON, _C.n == bindparam("n")),
    select(_M.record).where(*_OF_CASE),
)
