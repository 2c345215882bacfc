"""The messages of a case and around it, read from the records without holding up other requests."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.pipeline.message_text import said_at
from bot.texts.case_context import AROUND
from bot.texts.case_words import MOST_LATER, SaidAt
from moderation.model.context import CaseView
from moderation.rules.check import Judged
from moderation.values.ids import RoomId, UserId
from storage import queries
from storage.journal.reader import Log
from storage.journal.record import Record


@dataclass(frozen=True, slots=True)
class _ReadRecords:
    """Records that were read, by their index."""

    records: Mapping[int, Record]

    def get(self, index: int) -> Record:
        """Return one of them. Raises `LookupError`."""
        return self.records[index]


async def said_in_case(db: AsyncConnection, log: Log, case: CaseView, bot: UserId) -> SaidAt:
    """Return what finds the messages of a case and those around the first. Raises `Broken` at a damaged record."""
    wanted: list[int] = []
    for event in case.events[: MOST_LATER + 1]:
        row = await queries.said_row(db, event)
        if row is not None and row.room == case.room:
            wanted.append(row.record)
    if wanted:
        around = await queries.messages_around(db, case.room, wanted[0], bot, AROUND)
        wanted += [*around, *await queries.redactions_since(db, case.room, around)]
    return await said_in(log, wanted)


async def said_in(log: Log, indexes: Iterable[int]) -> SaidAt:
    """Return what finds the messages recorded at these indexes. Raises `Broken` at a damaged record."""
    read = _ReadRecords(await asyncio.to_thread(log.several, list(indexes)))

    def said(room: RoomId, index: int) -> Judged | None:
        return said_at(read, room, index)

    return said
