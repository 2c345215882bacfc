"""Tasks that wait for the operator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.cases.dossiers import APPROVALS
from moderation.model.facts import TaskKind
from moderation.values.ids import GroupCode, RoomId
from storage import schema

from .dossiers import all_dossiers
from .rooms import codes_of

_k = schema.tasks.c
_ABOUT = select(_k.n, _k.record).where(
    _k.n.in_(bindparam("numbers", expanding=True)), _k.task == bindparam("task"), _k.done == 0
)
_ABOUT_ROOMS = (
    select(_k.room, _k.task, _k.record)
    .where(
        _k.room.in_(bindparam("rooms", expanding=True)),
        _k.task.in_(("room", "last-manager")),
        _k.done == 0,
    )
    .order_by(_k.record)
)


async def open_tasks(db: AsyncConnection) -> Sequence[Row[tuple[object, ...]]]:
    """Return the open tasks, oldest first."""
    rows = await db.execute(select(schema.tasks).where(schema.tasks.c.done == 0).order_by(schema.tasks.c.record))
    return rows.all()


@dataclass(frozen=True, slots=True)
class WaitingTask:
    """An open task as it is listed. `file`: the file on a person that was begun for it; `is_approved`: it may leave."""

    task: int
    kind: TaskKind
    at: int
    case: int | None
    room: GroupCode | None
    person: str
    file: int | None
    is_approved: bool

    @property
    def next(self) -> str:
        """Return what is to be done: as the kind of the task, or with its file."""
        if self.kind != "dossier" or self.file is None:
            return self.kind
        return "export" if self.is_approved else "approve"

    @property
    def next_fields(self) -> dict[str, str]:
        """Return what the words for it name."""
        n = self.case if self.file is None else self.file
        return {"n": str(n or 0), "who": self.person, "room": self.room or "", "task": str(self.task)}

    def as_json(self) -> dict[str, Any]:
        """Return it without what is to be done."""
        return {name: getattr(self, name) for name in ("task", "kind", "at", "case", "room", "person")}


async def waiting_tasks(db: AsyncConnection) -> list[WaitingTask]:
    """Return the open tasks, oldest first, with the files that were begun for them."""
    rows = await open_tasks(db)
    codes = await codes_of(db, {RoomId(str(row.room)) for row in rows})
    files = {each.task: each for each in await all_dossiers(db) if each.state == "open"}
    found = []
    for row in rows:
        file = files.get(row.record)
        approved = file is not None and len(file.approved_by) >= APPROVALS
        number = file.record if file is not None else None
        room = codes.get(row.room)
        found.append(WaitingTask(row.record, row.task, row.at, row.n or None, room, row.subject, number, approved))
    return found


async def open_task(db: AsyncConnection, record: int) -> Row[tuple[object, ...]] | None:
    """Return the task that began with this record, if it is open."""
    query = select(schema.tasks).where(schema.tasks.c.record == record, schema.tasks.c.done == 0)
    return (await db.execute(query)).first()


async def tasks_about(db: AsyncConnection, numbers: Sequence[int], task: TaskKind = "case") -> dict[int, int]:
    """Return the open tasks to decide these cases, or to confirm decisions: case -> record of the task."""
    return dict((await db.execute(_ABOUT, {"numbers": numbers, "task": task})).all())


async def tasks_about_rooms(
    db: AsyncConnection, rooms: Sequence[RoomId]
) -> dict[tuple[RoomId, TaskKind], tuple[int, ...]]:
    """Return the records of the open tasks about these rooms themselves, by kind."""
    rows = await db.execute(_ABOUT_ROOMS, {"rooms": rooms})
    found: dict[tuple[RoomId, TaskKind], tuple[int, ...]] = {}
    for row in rows:
        key = (RoomId(row.room), row.task)
        found[key] = (*found.get(key, ()), row.record)
    return found
