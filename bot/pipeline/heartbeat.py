"""The note until when the bot ran and heard its homeserver, and the record of pauses, during which no deadline runs.

Rules kept here:
- Every pause counts, whether the bot or the homeserver was away.
- A pause is recorded with its beginning; it moves every deadline after that by as much.

Left to others: knowing of pauses (`bot/sync/presence.py`), moving the deadlines (`storage/projections/`).
"""

from collections.abc import Iterable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import NotSeen
from storage import queries
from storage.projections import set_meta

BEAT_MS = 30_000  # the least time between two notes; the caller looks at least once a minute
SILENT_MS = 300_000  # after so long without a note, the bot does not run or hears nothing
LEAST_MS = 1_000  # anything shorter is only the time between two questions
ALIVE = "alive"
WHY = "not running, or without the homeserver"


async def note(db: AsyncConnection, heard_ms: int) -> None:
    """Note that the bot ran and heard its homeserver until `heard_ms`."""
    await set_meta(db, ALIVE, str(heard_ms))


async def last_noted(db: AsyncConnection) -> int | None:
    """Return until when (ms) the bot last ran and heard its homeserver; None before its first start."""
    noted = await queries.get_meta(db, ALIVE)
    return int(noted) if noted else None


def pause_facts(pauses: Iterable[tuple[int, int]]) -> Sequence[NotSeen]:
    """Return a fact for each pause (beginning and end, in ms); pauses shorter than `LEAST_MS` are left out."""
    return tuple(
        NotSeen(what="down", count=until - since, since=since, detail=WHY)
        for since, until in pauses
        if until - since >= LEAST_MS
    )
