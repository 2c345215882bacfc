"""Notes until when the bot was there and heard its homeserver; records when it was not, so that no deadline runs then.

Rules kept here: every pause counts, whether the bot or the homeserver was away; it is recorded with its beginning, and
moves every deadline that lay after that by as much. Left to others: knowing of pauses (`bot/sync/presence.py`), moving
the deadlines (`storage/projections/`).
"""

from collections.abc import Iterable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import NotSeen
from storage import queries
from storage.projections import set_meta

BEAT_MS = 30_000  # at least so long between two notes; who notes looks at least once a minute
LEAST_MS = 1_000  # what is shorter is the time between two questions
ALIVE = "alive"
WHY = "not running, or without the homeserver"


async def note(db: AsyncConnection, heard_ms: int) -> None:
    """The bot was there until `heard_ms`."""
    await set_meta(db, ALIVE, str(heard_ms))


async def last_noted(db: AsyncConnection) -> int | None:
    """When the bot was there last; None before its first time."""
    noted = await queries.get_meta(db, ALIVE)
    return int(noted) if noted else None


def missed(pauses: Iterable[tuple[int, int]]) -> Sequence[NotSeen]:
    """Return the facts that the bot was of no use in these times."""
    return tuple(
        NotSeen(what="down", count=until - since, since=since, detail=WHY)
        for since, until in pauses
        if until - since >= LEAST_MS
    )
