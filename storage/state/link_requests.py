"""Requests to link an account to a known person, which wait for confirmation by that person's other account.

Rules kept here:
- A request lives a day at most and leaves nothing.
- It is no part of the records until it is granted.
- The code that grants it is stored hashed.

Left to others: what is asked of whom (`bot/identity/account_linking.py`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import PersonId, UserId
from storage.database.dialect import upsert
from storage.database.rows import rows_of
from storage.schema.verification_tables import link_requests as table

_LAPSED = select(table).where(table.c.lapses <= bindparam("now")).order_by(table.c.user)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRequest:
    """The account `user` has proved by `method` what `person` had proved before."""

    user: UserId
    person: PersonId
    method: str
    level: int
    until: int  # of the verification that they proved
    lapses: int
    code: str = ""  # hashed; "": the person has not yet said that both accounts are theirs
    tries: int = 0


async def put(db: AsyncConnection, request: LinkRequest) -> None:
    """Store a request, replacing an earlier one of the same account."""
    values = asdict(request)
    row = upsert(table).values(**values)
    await db.execute(row.on_conflict_do_update(index_elements=["user"], set_=values))


async def of_user(db: AsyncConnection, user: UserId, now_ms: int) -> LinkRequest | None:
    """Return the request of an account, if it has not lapsed."""
    row = (await db.execute(select(table).where(table.c.user == user, table.c.lapses > now_ms))).first()
    return _request(row) if row is not None else None


async def asked_of(db: AsyncConnection, person: PersonId, now_ms: int) -> tuple[LinkRequest, ...]:
    """Return the requests that wait for a person's confirmation."""
    waits = (table.c.person == person, table.c.code != "", table.c.lapses > now_ms)
    rows = await db.execute(select(table).where(*waits).order_by(table.c.user))
    return tuple(_request(row) for row in rows)


async def lapsed_requests(db: AsyncConnection, now_ms: int) -> tuple[LinkRequest, ...]:
    """Return the requests that nobody has granted in time."""
    [rows] = await rows_of(db, (_LAPSED, {"now": now_ms}))
    return tuple(_request(row) for row in rows)


async def drop(db: AsyncConnection, users: Sequence[UserId]) -> None:
    """Forget the requests of these accounts."""
    await db.execute(delete(table).where(table.c.user.in_(users)))


async def count_wrong_code(db: AsyncConnection, users: Sequence[UserId]) -> None:
    """Count a wrong code."""
    await db.execute(update(table).where(table.c.user.in_(users)).values(tries=table.c.tries + 1))


def _request(row: Any) -> LinkRequest:
    return LinkRequest(**row._asdict())
