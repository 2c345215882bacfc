"""The people of ours whom a policy list would touch, before anything is done because of it.

Left to others: what would follow for one person (`moderation/lists/preview.py`).
"""

import asyncio
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.lists.book import Book
from moderation.lists.entries import Entry, PolicyList
from moderation.lists.matching import Watch
from moderation.lists.preview import Touched, touched
from moderation.policy import Policy
from storage import queries

from .list_matches import meant
from .view_cache import ViewCache


async def people_touched(
    db: AsyncConnection, knowledge: ViewCache, watch: Watch, entries: Sequence[Entry], policy: Policy, now_ms: int
) -> list[Touched]:
    """Return everybody whom the entries of a list mean in the rooms in which it counts."""
    book = await asyncio.to_thread(Book, [PolicyList(watch.name, watch.room, tuple(entries))])
    there, found = await queries.people_present(db), list[Touched]()
    for (room_id, user), listed in (await asyncio.to_thread(meant, book, there)).items():
        room = await knowledge.room(db, room_id)
        if room is None or not room.active or not watch.holds_in(room):
            continue
        context = await knowledge.context(db, room, user, now_ms)
        spared = await queries.spared_by_list(db, context.subject.person, room)
        found.append(touched(listed, watch, context, policy, spared))
    return found
