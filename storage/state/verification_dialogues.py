"""Verifications in progress, one per person, and recent attempts.

Rules kept here:
- No name, address, code or number is stored in plain: the state is sealed and an address is a mark.
- What is over is removed.
- It is no projection of the journal: people whose dialogue is lost begin again.

Left to others: what the state means (`bot/identity`), sealing (`storage/identity/dialogue_key.py`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import RoomId, UserId
from storage import schema
from storage.database.dialect import upsert

NOWHERE = RoomId("")  # for people in no room that is served


@dataclass(frozen=True, slots=True)
class StoredDialogue:
    """The state of somebody's verification."""

    user: UserId
    method: str
    state: str  # sealed
    started: int
    until: int
    tries: int = 0
    poll: int = 0


async def challenge_of(db: AsyncConnection, user: UserId) -> StoredDialogue | None:
    """Return somebody's verification in progress, or one that is over and not yet removed."""
    row = (await db.execute(select(schema.challenges).where(schema.challenges.c.user == user))).one_or_none()
    return StoredDialogue(**row._mapping) if row else None


async def keep(db: AsyncConnection, one: StoredDialogue) -> None:
    """Store a verification, replacing the earlier one."""
    values = asdict(one)
    row = upsert(schema.challenges).values(values)
    await db.execute(row.on_conflict_do_update(index_elements=["user"], set_=values))


async def count_try(db: AsyncConnection, user: UserId) -> None:
    """Count one more answer."""
    row = schema.challenges.c
    await db.execute(update(schema.challenges).where(row.user == user).values(tries=row.tries + 1))


async def end(db: AsyncConnection, user: UserId) -> None:
    """End somebody's verification."""
    await db.execute(delete(schema.challenges).where(schema.challenges.c.user == user))


async def going_on(db: AsyncConnection) -> dict[UserId, int]:
    """Return whose verification is in progress, and until when."""
    rows = await db.execute(select(schema.challenges.c.user, schema.challenges.c.until))
    return {UserId(row.user): row.until for row in rows}


async def note_attempt(db: AsyncConnection, user: UserId, about: str, now_ms: int, since_ms: int) -> None:
    """Note an attempt; `about` marks the address, if a mail was sent. Attempts before `since_ms` are deleted."""
    attempts = schema.challenge_attempts
    await db.execute(delete(attempts).where(attempts.c.at < since_ms))
    await db.execute(insert(attempts).values(at=now_ms, user=user, about=about))


async def attempts_by(db: AsyncConnection, user: UserId, since_ms: int) -> Sequence[int]:
    """Return when somebody began, oldest first."""
    a = schema.challenge_attempts.c
    return (await db.scalars(select(a.at).where(a.user == user, a.at >= since_ms).order_by(a.at))).all()


async def attempts_about(db: AsyncConnection, about: str, since_ms: int) -> Sequence[int]:
    """Return when mail was sent to an address, oldest first."""
    a = schema.challenge_attempts.c
    return (await db.scalars(select(a.at).where(a.about == about, a.at >= since_ms).order_by(a.at))).all()


async def is_known_in(db: AsyncConnection, user: UserId, room: RoomId, before_ms: int) -> bool:
    """Return whether somebody has been known in a room since before `before_ms`."""
    m = schema.members.c
    since = await db.scalar(select(m.since).where(m.room == room, m.user == user, m.membership == "join"))
    return since is not None and 0 < since <= before_ms


async def attempts_from(db: AsyncConnection, room: RoomId, since_ms: int, *, after_ms: int) -> int:
    """Count the attempts of people who are in a room and were not known there until `after_ms`.

    `NOWHERE`: of people who are in no room.
    """
    a, m = schema.challenge_attempts.c, schema.members.c
    groups = select(schema.rooms.c.room).where(schema.rooms.c.purpose == "group")
    inside = select(m.user).where(m.membership == "join")
    new = or_(m.since > after_ms, m.since == 0)
    inside = inside.where(m.room == room, new) if room else inside.where(m.room.in_(groups))
    who = a.user.in_(inside) if room else a.user.not_in(inside)
    return int(await db.scalar(select(func.count()).where(who, a.at >= since_ms)) or 0)
