"""Records the first key of another log and tells the operators; from then on only that key holds.

Rules kept here:
- If several parts meet a log for the first time at once, one key is recorded, once.

Left to others: what a key signs (`checking.py`, `joint_days.py`).
"""

from bot.pipeline.pipeline import Pipeline
from moderation.model.facts import ShardPinned
from moderation.values.notices import Code, line
from storage.database.database import Database
from storage.journal.transparency.signed_note import NoteVerifier
from storage.queries.shards import pinned_key

from .refusals import tell


async def pin(pipeline: Pipeline, database: Database, key: NoteVerifier) -> bool:
    """Record the key of another log, unless one is recorded. Tell whether `key` is the one that holds now."""
    async with pipeline.processor.crossing.pinning:
        pinned = await database.fetch(pinned_key, key.name)
        if pinned is None:
            told = tell(line("shards.pinned", origin=Code(key.name), vkey=Code(key.text)))
            await pipeline.commit((ShardPinned(origin=key.name, vkey=key.text),), actions=(told,))
        return pinned in (None, key.text)
