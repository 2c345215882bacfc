"""Facts about cases: from the first message to the last appeal, reports, statements, tasks and files."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.builtin_rules import OVERDUE
from moderation.model.facts import (
    Appealed,
    ApproverChanged,
    CaseAssigned,
    CaseClaimed,
    CaseCommented,
    CaseDecided,
    CaseExtended,
    CaseGrew,
    CaseLeft,
    CaseMoved,
    CaseNoted,
    CaseOpened,
    DossierStep,
    Fact,
    FoundOnTrial,
    NoticeGiven,
    QuestionAsked,
    Reported,
    StatementGiven,
    TaskDone,
    TaskOpened,
)
from moderation.values.durations import DAY_MS
from moderation.values.ids import RoomId
from storage import schema
from storage.schema.case_tables import WAITS

from .common import add, project
from .old_events import bring_back


@project.register
async def _(fact: FoundOnTrial, db: AsyncConnection, index: int, at_ms: int) -> None:
    await add(db, schema.trials, fact, index, at_ms, message=_message(fact))


@project.register
async def _(fact: CaseOpened, db: AsyncConnection, index: int, at_ms: int) -> None:
    waits = fact.state == "open" or fact.rule == OVERDUE  # costs standing again each day
    await add(
        db,
        schema.cases,
        fact,
        index,
        at_ms,
        outcome="upheld" if fact.state == "decided" else "",
        opened=at_ms,
        due=fact.due if waits else 0,
        remind=_half_way(at_ms, fact.due) if fact.state == "open" else 0,
        decided=at_ms if fact.state == "decided" else 0,
    )
    await _add_evidence(fact, db, at_ms)
    await _step(db, fact, index, at_ms)


async def _change(db: AsyncConnection, n: int, **values: object) -> None:
    """Change the row of a case."""
    await db.execute(update(schema.cases).where(schema.cases.c.n == n).values(**values))


async def _step(db: AsyncConnection, fact: Fact, index: int, at_ms: int, **other: object) -> None:
    """Add a row to the time line of the case. `other`: what the fact has not, or what the time line does not tell."""
    await add(db, schema.case_steps, fact, index, at_ms, **other)


async def _add_evidence(fact: CaseOpened | CaseGrew, db: AsyncConnection, at_ms: int) -> None:
    if fact.event:  # it may have none, or an erased one
        await bring_back(db, fact.event, RoomId(fact.room or ""), fact.subject)
        await add(db, schema.evidence, fact, _message(fact), at_ms)


def _message(fact: CaseOpened | CaseGrew | FoundOnTrial | Reported) -> int:
    """Return the record of the message that a fact is about: its cause, or the reported message."""
    return fact.message if fact.message >= 0 else fact.on


def _half_way(at_ms: int, due: int) -> int:
    return at_ms + (due - at_ms) // 2 if due > at_ms else 0


@project.register
async def _(fact: CaseMoved, db: AsyncConnection, index: int, at_ms: int) -> None:
    values: dict[str, object] = {"state": fact.state, "asked": fact.asked, "due": fact.due}
    if fact.step == "reminded":
        values["remind"] = 0
    elif fact.step != "acknowledged":
        values["remind"] = _half_way(at_ms, fact.due) if fact.step in ("escalated", "parted") else 0
    if fact.step == "parted":
        values["lead"] = 0
    if fact.step in ("overdue", "escalated"):
        values["claimed"] = ""
    await _change(db, fact.n, **values)
    await _step(db, fact, index, at_ms)


@project.register
async def _(fact: CaseClaimed, db: AsyncConnection, index: int, at_ms: int) -> None:
    await _change(db, fact.n, claimed=fact.by)
    if fact.by:
        a = schema.assignments.c
        await db.execute(update(schema.assignments).where(a.n == fact.n, a.user == fact.by).values(told=1))
    await _step(db, fact, index, at_ms)


@project.register
async def _(fact: CaseExtended, db: AsyncConnection, index: int, at_ms: int) -> None:
    await _change(db, fact.n, due=fact.due, remind=_half_way(at_ms, fact.due), extended=at_ms)
    await _step(db, fact, index, at_ms)


@project.register
async def _(fact: CaseAssigned, db: AsyncConnection, index: int, at_ms: int) -> None:
    await add(db, schema.assignments, fact, index, at_ms)
    await _step(db, fact, index, at_ms)


@project.register
async def _(fact: NoticeGiven, db: AsyncConnection, _index: int, _at_ms: int) -> None:
    """Note that somebody was told alone that a case waits for them.

    Older records name the text, and not the case.
    """
    if fact.channel != "direct" or not (fact.asks or fact.what.startswith("notice.asked.")):
        return
    a = schema.assignments.c
    which = (a.n == fact.asks,) if fact.asks else (a.asked == fact.what.rpartition(".")[2],)
    await db.execute(update(schema.assignments).where(a.user == fact.subject, *which).values(told=1))


@project.register
async def _(fact: CaseLeft, db: AsyncConnection, index: int, at_ms: int) -> None:
    a = schema.assignments.c
    values = {"gone": at_ms, "gone_by": fact.by} if fact.what == "gone" else {"excused": at_ms}
    await db.execute(update(schema.assignments).where(a.n == fact.n, a.user == fact.subject).values(**values))
    await _step(db, fact, index, at_ms)


@project.register
async def _(fact: CaseNoted, db: AsyncConnection, index: int, at_ms: int) -> None:
    await add(db, schema.case_notes, fact, index, at_ms)
    await _step(db, fact, index, at_ms)


@project.register
async def _(fact: CaseCommented, db: AsyncConnection, index: int, at_ms: int) -> None:
    await add(db, schema.case_notes, fact, index, at_ms, by=fact.subject)
    await _step(db, fact, index, at_ms, by=fact.subject, subject="")


@project.register
async def _(fact: QuestionAsked, db: AsyncConnection, index: int, at_ms: int) -> None:
    await add(db, schema.questions, fact, index, at_ms)
    await _step(db, fact, index, at_ms)


@project.register
async def _(fact: StatementGiven, db: AsyncConnection, index: int, at_ms: int) -> None:
    await add(db, schema.statements, fact, index, at_ms)
    await _step(db, fact, index, at_ms, step="stated")


@project.register
async def _(fact: Reported, db: AsyncConnection, index: int, at_ms: int) -> None:
    await add(db, schema.reports, fact, index, at_ms, message=_message(fact), reason=fact.reason or fact.words)
    if fact.n:
        await _step(db, fact, index, at_ms, step="reported", what=fact.channel, by="")


@project.register
async def _(fact: CaseGrew, db: AsyncConnection, index: int, at_ms: int) -> None:
    await _add_evidence(fact, db, at_ms)
    await _step(db, fact, index, at_ms)


@project.register
async def _(fact: CaseDecided, db: AsyncConnection, index: int, at_ms: int) -> None:
    await add(db, schema.decisions, fact, index, at_ms)
    said = {"state": fact.state, "outcome": fact.what, "by": fact.by, "reason": fact.reason}
    await _change(db, fact.n, **said, decided=at_ms, due=0, remind=0, claimed="")
    c = schema.cases.c
    # The neglect of this case ends; that of a neglecter whose appeal failed continues, if the other case still waits.
    await db.execute(update(schema.cases).where(c.about == fact.n, c.state == "decided").values(due=0))
    if fact.state == "affirmed":
        neglect = (c.n == fact.n, c.rule == OVERDUE, c.about.in_(select(c.n).where(WAITS).scalar_subquery()))
        await db.execute(update(schema.cases).where(*neglect).values(due=at_ms + DAY_MS))
    await _step(db, fact, index, at_ms, step="decided")


@project.register
async def _(fact: Appealed, db: AsyncConnection, index: int, at_ms: int) -> None:
    said = {"state": fact.state, "due": fact.due, "asked": fact.asked, "appeal": fact.words, "appellant": fact.subject}
    await _change(db, fact.n, **said, appealed=at_ms, remind=_half_way(at_ms, fact.due), claimed="")
    own = {"by": fact.subject, "what": ""} if not fact.report else {"by": "", "what": "report"}
    await _step(db, fact, index, at_ms, subject="", **own)


@project.register
async def _(fact: TaskOpened, db: AsyncConnection, index: int, at_ms: int) -> None:
    await add(db, schema.tasks, fact, index, at_ms)


@project.register
async def _(fact: TaskDone, db: AsyncConnection, _index: int, at_ms: int) -> None:
    values = {"done": max(at_ms, 1), "result": fact.result, "reason": fact.reason}
    await db.execute(update(schema.tasks).where(schema.tasks.c.record == fact.start).values(**values))


@project.register
async def _(fact: DossierStep, db: AsyncConnection, index: int, at_ms: int) -> None:
    if fact.step == "opened":
        await add(db, schema.dossiers, fact, index, at_ms)
        return
    command = fact.on if fact.how == "account" else -1
    await add(db, schema.dossier_steps, fact, index, at_ms, dossier=fact.start, command=command)
    if fact.step != "approved":
        await db.execute(update(schema.dossiers).where(schema.dossiers.c.record == fact.start).values(state=fact.step))


@project.register
async def _(fact: ApproverChanged, db: AsyncConnection, index: int, at_ms: int) -> None:
    if fact.step == "added":
        await add(db, schema.approvers, fact, index, at_ms, account=fact.subject)
    else:
        in_force = (schema.approvers.c.key == fact.key, schema.approvers.c.ended == 0)
        await db.execute(update(schema.approvers).where(*in_force).values(ended=max(at_ms, 1)))
