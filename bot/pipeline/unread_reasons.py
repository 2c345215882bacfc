"""The reasons why recorded events cannot be read, if they become known after the events were recorded."""

from collections.abc import AsyncIterator, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.actions.base import Action
from moderation.model.facts import Fact, NotRead
from moderation.values.ids import EventId, RoomId, UserId
from storage import queries
from storage.database.database import Database
from storage.journal.journal import Journal
from storage.projections import UNREAD
from storage.record_mapping import word

from .pipeline import Pipeline

TAIL = 10_000  # records at the end of the journal that are read to find what was written last before a stop


class UnreadReasons:
    """Records such reasons, and tells people who withhold their keys from us."""

    def __init__(self, pipeline: Pipeline, database: Database) -> None:
        self._pipeline = pipeline
        self._database = database

    async def take(self, reasons: Sequence[tuple[EventId, str]], *, again: bool = False) -> None:
        """Record why events cannot be read, a code for each.

        `again`: this may have been done right before the last stop.
        """
        known = await self._pipeline.journal.use(_known_reasons) if again else set()

        async def facts(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            for event, code in reasons:
                row = await queries.event_row(db, event)
                if row is not None and row.kind == UNREAD and (int(row.record), word(code)) not in known:
                    yield (NotRead(room=RoomId(row.room), on=int(row.record), what="withheld", code=word(code)),)

        await self._pipeline.commit_with(facts)
        if actions := await self._told(reasons):
            await self._pipeline.commit(actions=actions)

    async def _told(self, reasons: Sequence[tuple[EventId, str]]) -> list[Action]:
        actions: list[Action] = []
        async with self._database.read() as db:
            for event, code in reasons:
                row = await queries.event_row(db, event)
                if row is None or row.kind != UNREAD:
                    continue
                room = await self._pipeline.knowledge.room(db, RoomId(row.room))
                if room is not None:
                    sender, at_ms = UserId(row.sender), int(row.at)
                    actions += self._pipeline.unread_messages.follow(room, event, sender, at_ms, code)
        return actions


def _known_reasons(journal: Journal) -> set[tuple[int, str]]:
    """Return the reasons that were recorded last, by the records of the events."""
    tail = journal.read(max(journal.size - TAIL, 0))
    return {(int(r.fields["on"]), str(r.fields["code"])) for r in tail if r.fields.get("what") == "withheld"}
