"""The community of each group, by the policy in force and the lists of spaces.

`moderation/model/reach.py` defines what that means.
"""

from collections import defaultdict

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.reach import community_of
from moderation.policy import CommunitySettings, Policy
from storage import schema
from storage.database.rows import rows_of

from .common import get_meta

_r, _l = schema.rooms.c, schema.space_rooms.c
_GROUPS = select(_r.room, _r.code, _r.community).where(_r.purpose == "group")
_GROUP = _GROUPS.where(_r.room == bindparam("room"))
_LISTED = select(_l.space, _l.room)
_LISTING = _LISTED.where(_l.room == bindparam("room"))


async def regroup(db: AsyncConnection, *, room: str = "") -> None:
    """Put all groups, or one of them, into the community that the policy gives them."""
    one = {"room": room}
    groups, listed = await rows_of(db, *(((_GROUP, one), (_LISTING, one)) if room else ((_GROUPS, {}), (_LISTED, {}))))
    if not groups:
        return
    settings = await _settings(db)
    spaces = defaultdict[str, set[str]](set)
    for row in listed:
        spaces[row.room].add(row.space)
    for each in groups:
        if (named := community_of(settings, each.room, each.code, spaces=spaces[each.room])) != each.community:
            await db.execute(update(schema.rooms).where(_r.room == each.room).values(community=named))


async def _settings(db: AsyncConnection) -> CommunitySettings:
    policy = await get_meta(db, "policy")
    return Policy.model_validate_json(policy).communities if policy else CommunitySettings()
