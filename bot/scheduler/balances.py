"""The check of everybody's balances at the start and once a day: their consequences must be in force.

Rules kept here:
- People with too little credit or standing are found from the entries alone, not from what was done about each entry.
- A missing consequence is imposed with its reason, as if it had begun in time.
- A balance that an earlier version stated wrongly is corrected by a record, and the person is told once.
- Only a few people are handled in one turn, so that received events do not wait; nor are all entries in memory at once.
- What was stated is read from the log once, at the first start that looks.

Left to others: what a balance brings (`moderation/credit/tiers.py`), which figures are wrong
(`moderation/credit/reckoning.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
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
from storage.journal.reader import Log
from storage.projections import RECKONED, set_meta

AT_ONCE = 20  # people in one turn
READ_AT_ONCE = 500  # people whose entries are read together
CHECKED = "balances_checked"  # the last ledger entry whose stated balance was checked


@dataclass(slots=True)
class _Stated:
    """The ledgers with balances that may be stated wrongly, the records that state them, and the last entry of all."""

    ledgers: list[LedgerLines] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    last: int = -1

    def add(self, some: Sequence[LedgerLines], checked: int) -> None:
        """Add ledgers; what was stated up to the entry `checked` is known to be right."""
        for lines in some:
            self.last = max(self.last, lines.entries[-1].id)
            if wanted := [entry.id for entry in doubtful(lines) if entry.id > checked]:
                self.ledgers.append(lines)
                self.records += wanted


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
        low: dict[UserId, None] = {}
        stated, checked = _Stated(), await self._checked_to()
        async for some in self._ledgers():
            low |= dict.fromkeys(self._low(some))
            if not self._corrected:
                stated.add(some, checked)
        if not self._corrected:
            await self._correct(stated)
            self._corrected = True
        await self._impose(list(low))

    async def _impose(self, low: Sequence[UserId]) -> None:
        for start in range(0, len(low), AT_ONCE):
            await self._pipeline.commit_with(partial(self._missing, low[start : start + AT_ONCE]))

    async def _ledgers(self) -> AsyncIterator[list[LedgerLines]]:
        """Yield all ledgers, those of some people at a time."""
        by_room, last = self._policy.credit.scope == "room", ""
        while True:
            async with self._database.read() as db:
                people = await queries.people_with_entries(db, last, READ_AT_ONCE)
                some = await queries.ledgers(db, people, by_room=by_room) if people else []
            if not people:
                return
            yield some
            last = people[-1]

    # What was told.

    async def _checked_to(self) -> int:
        """Return the last entry whose stated balance was checked, or corrected, at an earlier start."""
        async with self._database.read() as db:
            return max([int(await queries.get_meta(db, key) or -1) for key in (RECKONED, CHECKED)])

    async def _correct(self, stated: "_Stated") -> None:
        told = await asyncio.to_thread(self._told, stated.records) if stated.records else {}
        also = partial(set_meta, key=CHECKED, value=str(stated.last)) if stated.last >= 0 else None
        await self._pipeline.commit(corrections(stated.ledgers, told, self._policy), also=also)

    def _told(self, records: Iterable[int]) -> dict[int, int]:
        """Return the balances that these records of entries state, except those that were purged."""
        fields = {index: each.fields.get("left") for index, each in Log(self._journal.folder).several(records).items()}
        return {index: left for index, left in fields.items() if isinstance(left, int)}

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
        return list(low)

    async def _missing(self, users: Sequence[UserId], db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
        for user in users:
            for room in await queries.groups_of_person(db, user):
                view = await self._pipeline.knowledge.room(db, room)
                assert view is not None, "it is an active group"
                context = await self._pipeline.knowledge.context(db, view, user, self._clock())
                if facts := missing_sanctions(context, self._policy):
                    yield facts
