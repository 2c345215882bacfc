"""The outbox: what is still to be said to the homeserver, in the transaction that decided it.

Rules kept here: a row is there until the homeserver has answered for good; its `txn` is made from the record that
caused it, so the same cause queued twice is one row, and the same request sent twice is one event; of things that say
the same while they wait (`merge`) one is kept. The row goes with the record of the outcome (`project/`).
Left to others: the sending (`bot/act.py`).
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.actions import Action, from_json, to_json

from .tables import outbox


@dataclass(frozen=True, slots=True)
class Waiting:
    """One row: an action that waits for its turn."""

    id: int  # -1: on its way into the table
    txn: str
    action: Action
    record: int
    attempts: int
    not_before: int


async def put(
    db: AsyncConnection, actions: Sequence[Action], *, cause: int | None, not_before: int = 0, era: str = ""
) -> None:
    """Queue actions that the record `cause` gave rise to; None: no record did, and they are queued once.

    `era`: of a log that goes on from a backup, where another record had this index once.
    """
    name = secrets.token_hex(6) if cause is None else str(cause)
    rows = [
        {
            "txn": _txn(era, name, number),
            "priority": action.PRIORITY,
            "room": action.room,
            "action": json.dumps(to_json(action)),
            "record": -1 if cause is None else cause,
            "not_before": not_before,
            "merge": action.merge,
        }
        for number, action in enumerate(actions)
    ]
    if rows:
        await db.execute(_PUT, rows)


def on_their_way(actions: Sequence[Action], *, cause: int, era: str = "") -> list[Waiting]:
    """The rows that `put` will make of the first actions that a record gave rise to."""
    return [Waiting(-1, _txn(era, str(cause), number), action, cause, 0, 0) for number, action in enumerate(actions)]


def _txn(era: str, name: str, number: int) -> str:
    return f"{prefix(era)}{name}.{number}"


_PUT = upsert(outbox).on_conflict_do_nothing()
_DUE = outbox.c.not_before <= bindparam("now")
_WAITING = (
    select(outbox)
    .where(_DUE, outbox.c.priority.not_in(bindparam("without", expanding=True)))
    .order_by(outbox.c.priority, outbox.c.id)
    .limit(bindparam("most"))
)
_OF_ONE = (
    select(outbox).where(_DUE, outbox.c.priority == bindparam("only")).order_by(outbox.c.id).limit(bindparam("most"))
)
_NEXT = select(func.min(outbox.c.not_before)).where(outbox.c.not_before > bindparam("now"))
_WAITS = select(outbox.c.id).where(outbox.c.txn == bindparam("txn"))


def prefix(era: str) -> str:
    """What the transaction ids of an era begin with."""
    return f"answerable.{era}." if era else "answerable."


def is_of_era(txn: str, era: str) -> bool:
    """Whether a request was made in this era."""
    return txn.startswith(prefix(era)) and txn.removeprefix(prefix(era)).count(".") == 1


async def waiting(
    db: AsyncConnection, now_ms: int, limit: int, *, only: int | None = None, without: Sequence[int] = ()
) -> list[Waiting]:
    """The next rows whose time has come, most urgent first: all, or `only` one priority, or all `without` some."""
    if only is not None:
        rows = await db.execute(_OF_ONE, {"now": now_ms, "only": only, "most": limit})
    else:
        rows = await db.execute(_WAITING, {"now": now_ms, "without": list(without), "most": limit})
    return [
        Waiting(row.id, row.txn, from_json(json.loads(row.action)), row.record, row.attempts, row.not_before)
        for row in rows
    ]


async def next_time(db: AsyncConnection, now_ms: int) -> int | None:
    """The earliest time after `now_ms` at which a waiting row may be tried; None if there is none."""
    found = await db.scalar(_NEXT, {"now": now_ms})
    return int(found) if found is not None else None


async def count(db: AsyncConnection) -> int:
    """How many rows wait."""
    return int(await db.scalar(select(func.count()).select_from(outbox)) or 0)


async def waits(db: AsyncConnection, txn: str) -> bool:
    """Whether a row is still there: what became of it is not known yet."""
    return await db.scalar(_WAITS, {"txn": txn}) is not None


async def all_waiting(db: AsyncConnection) -> frozenset[str]:
    """The transaction ids of all rows that are there."""
    return frozenset((await db.scalars(select(outbox.c.txn))).all())


async def goes_first(db: AsyncConnection, room: str) -> bool:
    """Whether something must be said before anything about this room's power levels is done."""
    rows = await db.execute(select(outbox.c.action).where(outbox.c.room == room))
    return any(json.loads(row.action).get("first") for row in rows)


async def started(db: AsyncConnection, rows: Sequence[int]) -> None:
    """These rows are being sent: the same thing wanted again from now on is a new row."""
    await db.execute(update(outbox).where(outbox.c.id.in_(rows), outbox.c.merge.is_not(None)).values(merge=None))


async def later(db: AsyncConnection, txn: str, not_before: int) -> None:
    """Try again, not before a time."""
    values = {"not_before": not_before, "attempts": outbox.c.attempts + 1}
    await db.execute(update(outbox).where(outbox.c.txn == txn).values(**values))
