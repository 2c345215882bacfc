"""Backups: a consistent copy of a running bot, and the first record of a log that continues from one.

Rules kept here:
- A record says that a backup was made, and is part of it.
- Writing waits only while the journal is linked and the keys of persons are copied (`storage/backup/snapshot.py` has
  the order).
- Numbers that were given out in the time that a backup lost are not given out again.
- Everybody concerned is told that something was lost.

Left to others: the file (`storage/backup/bundle.py`), asking (`bot/cli/backup.py`, `bot/cli/restore.py`).
"""

import asyncio
import secrets
from functools import partial
from pathlib import Path
from typing import Any

from bot.encryption.key_alerts import to_operators
from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from moderation.model.actions.base import Action
from moderation.model.actions.telling import TellDesk
from moderation.model.facts import RecordsExported, RecordsRestored
from moderation.policy import Policy
from moderation.values.notices import Moment, line
from storage import outbox, queries
from storage.backup import snapshot
from storage.backup.contents import Manifest
from storage.database.database import Database
from storage.database.place import DatabasePlace
from storage.journal.journal import Journal

from .request import ByName, Request

_SPARE_CASES = 1_000  # how many cases may have been opened in the lost time


class BackupOperations:
    """Operations that copy the data directory, and begin a new era in a restored one."""

    def __init__(
        self, pipeline: Pipeline, database: Database, place: DatabasePlace, policy: Policy, clock: Clock
    ) -> None:
        self._pipeline = pipeline
        self._database = database
        self._place = place
        self._policy = policy
        self._clock = clock

    def by_name(self) -> ByName:
        """Return the operation by the name that `Control` uses."""
        return {"backup": self._do_backup}

    async def _do_backup(self, asked: Request) -> dict[str, Any]:
        stage = await asyncio.to_thread(snapshot.begin, self._place.data_dir)
        await asyncio.to_thread(snapshot.copy_database, self._place, stage)
        async with self._database.read() as db:
            said = {"waiting": await outbox.count(db), "next_case": await queries.next_case(db)}
        fact = RecordsExported(what="backup", count=await self._pipeline.journal.use(_size), reader=asked.who)
        copied = await self._pipeline.journal.use(partial(_copy, self._place, stage), fact, signed=True)
        return {"made_ms": self._clock(), **said, **copied}

    async def restored(self, manifest: Manifest, signed: int, who: str) -> RecordsRestored:
        """Record that the log continues from this backup, and tell desks and operators. Return the recorded fact."""
        cases = -(-(self._pipeline.knowledge.next_case + _SPARE_CASES) // 100) * 100
        fact = RecordsRestored(
            size=manifest.records,
            made=manifest.made_ms,
            signed=signed,
            cases=cases,
            era=secrets.token_hex(4),
            reader=who,
        )
        made = Moment(manifest.made_ms)
        desk = line("desk.from-backup", made=made, cases=str(cases))
        above = line("desk.from-backup-above", made=made, cases=str(cases))
        groups = await self._database.fetch(queries.active_groups)
        actions: list[Action] = [TellDesk(room=group, lines=(desk,)) for group in groups]
        actions += to_operators(self._policy, groups, (above,))
        await self._pipeline.commit((fact,), actions=actions)
        return fact


def _size(journal: Journal) -> int:
    return journal.size


def _copy(place: DatabasePlace, stage: Path, journal: Journal) -> dict[str, Any]:
    snapshot.copy_records(place, stage)
    origin, size, root = journal.signed_checkpoint.split("\n")[:3]
    return {"origin": origin, "records": int(size), "root": root}
