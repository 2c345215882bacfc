"""The people of ours whom a policy list would touch, before anything is done because of it.

Left to others: what would follow for one person (`moderation/lists/preview.py`).
"""

import asyncio
from collections.abc import Sequence
from itertools import islice

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.lists.book import Book
from moderation.lists.entries import Entry, PolicyList
from moderation.lists.matching import Watch
from moderation.lists.preview import Touched, touched
from moderation.model.context import RoomView
from moderation.policy import Policy
from moderation.values.ids import RoomId, UserId
from storage import queries

from .list_matches import meant
from .view_cache import ViewCache


async def people_touched(
    db: AsyncConnection,
    knowledge: ViewCache,
    watch: Watch,
    entries: Sequence[Entry],
    policy: Policy,
    now_ms: int,
    at_most: int | None = None,
) -> list[Touched]:
    """Return everybody whom the entries of a list mean in the rooms in which it counts; `at_most`: the first of them.

    Somebody who is in several rooms is returned for each.
    """
    there = await _where_it_counts(db, knowledge, watch)
    book = await asyncio.to_thread(Book, [PolicyList(watch.name, watch.room, tuple(entries))])
    found = list[Touched]()
    for (room_id, user), listed in islice((await asyncio.to_thread(meant, book, [*there])).items(), at_most):
        context = await knowledge.context(db, there[room_id, user], user, now_ms)
        spared = await queries.spared_by_list(db, context.subject.person, there[room_id, user])
        found.append(touched(listed, watch, context, policy, spared))
    return found


async def _where_it_counts(
    db: AsyncConnection, knowledge: ViewCache, watch: Watch
) -> dict[tuple[RoomId, UserId], RoomView]:
    """Return the people of the rooms in which a list counts."""
    present, views = await queries.people_present(db), dict[RoomId, RoomView | None]()
    for room_id in dict.fromkeys(room_id for room_id, _ in present):
        room = await knowledge.room(db, room_id)
        views[room_id] = room if room is not None and room.active and watch.holds_in(room) else None
    return {(room_id, user): room for room_id, user in present if (room := views[room_id]) is not None}
