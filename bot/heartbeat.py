"""Knows for how long the bot was of no use to people, so that no deadline runs meanwhile.

Rules kept here: it is noted again and again that the bot is there and reaches its homeserver; what is missing between
two notes, after a start or while the homeserver was away, is recorded, and moves every deadline by so much. A short
restart moves nothing. Left to others: moving the deadlines (`storage/project/`).
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.facts import NotSeen
from storage import views
from storage.project import set_meta

BEAT_MS = 30_000  # at least so long between two notes; who notes looks at least once a minute
SLACK_MS = 120_000  # shorter than this is no pause
ALIVE = "alive"


async def note(db: AsyncConnection, now_ms: int) -> None:
    """The bot is there at `now_ms`."""
    await set_meta(db, ALIVE, str(now_ms))


async def last_noted(db: AsyncConnection) -> int | None:
    """When the bot was there last; None before its first time."""
    noted = await views.get_meta(db, ALIVE)
    return int(noted) if noted else None


def pause(last_ms: int | None, now_ms: int, why: str) -> Sequence[NotSeen]:
    """The fact that the bot was of no use from `last_ms` on, if it was long enough."""
    if last_ms is None or now_ms - last_ms < SLACK_MS:
        return ()
    return (NotSeen(what="down", count=now_ms - last_ms, detail=why),)
