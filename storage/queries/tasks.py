"""Tasks that wait for the operator."""

from collections.abc import Sequence

from sqlalchemy import bindparam, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import TaskKind
from moderation.values.ids import RoomId
from storage import schema

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
