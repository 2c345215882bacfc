"""The redaction of what the bot said in desks and direct rooms, once it is older than its record may be.

Rules kept here:
- Nothing is redacted twice or left out: the progress is stored with the actions.
- Closing checkpoints stay, since they prove the records that came after.
- What the bot said in groups belongs to the groups, and stays.
"""

import asyncio
from functools import partial
from pathlib import Path

from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from moderation.model.actions.removal import TakeBack
from moderation.values.durations import DAY_MS
from storage import queries
from storage.database.database import Database
from storage.journal.reader import Log
from storage.journal.retention.find import SPOKEN
from storage.projections import set_meta

TIDIED = "tidied"  # the first record not checked yet


class Tidier:
    """The daily redaction, done before the records by which these messages are known are purged."""

    def __init__(self, pipeline: Pipeline, database: Database, records: Path, retention_ms: int, clock: Clock) -> None:
        self._pipeline = pipeline
        self._database = database
        self._records = records
        self._retention_ms = retention_ms
        self._clock = clock

    async def look(self) -> int:
        """Redact what is due. Return the number of messages."""
        bot, before_ms = self._pipeline.settings.bot, self._clock() - self._retention_ms + DAY_MS
        start = int(await self._database.fetch(queries.get_meta, TIDIED) or 0)
        stop, made = await asyncio.to_thread(_said, self._records, start, before_ms)
        if stop == start:
            return 0
        async with self._database.read() as db:
            alone = await queries.said_alone_in(db, bot, range(start, stop))
            words = await queries.in_rooms_of_ours(db, await queries.rooms_of_words(db, bot, alone | made))
        actions = [TakeBack(room=room, event=event) for room, event in words]
        await self._pipeline.commit(actions=actions, also=partial(set_meta, key=TIDIED, value=str(stop)))
        return len(actions)


def _said(records: Path, start: int, before_ms: int) -> tuple[int, set[str]]:
    """Return the first record from `start` on that is not older than `before_ms`, and what was said until then."""
    made: set[str] = set()
    for record in Log(records).read(start):
        if record.at_ms >= before_ms:
            return int(record.index), made
        start = int(record.index) + 1
        if record.kind == "outcome" and record.fields.get("action") in SPOKEN:
            made |= {str(part["made"]) for part in record.parts if "made" in part}
    return start, made
