"""Notices from outside, handed in by an operator or the mail server.

Rules kept here:
- The person who took a notice in is recorded with it.
- If both a link and a room are given, the link counts.

Left to others: what follows (`moderation/cases/outside_notices.py`), asking (`bot/cli/report.py`).
"""

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.commands.permalinks import message_link
from bot.pipeline.known_event import KnownEvent, known_event
from moderation.cases.outside_notices import Notice, of_message, of_room, refuse_too_many
from moderation.cases.reports import ReportedMessage
from moderation.model.context import RoomView
from moderation.model.facts import Fact, Reported
from moderation.values.durations import DAY_MS
from moderation.values.errors import Refused
from moderation.values.ids import RoomId, UserId
from storage import queries
from storage.projections import POSTED

from .by_operator import ByOperator
from .request import ByName, Request


class ReportOperations(ByOperator):
    """The operation that takes in notices."""

    def by_name(self) -> ByName:
        """Return the operations by the names that `Control` uses."""
        return {"report": self._do_report}

    async def _do_report(self, asked: Request) -> dict[str, Any]:
        notice = Notice(
            words=asked.string("words"),
            channel="mail" if asked.arguments.get("mail") else "operator",
            contact=asked.string("contact"),
            reader=asked.reader,
        )
        done: dict[str, Any] = {}

        async def make(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            row = await self._linked(db, asked.string("link"))
            room = await self._room(db, RoomId(row.room) if row is not None else None, asked.string("room"))
            now = self._clock()
            refuse_too_many(await queries.outside_notices(db, room.room, now - DAY_MS), self._policy, room)
            facts = await self._facts(db, notice, row, room, now)
            done.update(n=next(fact.n for fact in facts if isinstance(fact, Reported)), room=room.code)
            yield facts

        await self._pipeline.commit_with(make)
        return done

    async def _facts(
        self, db: AsyncConnection, notice: Notice, row: KnownEvent | None, room: RoomView, now: int
    ) -> tuple[Fact, ...]:
        knowledge = self._pipeline.knowledge
        if row is None or row.kind != POSTED:
            return of_room(notice, room=room, n=knowledge.next_case, now_ms=now, policy=self._policy)
        return of_message(
            notice,
            ReportedMessage(row.event, row.record),
            context=await knowledge.context(db, room, UserId(row.sender), now),
            cases=await queries.cases_with(db, row.event),
            policy=self._policy,
        )

    async def _linked(self, db: AsyncConnection, link: str) -> KnownEvent | None:
        """Return the message that a link points to; None if there is none."""
        found = message_link(link) if link else None
        journal = self._pipeline.writer.journal
        return await known_event(db, found.event, journal) if found is not None else None

    async def _room(self, db: AsyncConnection, linked: RoomId | None, code: str) -> RoomView:
        bot = self._pipeline.settings.bot
        room = await queries.room_view(db, linked, bot) if linked else await queries.room_by_code(db, code.upper(), bot)
        if room is None or room.purpose != "group" or not room.active:
            raise Refused("cli.report.no_room")
        return room
