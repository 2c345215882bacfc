"""Files on serious and continuing offenders, as operators begin, approve, decline and take them out.

Rules kept here: every step is a record, with the user of the operating system and a reason; a file leaves only after
two different people have approved it, and that it leaves is recorded before it appears; the person is told what was
taken out, and how to object, unless a legal ground against it is recorded. Nothing here sends the file anywhere: it is
written at the command line, to the disk (`bot/cli/dossier.py`), by people.
Left to others: when one is due (`moderation/dossiers.py`), what is in it (`storage/export/dossier.py`).
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.dossiers import APPROVALS, is_violation
from moderation.errors import Refused
from moderation.facts import DossierStep, Fact, RecordsExported, TaskDone
from moderation.ids import RoomId, UserId, is_user_id
from moderation.own_rules import BY_ORDER
from storage import views
from storage.database import Database
from storage.views import Dossier

from .clock import Clock
from .control import Progress
from .pipeline import Pipeline


class Dossiers:
    """Writes the steps."""

    def __init__(self, pipeline: Pipeline, database: Database, clock: Clock) -> None:
        self._pipeline = pipeline
        self._database = database
        self._clock = clock

    def by_name(self) -> Mapping[str, Any]:
        """The operations as `Control` asks for them."""
        return {
            "dossier-new": self._do_new,
            "dossier-approve": self._do_approve,
            "dossier-decline": self._do_decline,
            "dossier-prepare": self._do_prepare,
            "dossier-exported": self._do_exported,
        }

    async def _do_new(self, asked: Mapping[str, Any], who: str, _progress: Progress) -> dict[str, Any]:
        user = asked["person"]
        if not is_user_id(user):
            raise Refused("error.user.form", given=str(user)[:60])
        async with self._database.read() as db:
            cases = await self._cases(db, UserId(user), [int(n) for n in asked.get("cases") or ()])
            task = await _task_about(db, UserId(user))
        covers = json.dumps({"cases": cases})
        reader, reason = _reader(asked, who), str(asked["reason"])
        opened = DossierStep(
            step="opened", task=task, subject=UserId(user), covers=covers, reader=reader, reason=reason
        )
        record = await self._pipeline.with_journal(lambda journal: journal.size - 1, opened)
        return {"dossier": record, "person": user, "cases": cases, "task": task if task >= 0 else None}

    async def _cases(self, db: AsyncConnection, user: UserId, asked: list[int]) -> list[int]:
        """The cases asked for; without any, all that are upheld, except those about duties and limits."""
        offences, _ = await views.offences_of(db, user)
        upheld = {each.n for each in offences}
        for n in asked:
            if n not in upheld:
                raise Refused("cli.dossier.not_upheld", n=n, who=user)
        found = asked or [each.n for each in offences if is_violation(each.rule) or each.rule == BY_ORDER]
        if not found:
            raise Refused("cli.dossier.no_cases", who=user)
        return sorted(set(found))

    async def _do_approve(self, asked: Mapping[str, Any], who: str, _progress: Progress) -> dict[str, Any]:
        found = await self._find(int(asked["dossier"]), open_only=False)
        reader = _reader(asked, who)
        if reader in found.approved_by:
            raise Refused("cli.dossier.approved_already", user=reader)
        await self._step(found, "approved", asked, reader)
        return {"dossier": found.record, "approved_by": [*found.approved_by, reader], "needed": APPROVALS}

    async def _do_decline(self, asked: Mapping[str, Any], who: str, _progress: Progress) -> dict[str, Any]:
        """Decline a file, or the task that asks for one."""
        number, reader, reason = int(asked["dossier"]), _reader(asked, who), str(asked["reason"])
        async with self._database.read() as db:
            task = await views.open_task(db, number)
        if task is not None and task.task == "dossier":
            done = TaskDone(
                room=RoomId(task.room) if task.room else None,
                start=number,
                result="declined",
                reader=reader,
                reason=reason,
            )
            await self._pipeline.commit((done,))
            return {"task": number, "dossier": None}
        found = await self._find(number)
        await self._step(found, "declined", asked, reader)
        return {"task": found.task if found.task >= 0 else None, "dossier": found.record}

    async def _do_prepare(self, asked: Mapping[str, Any], _who: str, _progress: Progress) -> dict[str, Any]:
        """What is to be taken out, if it may be; all that is recorded so far is signed, so that it can be proved."""
        found = await self._may_leave(int(asked["dossier"]))
        await self._pipeline.with_journal(lambda _: None, signed=True)
        async with self._database.read() as db:
            accounts = await views.accounts_of(db, found.subject)
        return {
            "person": found.subject,
            "accounts": list(accounts),
            "cases": list(found.cases),
            "approved_by": list(found.approved_by),
        }

    async def _do_exported(self, asked: Mapping[str, Any], who: str, _progress: Progress) -> dict[str, Any]:
        """The zip is made and checked, and about to appear."""
        found = await self._may_leave(int(asked["dossier"]))
        reader, bar, digest = _reader(asked, who), str(asked.get("bar") or ""), str(asked["sha256"])
        filters = {"dossier": found.record, "person": [found.subject], "cases": list(found.cases), "sha256": digest}
        exported = RecordsExported(
            count=int(asked["records"]),
            what="dossier",
            n=max(found.cases, default=0),
            reader=reader,
            reason=str(asked["reason"]),
            filters=json.dumps(filters),
        )
        approved = [step.at for step in found.steps if step.step == "approved"]
        covers = {"cases": found.cases, "approved": approved, "at": self._clock()}
        room = await self._room(found)
        await self._step(found, "exported", asked, reader, first=(exported,), room=room, covers=json.dumps(covers))
        return {"dossier": found.record, "told": not bar and room is not None}

    async def _room(self, found: Dossier) -> RoomId | None:
        """A group by way of which the person is told: one they are known in, else the one their cases are of."""
        async with self._database.read() as db:
            rooms = list(await views.groups_of_person(db, found.subject))
            for n in found.cases:
                case = await views.case_view(db, n)
                rooms += [case[0].room] if case is not None else []
        return rooms[0] if rooms else None

    async def _may_leave(self, record: int) -> Dossier:
        found = await self._find(record, open_only=False)
        if len(found.approved_by) < APPROVALS:
            raise Refused("cli.dossier.not_approved", n=record, have=len(found.approved_by), needed=APPROVALS)
        return found

    async def _find(self, record: int, *, open_only: bool = True) -> Dossier:
        async with self._database.read() as db:
            found = await views.dossier_view(db, record)
        if found is None:
            raise Refused("cli.dossier.unknown", n=record)
        if found.state == "declined":
            raise Refused("cli.dossier.declined_already", n=record)
        if open_only and found.state == "exported":
            raise Refused("cli.dossier.exported_already", n=record)
        return found

    async def _step(
        self,
        found: Dossier,
        step: str,
        asked: Mapping[str, Any],
        reader: str,
        *,
        first: tuple[Fact, ...] = (),
        room: RoomId | None = None,
        covers: str = "",
    ) -> None:
        """One step, and with the last one the end of the task behind it."""
        taken = DossierStep(
            room=room,
            step=step,  # type: ignore[arg-type]
            start=found.record,
            task=found.task,
            digest=str(asked.get("sha256") or "-"),
            subject=found.subject,
            covers=covers,
            reader=reader,
            reason=str(asked["reason"]),
            bar=str(asked.get("bar") or ""),
        )
        done = await self._task_done(found, step, asked, reader)
        await self._pipeline.commit((*first, taken, *done))

    async def _task_done(self, found: Dossier, step: str, asked: Mapping[str, Any], reader: str) -> tuple[Fact, ...]:
        if step == "approved" or found.task < 0:
            return ()
        async with self._database.read() as db:
            task = await views.open_task(db, found.task)
        if task is None:
            return ()
        result = "declined" if step == "declined" else "done"
        room = RoomId(task.room) if task.room else None
        return (
            TaskDone(
                room=room,
                start=found.task,
                result=result,  # type: ignore[arg-type]
                reader=reader,
                reason=str(asked["reason"]),
            ),
        )


def _reader(asked: Mapping[str, Any], who: str) -> str:
    """The user at the terminal; behind `sudo`, who called it. Whoever gets here is the bot's own account or root."""
    return str(asked.get("reader") or who)


async def _task_about(db: AsyncConnection, user: UserId) -> int:
    """The open task that asks for a file on somebody; -1: none."""
    accounts = await views.accounts_of(db, user)
    tasks = [task for task in await views.open_tasks(db) if task.task == "dossier" and task.subject in accounts]
    return int(tasks[-1].record) if tasks else -1
