"""The content of a file as something to judge, made from records alone: that of the file, and that of its event.

Rules kept here:
- A file that could not be fetched, or of which nothing is known any more, is not judged.
- An event that a measure removes is not removed again.

Left to others: fetching (`bot/effects/media_hash.py`, `ask_plugin.py`), judging (`moderation/judge/judge.py`).
"""

import json
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.facts import FileLabelled, KnownOfFile
from moderation.values.events import FileSeen
from moderation.values.ids import EventId, UserId
from storage import queries

from .message_text import Records, message_of


async def file_seen(db: AsyncConnection, kept: KnownOfFile, now_ms: int, records: Records) -> FileSeen | None:
    """Return what is to be judged of a file; None if there is nothing."""
    row = await queries.event_at(db, kept.on)
    known = _known(kept)
    if row is None or not known or not row.event or not row.sender:
        return None
    event = EventId(row.event)
    message = message_of(records, kept.home, kept.on)
    return FileSeen(
        room=kept.home,
        event=event,
        sender=UserId(row.sender),
        sent_ms=int(row.at),
        received_ms=now_ms,
        type="",
        content={},
        message=kept.on,
        said=message.body if message is not None else "",
        gone=bool(await queries.unwanted_events(db, [event])),
        known=frozenset(case.rule for case in await queries.cases_with(db, event)),
        **known,
    )


def _known(kept: KnownOfFile) -> dict[str, Any]:
    """Return what a record tells of a file; nothing if it could not be fetched, or got no label."""
    if isinstance(kept, FileLabelled):
        return {"plugin": kept.plugin, "labels": json.loads(kept.labels)} if kept.labels else {}
    pdq = tuple(int(each, 16) for each in kept.pdq.split())
    return {"sha256": kept.sha256, "pdq": pdq} if kept.sha256 else {}
