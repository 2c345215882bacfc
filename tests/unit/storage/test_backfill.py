"""Rooms that are behind: what was delivered meanwhile is kept in the order in which it came."""

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.ids import EventId, RoomId
from storage.state.backfill import Delivered, all_delivered, close_gap, open_gap

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


def _delivered(*ids: str) -> Delivered:
    return Delivered(timeline={EventId(each): {"id": each} for each in ids})
