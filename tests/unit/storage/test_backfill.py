"""Rooms that are behind: what was delivered meanwhile is kept in the order in which it came."""

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import EventId, RoomId
from storage import schema
from storage.state.backfill import (
    BackfillPage,
    Delivered,
    all_delivered,
    close_gap,
    delivered_events,
    delivered_unrecorded,
    note_read,
    open_gap,
)

ROOM, OTHER = RoomId("!room:x"), RoomId("!other:x")


async def test_what_was_delivered_comes_back_in_the_order_in_which_it_came(db: AsyncConnection) -> None:
    """An event delivered again keeps its place; a room that was behind before begins again."""
    await open_gap(db, ROOM, _delivered("$c", "$a"))
    await open_gap(db, OTHER, _delivered("$x"))
    await open_gap(db, ROOM, _delivered("$a", "$b"))
    assert await all_delivered(db, ROOM) == [{"id": "$c"}, {"id": "$a"}, {"id": "$b"}]
    await close_gap(db, ROOM)
    await open_gap(db, ROOM, _delivered("$b", "$a"))
    assert await all_delivered(db, ROOM) == [{"id": "$b"}, {"id": "$a"}]


@pytest.mark.parametrize(
    ("after", "missed"),
    [
        (["$notice", "$b"], ["$b", "$c"]),
        (["$b"], ["$c"]),  # perhaps said before the notice, which no answer had yet
    ],
)
async def test_history_from_before_the_notice_is_never_missed(
    db: AsyncConnection, after: list[str], missed: list[str]
) -> None:
    """An answer that was asked for before the notice has it, and may come long after it; its words are kept."""
    await open_gap(db, ROOM, Delivered(until=EventId("$notice")))
    await open_gap(db, ROOM, _delivered("$history"))
    await open_gap(db, ROOM, _delivered(*after))
    await note_read(db, ROOM, BackfillPage(0, "start", ""))
    await open_gap(db, ROOM, _delivered("$c"))
    assert await delivered_unrecorded(db, ROOM) == missed
    assert await all_delivered(db, ROOM) == [{"id": each} for each in missed]
    assert await delivered_events(db, [EventId("$history")]) == {"$history": {"id": "$history"}}


async def test_what_is_recorded_is_not_kept_after_the_newest_page(db: AsyncConnection) -> None:
    await open_gap(db, ROOM, _delivered("$a", "$b"))
    await open_gap(db, OTHER, _delivered("$x"))
    for number, event in enumerate(("$a", "$x")):
        values = {"event": event, "room": ROOM, "record": number, "sender": "@ann:x", "kind": "message", "at": 1}
        await db.execute(insert(schema.events).values(values))
    assert await delivered_unrecorded(db, ROOM) == ["$b"]
    await note_read(db, ROOM, BackfillPage(1, "start", "stop"))
    assert await all_delivered(db, ROOM) == [{"id": "$a"}, {"id": "$b"}]
    await note_read(db, ROOM, BackfillPage(0, "start", ""))
    assert await all_delivered(db, ROOM) == [{"id": "$b"}]
    assert await all_delivered(db, OTHER) == [{"id": "$x"}]


def _delivered(*ids: str) -> Delivered:
    return Delivered(timeline={EventId(each): {"id": each} for each in ids})
