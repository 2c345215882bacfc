"""The outbox: actions that wait to be sent to the homeserver, stored in the transaction that decided them.

Rules kept here:
- A row stays until the homeserver has given a final answer.
- Its `txn` is made from the record that caused it, so the same cause queued twice is one row, and the same request sent
  twice is one event.
- Of waiting actions that say the same (`merge`) one is kept, as urgent as the most urgent of them.
- The row is deleted with the record of its outcome (`storage/projections/`).
- Times are those of the steady clock (`bot/runtime/clock.py`), which restarts with the bot.

Left to others: which goes next (`bot/outbox/selection.py`), the sending (`bot/outbox/dispatcher.py`).
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, func, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.actions.base import CARD, DECLINES, ENTRIES, PRIORITIES, STOP, URGENT, Action, to_json
from moderation.model.actions.registry import from_json
from storage.database.dialect import json_field, least, upsert
from storage.database.rows import Rows, rows_of, value_of

from .schema.progress_tables import outbox

ON_ITS_WAY = 2**62
ROOMS = 16  # how many rooms per priority are looked at, those that have waited longest first


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One row: an action that waits for its turn."""

    id: int  # ON_ITS_WAY or more: not in the table yet
    txn: str
    action: Action
    record: int
    attempts: int
    not_before: int
    priority: int
    queued: int


async def put(
    db: AsyncConnection,
    actions: Sequence[Action],
    *,
    cause: int | None,
    now: int,
    not_before: int = 0,
    era: str = "",
    after: str = "",
) -> None:
    """Queue actions caused by the record `cause`; if None, no record caused them, and they are queued once.

    `era`: of a log that continues from a backup, where another record once had this index. `after`: the transaction id
    of the request that caused them.
    """
    name = after.removeprefix(prefix(era)).replace(".", "-") or (secrets.token_hex(6) if cause is None else str(cause))
    rows = [
        {
            "txn": _txn(era, name, number),
            "priority": action.priority,
            "room": action.room,
            "action": json.dumps(to_json(action)),
            "record": -1 if cause is None else cause,
            "not_before": not_before,
            "merge": action.merge,
            "queued": now,
        }
        for number, action in enumerate(actions)
    ]
    if rows:
        await db.execute(_PUT, rows)
    if merged := [{"same": row["merge"], "urgency": row["priority"]} for row in rows if row["priority"] == STOP]:
        await db.execute(_HURRY, merged)


def on_their_way(actions: Sequence[Action], *, cause: int, now: int, era: str = "") -> list[OutboxRow]:
    """Return the rows that `put` will make of the first actions caused by a record."""
    return [
        OutboxRow(ON_ITS_WAY + number, _txn(era, str(cause), number), action, cause, 0, 0, action.priority, now)
        for number, action in enumerate(actions)
    ]


def _txn(era: str, name: str, number: int) -> str:
    return f"{prefix(era)}{name}.{number}"


_PUT = upsert(outbox).on_conflict_do_nothing()
_HURRY = (
    update(outbox)
    .where(outbox.c.merge == bindparam("same"), outbox.c.priority > bindparam("urgency"))
    .values(priority=bindparam("urgency"))
)


def _first_of(priority: int) -> Select[Any]:
    """Select the rows of one priority that may go next, including the first of each room.

    Redactions go newest first, since the newest messages are read most; of entries and declines, those tried least.
    """
    o = outbox.c
    mine = (o.priority == priority, o.not_before <= bindparam("now"))
    newest = priority == URGENT
    order = (o.attempts, o.id) if priority in (ENTRIES, DECLINES) else (o.id.desc() if newest else o.id,)
    first = select(o.id).where(*mine).order_by(*order).limit(bindparam("most"))
    of_each = select((func.max if newest else func.min)(o.id)).where(*mine).group_by(o.room)
    of_each = of_each.order_by(func.min(o.id)).limit(ROOMS)
    return select(outbox).where(o.id.in_(first) | o.id.in_(of_each))


_WAITING = union_all(*(_first_of(priority) for priority in PRIORITIES))
_OF_ONE = {priority: _first_of(priority) for priority in PRIORITIES}
_NEXT = select(func.min(outbox.c.not_before).label("next")).where(outbox.c.not_before > bindparam("now"))
_WAITS = select(outbox.c.id).where(outbox.c.txn == bindparam("txn"))
_ACTION = select(outbox.c.action).where(outbox.c.txn == bindparam("txn"))
_mergeable = (outbox.c.id.in_(bindparam("rows", expanding=True)), outbox.c.merge.is_not(None))
_MERGEABLE = select(outbox.c.id, outbox.c.action).where(*_mergeable)
_NO_LONGER_MERGEABLE = update(outbox).where(*_mergeable).values(merge=None)


def prefix(era: str) -> str:
    """Return the prefix of the transaction ids of an era."""
    return f"answerable.{era}." if era else "answerable."


def is_of_era(txn: str, era: str) -> bool:
    """Return whether a request was made in this era."""
    return txn.startswith(prefix(era)) and txn.removeprefix(prefix(era)).count(".") == 1


async def due_rows(db: AsyncConnection, now_ms: int, limit: int, *, only: int | None = None) -> list[OutboxRow]:
    """Return the rows whose time has come, most urgent first.

    Of each priority, or of `only` one, these are the first `limit` and the first of each room.
    """
    [rows] = await rows_of(db, (_WAITING if only is None else _OF_ONE[only], {"now": now_ms, "most": limit}))
    return _in_order(rows)


async def due_and_next(db: AsyncConnection, now_ms: int, limit: int) -> tuple[list[OutboxRow], int | None]:
    """Return the rows whose time has come (`due_rows`), and when the next may be tried; None if no row waits for it."""
    now = {"now": now_ms}
    rows, [[next_]] = await rows_of(db, (_WAITING, {**now, "most": limit}), (_NEXT, now))
    return _in_order(rows), next_


def _in_order(rows: Rows) -> list[OutboxRow]:
    found = [
        OutboxRow(
            row.id,
            row.txn,
            from_json(json.loads(row.action)),
            row.record,
            row.attempts,
            row.not_before,
            row.priority,
            row.queued,
        )
        for row in rows
    ]
    return sorted(found, key=lambda row: (row.priority, -row.id if row.priority == URGENT else row.id))


async def make_all_due(db: AsyncConnection, now_ms: int) -> None:
    """Make every row ready now, since the times of an earlier start mean nothing on the clock of this one."""
    queued = least(func.coalesce(func.nullif(outbox.c.queued, 0), now_ms), now_ms)
    await db.execute(update(outbox).values(not_before=0, queued=queued))


async def make_said_due(db: AsyncConnection, room: str) -> None:
    """Make ready now what is to be said in the desk of a room and was tried before, since there is a desk now."""
    tried = (outbox.c.priority == CARD, outbox.c.room == room, outbox.c.attempts > 0)
    await db.execute(update(outbox).where(*tried).values(not_before=0))


async def count(db: AsyncConnection) -> int:
    """Return how many rows wait."""
    return int(await db.scalar(select(func.count()).select_from(outbox)) or 0)


async def redactions_waiting(db: AsyncConnection, room: str, subject: str) -> int:
    """Return how many redactions of one person's messages wait in a room."""
    o = outbox.c
    theirs = json_field(o.action, "subject") == subject
    return int(await db.scalar(select(func.count()).where(o.priority == URGENT, o.room == room, theirs)) or 0)


async def is_waiting(db: AsyncConnection, txn: str) -> bool:
    """Return whether a row is still there: its outcome is not known yet."""
    return await value_of(db, _WAITS, {"txn": txn}) is not None


async def waiting_action(db: AsyncConnection, txn: str) -> Action | None:
    """Return the action of a row that is still there."""
    found = await db.scalar(_ACTION, {"txn": txn})
    return from_json(json.loads(found)) if found is not None else None


async def all_waiting(db: AsyncConnection) -> frozenset[str]:
    """Return the transaction ids of all rows."""
    return frozenset((await db.scalars(select(outbox.c.txn))).all())


async def goes_first(db: AsyncConnection, room: str) -> bool:
    """Return whether something must be said before this room's power levels are changed."""
    rows = await db.execute(select(outbox.c.action).where(outbox.c.room == room))
    return any(json.loads(row.action).get("first") for row in rows)


async def waits_in(db: AsyncConnection, room: str, *, besides: type[Action]) -> bool:
    """Return whether something waits to be done in a room, other than this kind of action."""
    o = outbox.c
    others = (o.room == room, json_field(o.action, "do") != besides.NAME)
    return await db.scalar(select(o.id).where(*others).limit(1)) is not None


async def waits_for(db: AsyncConnection, room: str, kind: type[Action]) -> bool:
    """Return whether an action of this kind waits, or is under way, in a room."""
    o = outbox.c
    found = select(o.id).where(o.room == room, json_field(o.action, "do") == kind.NAME)
    return await db.scalar(found.limit(1)) is not None


async def waiting_with(db: AsyncConnection, merge: str) -> list[tuple[int, Action]]:
    """Return the actions, with the ids of their rows, that are not being sent and whose key `merge` begins so."""
    o = outbox.c
    rows = await db.execute(select(o.id, o.action).where(o.merge >= merge, o.merge < merge + chr(0x10FFFF)))
    return [(row.id, from_json(json.loads(row.action))) for row in rows]


async def change(db: AsyncConnection, row: int, action: Action) -> None:
    """Replace the action of a row that is not being sent."""
    await db.execute(update(outbox).where(outbox.c.id == row).values(action=json.dumps(to_json(action))))


async def mark_sending(db: AsyncConnection, rows: Sequence[int]) -> dict[int, Action]:
    """Mark these rows as being sent: the same action wanted again from now on is a new row.

    Returns the actions of those that could have changed until now.
    """
    found = (await db.execute(_MERGEABLE, {"rows": rows})).all()
    await db.execute(_NO_LONGER_MERGEABLE, {"rows": rows})
    return {row.id: from_json(json.loads(row.action)) for row in found}


async def not_started(db: AsyncConnection, row: OutboxRow) -> None:
    """Mark a row as not sent: the same action wanted again merges with it, unless it is queued already."""
    if (same := row.action.merge) is not None:
        other = outbox.alias("other")
        is_queued = select(other.c.id).where(other.c.merge == same).exists()
        await db.execute(update(outbox).where(outbox.c.txn == row.txn, ~is_queued).values(merge=same))


async def retry_later(db: AsyncConnection, txn: str, not_before: int, left: Action | None = None) -> None:
    """Try a row again, not before a time; with `left`, what is left of its action, as for the first time."""
    values: dict[str, Any] = {"not_before": not_before, "attempts": outbox.c.attempts + 1}
    if left is not None:
        values |= {"attempts": 0, "action": json.dumps(to_json(left))}
    await db.execute(update(outbox).where(outbox.c.txn == txn).values(**values))
