"""The check at each start whether a few rows of the database agree with the signed records.

Rules kept here:
- It runs in a thread after the first sync is taken, so nothing waits for it.
- A difference is told once, to the operators and in the desks of the groups concerned, with the two commands that show
  all differences and repair them.
- It stays known until a start finds it repaired.
- Neither the log nor the message names a person.

Left to others: comparing (`storage/queries/tables_sample.py`), `/health` (`bot/monitoring/health.py`), all rows
(`answerable logs verify --tables`).
"""

import asyncio
from collections.abc import Collection
from functools import partial
from random import Random, SystemRandom

import orjson
import structlog

from bot.encryption.key_alerts import to_operators
from bot.pipeline.pipeline import Pipeline
from moderation.model.actions.alerts import Alert
from moderation.model.actions.base import NO_ROOM, Action
from moderation.model.actions.telling import TellDesk
from moderation.policy import Policy
from moderation.values.errors import Broken
from moderation.values.notices import Code, line
from storage import queries
from storage.database.database import Database
from storage.database.place import DatabasePlace
from storage.database.refusals import DatabaseRefused
from storage.projections import set_meta
from storage.queries.tables_sample import SampleDifference, differences, rooms_of

log = structlog.get_logger()

KNOWN = "tables_differ"  # the differences found by the last look, as JSON
VERIFY, REBUILD = "answerable logs verify --tables", "answerable logs rebuild-db"


class TablesSample:
    """The check, done once."""

    def __init__(
        self, place: DatabasePlace, database: Database, pipeline: Pipeline, policy: Policy, choose: Random | None = None
    ) -> None:
        self._place = place
        self._database = database
        self._pipeline = pipeline
        self._policy = policy
        self._choose = choose or SystemRandom()
        self.differs = False

    async def run(self) -> None:
        """Check once, then do nothing until cancelled: a task that returns ends the bot."""
        await self.look()
        await asyncio.Event().wait()

    async def look(self) -> list[SampleDifference]:
        """Compare, note the differences, and tell the new ones."""
        text = await self._database.fetch(queries.get_meta, KNOWN) or "[]"
        known = [SampleDifference(*each) for each in orjson.loads(text)]
        self.differs = bool(known)
        records = self._place.data_dir / "records"
        try:
            found = await asyncio.to_thread(differences, self._place, records, self._choose, known)
        except (Broken, DatabaseRefused, OSError) as error:
            log.warning("tables_not_compared", why=str(error))
            return known
        self.differs = bool(found)
        for each in found:
            log.error("tables_differ", table=each.table, key=each.key, what=each.what, do=VERIFY)
        if found != known:
            await self._note(found, is_new=not set(found) <= set(known))
        return found

    async def _note(self, found: Collection[SampleDifference], *, is_new: bool) -> None:
        actions = await self._actions(found) if is_new else []
        value = orjson.dumps([[each.table, each.key, each.record, each.what] for each in found]).decode()
        await self._pipeline.commit(actions=actions, also=partial(set_meta, key=KNOWN, value=value))

    async def _actions(self, found: Collection[SampleDifference]) -> list[Action]:
        """Tell the operators and the desks of the groups concerned; all desks, if these are not known."""
        async with self._database.read() as db:
            groups = await queries.active_groups(db)
            concerned = await rooms_of(db, found)
        lines = (line("desk.tables.differ", count=len(found), verify=Code(VERIFY), rebuild=Code(REBUILD)),)
        told = [room for room in groups if room in concerned] or groups
        desks = [TellDesk(room=room, lines=lines, once="tables") for room in told]
        alert = Alert(room=NO_ROOM, what="log", code="tables")
        return [*desks, *to_operators(self._policy, groups, lines), alert]
