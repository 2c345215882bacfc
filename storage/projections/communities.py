"""The community of each group, by the policy in force and the lists of spaces.

`moderation/model/reach.py` defines what that means.
"""

from collections import defaultdict

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.reach import community_of
from moderation.policy import CommunitySettings, Policy
from storage import schema

from .common import get_meta


async def regroup(db: AsyncConnection, *, room: str = "") -> None:
    """Put all groups, or one of them, into the community that the policy gives them."""
    r = schema.rooms.c
    settings = await _settings(db)
    spaces = await _spaces(db, room)
    groups = select(r.room, r.code, r.community).where(r.purpose == "group")
    for each in (await db.execute(groups.where(r.room == room) if room else groups)).all():
        if (named := community_of(settings, each.room, each.code, spaces=spaces[each.room])) != each.community:
            await db.execute(update(schema.rooms).where(r.room == each.room).values(community=named))


async def _spaces(db: AsyncConnection, room: str) -> defaultdict[str, set[str]]:
    """Return the spaces that list each room, or one of them."""
    listed, found = schema.space_rooms.c, defaultdict[str, set[str]](set)
    every = select(listed.space, listed.room)
    for row in (await db.execute(every.where(listed.room == room) if room else every)).all():
        found[row.room].add(row.space)
    return found


async def _settings(db: AsyncConnection) -> CommunitySettings:
    policy = await get_meta(db, "policy")
    return Policy.model_validate_json(policy).communities if policy else CommunitySettings()
