"""The check of everybody's balances at the start and once a day: their consequences must be in force.

Rules kept here:
- People with too little credit or standing are found from the entries alone, not from what was done about each entry.
- A missing consequence is imposed with its reason, as if it had begun in time.
- A balance that an earlier version stated wrongly is corrected by a record, and the person is told once.
- Only a few people are handled in one turn, so that received events do not wait.

Left to others: what a balance brings (`moderation/credit/tiers.py`), which figures are wrong
(`moderation/credit/reckoning.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from moderation.credit.credit import balance
from moderation.credit.ledger import settings_of
from moderation.credit.reckoning import LedgerLines, corrections, doubtful
from moderation.credit.tiers import missing_sanctions
from moderation.model.facts import Fact
from moderation.policy import Policy
from moderation.values.ids import UserId
from storage import queries
from storage.database.database import Database
from storage.journal.journal import Journal
from storage.projections import RECKONED

AT_ONCE = 20  # people in one turn


class Balances:
    """The check that consequences of balances are in force, and that stated balances are right."""

    def __init__(self, database: Database, pipeline: Pipeline, journal: Journal, policy: Policy, clock: Clock) -> None:
        self._database = database
        self._pipeline = pipeline
        self._journal = journal
        self._policy = policy
        self._clock = clock
        self._corrected = False

    async def look(self) -> None:
        """Correct what was stated wrongly, once after a start; impose what is missing."""
        every = await self._ledgers()
        if not self._corrected:
            await self._correct(every)
            self._corrected = True
        low = self._low(every)
        for start in range(0, len(low), AT_ONCE):
            await self._pipeline.commit_with(partial(self._missing, low[start : start + AT_ONCE]))

    async def _ledgers(self) -> list[LedgerLines]:
        async with self._database.read() as db:
            return await queries.ledgers(db, by_room=self._policy.credit.scope == "room")

    # What was told.

    async def _correct(self, every: Sequence[LedgerLines]) -> None:
        async with self._database.read() as db:
            reckoned = int(await queries.get_meta(db, RECKONED) or -1)
        records = [entry.id for lines in every for entry in doubtful(lines) if entry.id > reckoned]
        told = await asyncio.to_thread(self._told, records)
        await self._pipeline.commit(corrections(every, told, self._policy))

    def _told(self, records: Iterable[int]) -> dict[int, int]:
        """Return the balances that these records of entries state, except those that were purged."""
        found: dict[int, int] = {}
        for record in records:
            with suppress(LookupError):
                left = self._journal.get(record).fields.get("left")
                if isinstance(left, int):
                    found[record] = left
        return found

    # What is missing.

    def _low(self, every: Iterable[LedgerLines]) -> list[UserId]:
        """Return the people with so little on one ledger that it may bring a sanction."""
        now, tiers = self._clock(), self._policy.tiers
        bound = max(tiers.manage_from, tiers.c)
        low = (
            lines.user
            for lines in every
            if balance(lines.entries, now, settings_of(lines.ledger, self._policy)) < bound
        )
        return list(dict.fromkeys(low))

    async def _missing(self, users: Sequence[UserId], db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
        for user in users:
            for room in await queries.groups_of_person(db, user):
                view = await self._pipeline.knowledge.room(db, room)
                assert view is not None, "it is an active group"
                context = await self._pipeline.knowledge.context(db, view, user, self._clock())
                if facts := missing_sanctions(context, self._policy):
                    yield facts
