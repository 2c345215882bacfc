"""Links to the web console that people got in chat, and the sessions opened by them.

Both are found by the hash of 32 random bytes. Nobody can guess such bytes from how long a look-up takes, so it need not
take the same time for all.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import RoomId, UserId
from storage import schema

_TABLE = schema.console_sessions


@dataclass(frozen=True, slots=True)
class ConsoleLink:
    """A link: its record, whose it is, in which direct room they got it, and until when it works."""

    record: int
    user: UserId
    room: RoomId
    at: int
    until: int
    used: bool


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """A session: the record that began it, whose it is, and the direct room in which its commands count as said."""

    record: int
    user: UserId
    room: RoomId
    at: int
    until: int
    ended: int  # when it ended before its time; 0: it did not

    def is_open(self, now_ms: int) -> bool:
        """Tell whether it has neither ended nor run out; one that begins in the future is not open."""
        return not self.ended and self.at <= now_ms < self.until


async def console_link(db: AsyncConnection, ticket: str) -> ConsoleLink | None:
    """Return the link whose ticket has this SHA-256."""
    links, sessions = schema.console_links, schema.console_sessions
    used = select(sessions.c.record).where(sessions.c.link == links.c.record).exists().label("used")
    row = (await db.execute(select(links, used).where(links.c.ticket == ticket))).first()
    return _link(row) if row else None


async def console_links_since(db: AsyncConnection, user: UserId, since_ms: int) -> list[int]:
    """Return when (ms) somebody got links since a time, the oldest first."""
    c = schema.console_links.c
    return list(await db.scalars(select(c.at).where(c.user == user, c.at > since_ms).order_by(c.at)))


async def console_session(db: AsyncConnection, session: str) -> ConsoleSession | None:
    """Return the session whose token has this SHA-256."""
    row = (await db.execute(select(_TABLE).where(_TABLE.c.session == session))).first()
    return _session(row) if row else None


async def console_sessions(db: AsyncConnection, now_ms: int) -> dict[str, ConsoleSession]:
    """Return the open sessions by their hashes, the oldest first."""
    rows = await db.execute(select(_TABLE).where(_TABLE.c.ended == 0).order_by(_TABLE.c.record))
    found = {str(row.session): _session(row) for row in rows}
    return {key: each for key, each in found.items() if each.is_open(now_ms)}


def _link(row: Any) -> ConsoleLink:
    return ConsoleLink(row.record, UserId(row.user), RoomId(row.room), row.at, row.until, bool(row.used))


def _session(row: Any) -> ConsoleSession:
    return ConsoleSession(row.record, UserId(row.user), RoomId(row.room), row.at, row.until, row.ended)
