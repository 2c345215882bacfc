"""The record of an export, made and signed before its zip is finished, so that the zip can hold it with its proof.

Rules kept here:
- The record's content comes from the note that the command line left (`spool.py`), which the bot would record anyway.
- It is recorded once.

Left to others: files on people (`dossiers.py`), what is in an export (`storage/export/contents.py`).
"""

from pathlib import Path
from typing import Any

from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from moderation.values.errors import Refused
from storage import queries
from storage.database.database import Database

from .request import ByName, Request
from .spool import Spool


class ExportOperations:
    """The operation that records exports."""

    def __init__(self, pipeline: Pipeline, database: Database, data_dir: Path, clock: Clock) -> None:
        self._pipeline = pipeline
        self._database = database
        self._spool = Spool(data_dir, pipeline, clock)

    def by_name(self) -> ByName:
        """Return the operations by the names that `Control` uses."""
        return {"export-record": self._do_record}

    async def _do_record(self, asked: Request) -> dict[str, Any]:
        note = asked.string("note")
        await self._spool.pick_up_one(note)
        return {"record": await signed_export(self._pipeline, self._database, note)}


async def signed_export(pipeline: Pipeline, database: Database, note: str) -> int:
    """Sign the record of an export; return its number. Raises `Refused` if there is none."""
    record = await database.fetch(queries.export_of_note, note)
    if record is None:
        raise Refused("cli.logs.export_not_noted")
    await pipeline.journal.use(lambda _: None, signed=True)
    return record
