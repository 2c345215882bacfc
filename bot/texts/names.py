"""The names of the rooms and people that a message names.

Rules kept here:
- A person is called as in the rooms that the message is about: names in other rooms say nothing to its reader.
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.values.notices import Line, people_named, rooms_named
from storage import queries


async def names_in(db: AsyncConnection, lines: Sequence[Line], *rooms: str) -> dict[str, str]:
    """Return the names of the rooms and people in these lines; `rooms` are those where people are looked for first."""
    named = rooms_named(lines)
    people = await queries.display_names(db, people_named(lines), tuple(dict.fromkeys((*rooms, *sorted(named)))))
    return {**await queries.room_names(db, named), **people}
