"""The reports that people make to the homeserver itself, with the button of their client.

Rules kept here:
- Only reports that come after this was set up count.
- Each is handled like a report to the bot, in the name of the person who pressed the button.
- What is refused there is left to the administrators of the homeserver.
- A report that names a person but no message is told to the operators, since managers could decide nothing.
- Synapse has no such list for reports of rooms.

Left to others: the effect of a report (`moderation/cases/reports.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.commands.parse import MAX_REASON
from bot.encryption.key_alerts import to_operators
from bot.matrix.errors import Answered, Unreachable
from bot.matrix.synapse_admin import Reports, SynapseAdmin
from bot.outbox.handler import BotPart, Services
from bot.pipeline.known_event import known_event
from bot.runtime.budget import Budget
from moderation.cases.reports import ReportedMessage, report
from moderation.model.facts import Fact, Reported
from moderation.values.durations import DAY_MS
from moderation.values.errors import Refused
from moderation.values.ids import EventId, RoomId, UserId
from moderation.values.notices import RoomName, Who, line
from storage import queries
from storage.projections import POSTED, set_meta

log = structlog.get_logger()

EVERY_S = 30.0
SEEN = "server_reports"  # the id of the newest report of a message that was looked at
SEEN_OF_PEOPLE = "server_reports_of_people"
TOLD_A_DAY = 3  # reports of people by one person that the operators are told of
MOST = 100  # reports looked at in one go, the newest
Words = Callable[[RoomId, int], str]


class ServerReports(BotPart):
    """The poller of Synapse's reports; without its admin API it does nothing."""

    def __init__(self, services: Services, words: Words, admin: SynapseAdmin | None) -> None:
        super().__init__(services)
        self._words = words
        self._admin = admin
        self._told = Budget(TOLD_A_DAY, DAY_MS)

    async def run(self) -> None:
        """Look until cancelled."""
        wanted = self._policy.reports.homeserver == "synapse"
        if wanted and self._admin is None:
            log.warning("server_reports_without_token")
        if not wanted or self._admin is None:
            await asyncio.Event().wait()
            return
        while True:
            try:
                await self.look(self._admin)
            except (Answered, Unreachable) as error:
                log.warning("server_reports_unread", why=str(error))
            await asyncio.sleep(EVERY_S)

    async def look(self, admin: SynapseAdmin) -> None:
        """Take in the new reports, oldest first."""
        await self._look_at(admin, "event_reports", SEEN, self._take)
        await self._look_at(admin, "user_reports", SEEN_OF_PEOPLE, self._tell)

    async def _look_at(
        self, admin: SynapseAdmin, of: Reports, mark: str, take: Callable[[Mapping[str, Any]], Awaitable[None]]
    ) -> None:
        found = await admin.reports(of, MOST)
        seen = await self._database.fetch(queries.get_meta, mark)
        fresh = sorted((each for each in found if _id(each) > int(seen or 0)), key=_id)
        for each in fresh if seen is not None else ():
            await take(each)
        newest = max((_id(each) for each in fresh), default=int(seen or 0))
        if seen is None or fresh:
            await self._pipeline.commit(also=partial(set_meta, key=mark, value=str(newest)))

    async def _tell(self, raw: Mapping[str, Any]) -> None:
        """Tell the operators that a person was reported, if that person is in a served room."""
        by, who = UserId(str(raw.get("user_id"))), UserId(str(raw.get("target_user_id")))
        rooms = await self._database.fetch(queries.groups_of, who, joined=True)
        if not rooms or self._told.take(by, self._clock()) != "granted":
            log.info("server_report_refused", why="of a person")
            return
        reason = str(raw.get("reason") or "")[:MAX_REASON] or "-"
        words = line("report.of-person", who=Who(who), by=Who(by), reason=reason, room=RoomName(rooms[0]))
        await self._pipeline.commit(actions=to_operators(self._policy, rooms, (words,)))

    async def _take(self, raw: Mapping[str, Any]) -> None:
        async def make(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            facts = await self._facts(db, raw)
            if facts:
                yield facts

        try:
            await self._pipeline.commit_with(make)
        except Refused as refused:
            log.info("server_report_refused", why=refused.key)

    async def _facts(self, db: AsyncConnection, raw: Mapping[str, Any]) -> tuple[Fact, ...]:
        event, by = EventId(str(raw.get("event_id"))), UserId(str(raw.get("user_id")))
        row = await known_event(db, event, self._pipeline.writer.journal)
        room = await self._pipeline.knowledge.room(db, RoomId(row.room)) if row is not None else None
        if row is None or row.kind != POSTED or room is None or room.purpose != "group" or not room.active:
            return ()
        now = self._clock()
        facts = report(
            ReportedMessage(event, row.record, await asyncio.to_thread(self._words, room.room, row.record)),
            by=by,
            reason=str(raw.get("reason") or "")[:MAX_REASON],
            context=await self._pipeline.knowledge.context(db, room, UserId(row.sender), now),
            known=await queries.known_of_report(db, room.room, event, row.record, by, now, self._policy.reports),
            policy=self._policy,
            on=-1,
        )
        return tuple(replace(fact, channel="server") if isinstance(fact, Reported) else fact for fact in facts)


def _id(raw: Mapping[str, Any]) -> int:
    number = raw.get("id")
    return number if isinstance(number, int) else 0
