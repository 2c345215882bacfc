"""Tells a desk which rooms the spaces of its community list in which the bot is not.

Rules kept here:
- Only with `adopt = "ask"`: the operator says that the managers of a community may read what its spaces list.
- The bot enters none of these rooms by itself; people invite it.
- A name is shown only of rooms that the bot may see, as their own people's words.
- A space inside a space is named, but what it lists is neither asked for nor in the community.

Left to others: what a space lists (`bot/sync/spaces.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog

from bot.matrix.errors import Answered
from bot.outbox.handler import ActionHandler, Done, Handlers, PollAgain, Services
from moderation.model.actions.rooms import ListMissing
from moderation.model.actions.telling import TellDesk
from moderation.rooms.spaces import is_space
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Code, Line, Quoted, Who, line
from storage import queries

log = structlog.get_logger()

POLL_MS = 5_000
MOST_LISTED = 20  # in one message
_LONGEST = 100  # signs of a name


class MissingRooms(ActionHandler):
    """The handler of `ListMissing`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.handles: Handlers = {ListMissing: self.tell}

    async def tell(self, action: ListMissing, _txn: str) -> Done:
        """Ask the homeserver what the rooms are called, and tell the desk."""
        if (wait := action.settles - self._clock()) > 0:
            raise PollAgain(min(wait, POLL_MS))
        async with self._database.read() as db:
            group = await queries.room_view(db, action.room, self._homeserver.user)
            community = self._policy.communities.asking(group.community) if group and group.active else None
            missing = await queries.listed_without_bot(db, community.space) if community else []
        if community is None:
            return Done(result="abandoned")
        seen: dict[RoomId, Mapping[str, Any]] = {}
        for space in community.space:
            seen |= await self._seen(space)
        lines = tuple(missing_lines(community.name, missing, seen, self._homeserver.user))
        return Done(actions=(TellDesk(room=action.room, lines=lines),))

    async def _seen(self, space: RoomId) -> dict[RoomId, Mapping[str, Any]]:
        try:
            return {RoomId(str(each.get("room_id"))): each async for each in self._homeserver.space_rooms(space)}
        except Answered as error:  # the bot is not in the space
            log.info("space_not_shown", room=space, why=str(error))
            return {}


def missing_lines(
    community: str, missing: Sequence[RoomId], seen: Mapping[RoomId, Mapping[str, Any]], bot: UserId
) -> Iterator[Line]:
    """Yield the rooms and the spaces among those `missing`, as the homeserver describes what the bot may see."""
    spaces = [room for room in missing if is_space({"type": seen.get(room, {}).get("room_type")})]
    rooms = [room for room in missing if room not in spaces]
    if rooms:
        yield line("missing.rooms", community=Code(community), bot=Who(bot), count=len(rooms))
        yield from _named(rooms, seen)
    else:
        yield line("missing.none", community=Code(community))
    if spaces:
        yield line("missing.spaces", community=Code(community), count=len(spaces))
        yield from _named(spaces, seen)


def _named(rooms: Sequence[RoomId], seen: Mapping[RoomId, Mapping[str, Any]]) -> Iterator[Line]:
    for room in rooms[:MOST_LISTED]:
        name = seen.get(room, {}).get("name")
        named = isinstance(name, str) and name.strip() != ""
        if named:
            yield line("missing.room", name=Quoted(str(name)[:_LONGEST]), room=Code(room))
        else:
            yield line("missing.unseen", room=Code(room))
    if len(rooms) > MOST_LISTED:
        yield line("missing.more", count=len(rooms) - MOST_LISTED)
