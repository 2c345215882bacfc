"""Files on serious and continuing offenders: operators begin, approve, decline and export them.

Rules kept here:
- Every step is a record, with the person who took it and a reason.
- A file leaves only after two different people have approved exactly this content, each with a key of their own or from
  their own account. Its leaving is recorded before it appears.
- Linked accounts count as one person.
- The person is told what was exported, and how to object, unless a legal ground against it is recorded.
- Nothing here sends the file anywhere: people write it to the disk, at the command line (`bot/cli/dossier.py`).

Left to others: when one is due (`moderation/cases/dossiers.py`), what is in it (`storage/export/dossier.py`), what
exactly is approved (`storage/export/approved.py`), private keys (`bot/cli/approver.py`).
"""

import asyncio
import json
from binascii import a2b_base64
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.outbox.handler import Done, Handlers
from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from bot.texts.refusal import refusal_line
from moderation.cases.dossiers import APPROVALS, is_violation
from moderation.model.actions.people import ApproveDossier
from moderation.model.actions.telling import Tell
from moderation.model.builtin_rules import BY_ORDER
from moderation.model.facts import ApproverChanged, DossierStep, Fact, RecordsExported, TaskDone
from moderation.policy import Policy
from moderation.values.errors import Refused
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import line
from storage import queries
from storage.database.database import Database
from storage.export.approved import Approvable, approvable
from storage.journal.transparency.log_key import read_verifier
from storage.journal.transparency.signed_note import NoteVerifier
from storage.queries import Approver, Dossier
from storage.record_mapping import word

from .exports import signed_export
from .request import ByName, Request

_Step = Literal["approved", "declined", "exported"]


class Dossiers:
    """Operations that record the steps."""

    def __init__(self, pipeline: Pipeline, database: Database, records: Path, policy: Policy, clock: Clock) -> None:
        self._pipeline = pipeline
        self._database = database
        self._records = records
        self._policy = policy
        self._clock = clock
        self.handles: Handlers = {ApproveDossier: self.from_chat}

    def by_name(self) -> ByName:
        """Return the operations by the names that `Control` uses."""
        return {
            "approver-new": self._do_new_approver,
            "approver-remove": self._do_remove_approver,
            "dossier-new": self._do_new,
            "dossier-digest": self._do_digest,
            "dossier-approve": self._do_approve,
            "dossier-decline": self._do_decline,
            "dossier-prepare": self._do_prepare,
            "dossier-leaving": self._do_leave,
            "dossier-exported": self._do_exported,
        }

    async def _do_new(self, asked: Request) -> dict[str, Any]:
        user = asked.person
        async with self._database.read() as db:
            cases = await self._cases(db, user, [int(n) for n in asked.arguments.get("cases") or ()])
            task = await _task_about(db, user)
        covers = json.dumps({"cases": cases})
        reader, reason = asked.reader, asked.reason
        opened = DossierStep(
            step="opened", task=task, subject=UserId(user), covers=covers, reader=reader, reason=reason
        )
        record = await self._pipeline.journal.use(lambda journal: journal.size - 1, opened)
        return {"dossier": record, "person": user, "cases": cases, "task": task if task >= 0 else None}

    async def _cases(self, db: AsyncConnection, user: UserId, asked: list[int]) -> list[int]:
        """Return the cases asked for; without any, all upheld ones, except those about duties and limits."""
        offences, _ = await queries.offences_of(db, user)
        upheld = {each.n for each in offences}
        for n in asked:
            if n not in upheld:
                raise Refused("cli.dossier.not_upheld", n=n, who=user)
        found = asked or [each.n for each in offences if is_violation(each.rule) or each.rule == BY_ORDER]
        if not found:
            raise Refused("cli.dossier.no_cases", who=user)
        return sorted(set(found))

    async def _do_digest(self, asked: Request) -> dict[str, Any]:
        """Return what an approver of the file signs."""
        found = await self._find(asked.number("dossier"), open_only=False, declined=True)
        as_it_is = await self._as_it_is(found)
        return {"dossier": found.record, "digest": as_it_is.digest, "to_sign": as_it_is.to_sign.decode()}

    async def _as_it_is(self, found: Dossier) -> Approvable:
        size = await self._pipeline.journal.use(lambda journal: journal.size)
        accounts = await self._database.fetch(queries.accounts_of, found.subject)
        origin = await asyncio.to_thread(lambda: read_verifier(self._records).name)
        return await asyncio.to_thread(approvable, self._records, size, origin, found.record, accounts, found.cases)

    async def _do_approve(self, asked: Request) -> dict[str, Any]:
        """Approve with a key: the signature shows which key, and the key whose it is."""
        found = await self._find(asked.number("dossier"), open_only=False)
        as_it_is = await self._as_it_is(found)
        approver = await self._approver(asked.string("key"))
        signature = asked.string("signature")
        if not _verifier(approver.key).accepts(as_it_is.to_sign, _decoded(signature)):
            raise Refused("cli.dossier.bad_signature", n=found.record)
        step = {"how": "key", "key": approver.key, "signature": signature}
        return await self._approved(found, as_it_is, approver.account, asked.reason, **step)

    async def from_chat(self, action: ApproveDossier, _txn: str) -> Done:
        """Approve by an operator's command, and tell them the result."""
        try:
            found = await self._find(action.n, open_only=False)
            as_it_is = await self._as_it_is(found)
            if as_it_is.digest != action.digest:
                raise Refused("error.approve.other", n=action.n)
            if all(step.command != action.on for step in found.steps):  # else it was already done, before a crash
                await self._approved(found, as_it_is, action.subject, action.reason, how="account", on=action.on)
            found = await self._find(action.n, open_only=False)
            lacking = len(found.approvals(as_it_is.digest)) < APPROVALS
            said = line("dossier.approve.first" if lacking else "dossier.approve.both", n=action.n)
        except Refused as refused:
            said = refusal_line(refused)
        return Done(actions=(Tell(room=action.room, subject=action.subject, lines=(said,), alone=True),))

    async def _approved(
        self, found: Dossier, as_it_is: Approvable, account: UserId, reason: str, **more: Any
    ) -> dict[str, Any]:
        """Record an approval, unless this person has already approved the file in its present form."""
        before = found.approvals(as_it_is.digest)
        own = await self._database.fetch(queries.accounts_of, account)
        if found.subject in own:
            raise Refused("cli.dossier.about_approver", n=found.record, user=account)
        if any(step.reader in own for step in before):
            raise Refused("cli.dossier.approved_already", user=account)
        await self._step(found, "approved", account, reason, digest=as_it_is.digest, **more)
        by = [*(str(step.reader) for step in before), account]
        return {"dossier": found.record, "approved_by": by, "needed": APPROVALS, "digest": as_it_is.digest}

    # Keys of approvers.

    async def _do_new_approver(self, asked: Request) -> dict[str, Any]:
        """Register a public key."""
        name, account, key = asked.string("name"), UserId(asked.string("account")), asked.string("key")
        self._must_be_operator(account)
        _verifier(key)
        known = await self._database.fetch(queries.all_approvers)
        if any(each.key == key or (each.name == name and not each.ended) for each in known):
            raise Refused("cli.approver.known", name=name)
        said: Any = {"name": name, "reader": asked.reader, "reason": asked.reason}
        added = ApproverChanged(step="added", key=key, subject=account, **said)
        record = await self._pipeline.journal.use(lambda journal: journal.size - 1, added)
        return {"approver": name, "account": account, "key": key, "record": record}

    async def _do_remove_approver(self, asked: Request) -> dict[str, Any]:
        """Withdraw a key. What it has approved stays approved."""
        name = asked.string("name")
        async with self._database.read() as db:
            found = [each for each in await queries.all_approvers(db) if each.name == name and not each.ended]
        if not found:
            raise Refused("cli.approver.none_such", name=name)
        said: Any = {"name": name, "reader": asked.reader, "reason": asked.reason}
        gone = ApproverChanged(step="removed", key=found[0].key, subject=found[0].account, **said)
        await self._pipeline.commit((gone,))
        return {"approver": name, "account": found[0].account, "key": found[0].key}

    async def _approver(self, key: str) -> Approver:
        """Return whose key this is. Raises `Refused` unless it is registered, in force and an operator's."""
        async with self._database.read() as db:
            found = [each for each in await queries.all_approvers(db) if each.key == key and not each.ended]
        if not found:
            raise Refused("cli.approver.not_registered")
        self._must_be_operator(found[0].account)
        return found[0]

    def _must_be_operator(self, account: UserId) -> None:
        if account not in self._policy.operators:
            raise Refused("cli.approver.no_operator", who=account)

    async def _do_decline(self, asked: Request) -> dict[str, Any]:
        """Decline a file, or the task that asks for one."""
        number, reader, reason = asked.number("dossier"), asked.reader, asked.reason
        task = await self._database.fetch(queries.open_task, number)
        if task is not None and task.task == "dossier":
            await self._pipeline.commit((_ended(task, "declined", reader, reason),))
            return {"task": number, "dossier": None}
        found = await self._find(number)
        await self._step(found, "declined", reader, reason)
        return {"task": found.task if found.task >= 0 else None, "dossier": found.record}

    async def _do_prepare(self, asked: Request) -> dict[str, Any]:
        """Return what is to be exported, if that is allowed.

        All that is recorded so far is signed first, so that it can be proved.
        """
        found, as_it_is = await self._may_leave(asked.number("dossier"))
        await self._pipeline.journal.use(lambda _: None, signed=True)
        approvals = found.approvals(as_it_is.digest)
        async with self._database.read() as db:
            accounts = await queries.accounts_of(db, found.subject)
            keys = {each.key: each.record for each in await queries.all_approvers(db)}
        registered = {keys[str(step.key)] for step in approvals if step.key in keys}
        commands = {int(str(step.command)) for step in approvals if step.how == "account"}
        return {
            "person": found.subject,
            "accounts": list(accounts),
            "cases": list(found.cases),
            "approved_by": list(found.approvers(as_it_is.digest)),
            "digest": as_it_is.digest,
            "approved": as_it_is.text,
            "also": sorted({found.record, *(int(str(step.record)) for step in approvals)}),
            "whole": sorted(registered | commands),
        }

    async def _do_leave(self, asked: Request) -> dict[str, Any]:
        """Record the export. All readable files of the zip are written by now; the record goes into it."""
        found, _ = await self._may_leave(asked.number("dossier"))
        exported = RecordsExported(
            count=asked.number("count"),
            what="dossier",
            n=max(found.cases, default=0),
            note=word(asked.string("id")),
            records=asked.string("records"),
            contents=asked.string("files"),
            reader=asked.reader,
            reason=asked.reason,
            filters=json.dumps({"dossier": found.record, "cases": list(found.cases)}),
        )
        await self._pipeline.commit((exported,))
        return {"record": await signed_export(self._pipeline, self._database, exported.note)}

    async def _do_exported(self, asked: Request) -> dict[str, Any]:
        """Record the last step: the zip is made and checked, and about to appear."""
        found, as_it_is = await self._may_leave(asked.number("dossier"))
        bar, digest = asked.string("bar"), asked.string("sha256") or "-"
        approved = [step.at for step in found.approvals(as_it_is.digest)]
        covers = {"cases": found.cases, "approved": approved, "at": self._clock()}
        room = await self._room(found)
        more = {"room": room, "covers": json.dumps(covers), "bar": bar, "digest": digest}
        await self._step(found, "exported", asked.reader, asked.reason, **more)
        return {"dossier": found.record, "told": not bar and room is not None}

    async def _room(self, found: Dossier) -> RoomId | None:
        """Return the group through which the person is told: one they are known in, else the group of a case."""
        async with self._database.read() as db:
            rooms = list(await queries.groups_of_person(db, found.subject))
            for n in found.cases:
                case = await queries.case_view(db, n)
                rooms += [case.room] if case is not None else []
        return rooms[0] if rooms else None

    async def _may_leave(self, record: int) -> tuple[Dossier, Approvable]:
        found = await self._find(record, open_only=False)
        as_it_is = await self._as_it_is(found)
        have = len(found.approvals(as_it_is.digest))
        if have < APPROVALS:
            changed = len(found.approved_by) > have
            key = "cli.dossier.changed" if changed else "cli.dossier.not_approved"
            raise Refused(key, n=record, have=have, needed=APPROVALS)
        return found, as_it_is

    async def _find(self, record: int, *, open_only: bool = True, declined: bool = False) -> Dossier:
        found = await self._database.fetch(queries.dossier_view, record)
        if found is None:
            raise Refused("cli.dossier.unknown", n=record)
        if found.state == "declined" and not declined:
            raise Refused("cli.dossier.declined_already", n=record)
        if open_only and found.state == "exported":
            raise Refused("cli.dossier.exported_already", n=record)
        return found

    async def _step(self, found: Dossier, step: _Step, reader: str, reason: str, **more: Any) -> None:
        """Record one step, and with the last one the end of the task behind it."""
        taken: list[Fact] = [
            DossierStep(
                step=step,
                start=found.record,
                task=found.task,
                subject=found.subject,
                reader=reader,
                reason=reason,
                **more,
            )
        ]
        if step != "approved" and found.task >= 0:
            task = await self._database.fetch(queries.open_task, found.task)
            if task is not None:
                taken.append(_ended(task, "declined" if step == "declined" else "done", reader, reason))
        await self._pipeline.commit(tuple(taken))


def _ended(task: Row[Any], result: Literal["declined", "done"], reader: str, reason: str) -> TaskDone:
    room = RoomId(task.room) if task.room else None
    return TaskDone(room=room, start=task.record, result=result, reader=reader, reason=reason)


async def _task_about(db: AsyncConnection, user: UserId) -> int:
    """Return the open task that asks for a file on a person; -1: none."""
    accounts = await queries.accounts_of(db, user)
    tasks = [task for task in await queries.open_tasks(db) if task.task == "dossier" and task.subject in accounts]
    return int(tasks[-1].record) if tasks else -1


def _verifier(key: str) -> NoteVerifier:
    """Return the verifier of an approver's key, given in base64. Raises `Refused` if it cannot be a key."""
    public = _decoded(key)
    if len(public) != 32:
        raise Refused("cli.approver.bad_key")
    return NoteVerifier("approver", public)


def _decoded(text: str) -> bytes:
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError:
        return b""
