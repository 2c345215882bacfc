"""Files about serious and continuing offenders, and their evidence."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.cases.dossiers import APPROVALS, Before, Offence
from moderation.values.ids import UserId
from storage import schema
from storage.projections import person_of

from .linked_accounts import accounts_of


@dataclass(frozen=True, slots=True)
class Dossier:
    """A file about a person, and the steps taken with it."""

    record: int
    subject: UserId
    cases: tuple[int, ...]
    task: int
    state: str  # open | declined | exported
    at: int
    reader: str
    reason: str
    steps: tuple[Row[tuple[object, ...]], ...]  # of dossier_steps
    persons: Mapping[str, str]  # the person behind the account of each approver

    @property
    def approved_by(self) -> tuple[str, ...]:
        """Return the accounts that approved the file as it was at the last approval, one per person."""
        signed = [step for step in self.steps if step.step == "approved" and step.how != "user"]
        return self.approvers(signed[-1].digest) if signed else ()

    def approvers(self, digest: str) -> tuple[str, ...]:
        """Return the accounts that approved what has this digest, one per person."""
        return tuple(step.reader for step in self.approvals(digest))

    def approvals(self, digest: str) -> tuple[Row[tuple[object, ...]], ...]:
        """Return the approvals of what has this digest, the first of each person.

        Approvals by users of the operating system, as older versions recorded them, do not count.
        """
        found: dict[str, Row[tuple[object, ...]]] = {}
        for step in self.steps:
            if step.step == "approved" and step.how != "user" and step.digest == digest:
                found.setdefault(self.persons[step.reader], step)
        return tuple(found.values())

    def as_json(self) -> dict[str, Any]:
        """Return the file as it is listed; "approved": two people have approved it, and it may leave."""
        is_approved = self.state == "open" and len(self.approved_by) >= APPROVALS
        return {
            "dossier": self.record,
            "person": self.subject,
            "cases": list(self.cases),
            "state": "approved" if is_approved else self.state,
            "at": self.at,
            "by": self.reader,
            "reason": self.reason,
            "task": self.task if self.task >= 0 else None,
            "approved_by": list(self.approved_by),
        }

    def steps_as_json(self) -> list[dict[str, Any]]:
        """Return the steps taken with it."""
        return [_step_json(step) for step in self.steps]

    @property
    def hidden(self) -> bool:
        """True if the person is not told of it: it is being prepared, or there is a legal bar."""
        exports = [step for step in self.steps if step.step == "exported"]
        return bool(exports[-1].bar) if exports else self.state != "declined"


def _step_json(row: Row[Any]) -> dict[str, Any]:
    return {
        "step": row.step,
        "at": row.at,
        "by": row.reader,
        "reason": row.reason,
        "bar": row.bar or None,
        "sha256": row.digest if row.digest != "-" else None,
        "how": row.how if row.step == "approved" else None,
    }


async def dossier_view(db: AsyncConnection, record: int) -> Dossier | None:
    """Return the file that began with this record."""
    row = (await db.execute(select(schema.dossiers).where(schema.dossiers.c.record == record))).first()
    return await _dossier(db, row) if row else None


async def all_dossiers(db: AsyncConnection) -> tuple[Dossier, ...]:
    """Return all files, in the order in which they were begun."""
    rows = (await db.execute(select(schema.dossiers).order_by(schema.dossiers.c.record))).all()
    return tuple([await _dossier(db, row) for row in rows])


async def hidden_from(db: AsyncConnection, user: UserId) -> tuple[frozenset[int], frozenset[int]]:
    """Return what a person is not told of: the files on them, and all records that mention these."""
    accounts = await accounts_of(db, user)
    files = [each for each in await all_dossiers(db) if each.subject in accounts and each.hidden]
    open_task = (schema.tasks.c.task == "dossier", schema.tasks.c.subject.in_(accounts), schema.tasks.c.done == 0)
    tasks = await db.scalars(select(schema.tasks.c.record).where(*open_task))
    records = {*tasks, *(each.task for each in files if each.task >= 0)}
    for each in files:
        records |= {each.record, *(int(step.record) for step in each.steps)}
    return frozenset(each.record for each in files), frozenset(records)


async def offences_of(db: AsyncConnection, user: UserId) -> tuple[tuple[Offence, ...], Before]:
    """Return the cases upheld against a person, and the earlier measures and tasks about them."""
    person = await person_of(db, user)
    c, s, t = schema.cases.c, schema.sanctions.c, schema.tasks.c
    cases = await db.execute(
        select(schema.cases).where(c.person == person, c.outcome == "upheld", c.state != "reversed").order_by(c.n)
    )
    offences = tuple(Offence(row.n, row.room, row.rule, row.grade, row.opened, row.decided) for row in cases)
    measures = await db.execute(
        select(s.n, s.at, s.rule).where(
            s.person == person,
            s.why_ended != "reversed",
            s.basis.not_in(("interim", "standing")),
            s.kind.in_(("redact", "warn", "mute", "demote", "kick", "ban")),
            or_(s.n > 0, s.basis == "command"),
        )
    )
    accounts = await accounts_of(db, user)
    tasks = await db.execute(select(t.at, t.done).where(t.task == "dossier", t.subject.in_(accounts)))
    return offences, Before(
        measures=tuple((row.n, row.at, row.rule) for row in measures),
        tasks=tuple((row.at, row.done) for row in tasks),
    )


async def _dossier(db: AsyncConnection, row: Row[tuple[object, ...]]) -> Dossier:
    d = schema.dossier_steps.c
    steps = await db.execute(select(schema.dossier_steps).where(d.dossier == row.record).order_by(d.record))
    return Dossier(
        record=row.record,
        subject=UserId(row.subject),
        cases=tuple(json.loads(row.covers).get("cases", ())) if row.covers else (),
        task=row.task,
        state=row.state,
        at=row.at,
        reader=row.reader,
        reason=row.reason,
        steps=(taken := tuple(steps)),
        persons={step.reader: await person_of(db, step.reader) for step in taken if step.how != "user"},
    )


@dataclass(frozen=True, slots=True)
class Approver:
    """A key with which an operator signs approvals. `ended`: when it was withdrawn (0: it is valid)."""

    record: int
    key: str
    name: str
    account: UserId
    at: int
    reader: str
    ended: int


async def all_approvers(db: AsyncConnection) -> tuple[Approver, ...]:
    """Return all keys of approvers, in the order in which they were registered."""
    rows = await db.execute(select(schema.approvers).order_by(schema.approvers.c.record))
    return tuple(Approver(*row) for row in rows)
