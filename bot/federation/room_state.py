"""State of a room that we are in, as another server in it knows it now.

Rules this module keeps:
- Nothing is written to the room: the ends of its history come from the template of an event that is never sent.
- While servers have not agreed (the history has several ends), each end has a state of its own, and all are returned.
- What another server answers is unchecked: ask one that is trusted with it.

Left to others: which server to ask.

Specification: server-server API v1.19, "Leaving Rooms", "Retrieving events".
"""

from collections.abc import Mapping
from typing import Any

from bot.crypto.encoding import object_of
from moderation.values.ids import RoomId, UserId

from .client import FEDERATION_V1, AsksServers
from .errors import ServerUnreachable

_MOST_STATE_BYTES = 64 * 2**20  # of a large room, with its members
_MOST_ENDS = 3


async def state_now(
    servers: AsksServers, server: str, user: UserId, room: RoomId, kind: str
) -> tuple[Mapping[str, Any], ...]:
    """Return the contents of the state event of type `kind` with an empty key, one for each end of the history.

    `user` is ours and in the room; empty where there is no such event. Raises `ServerRefused` (403: the user is not in
    the room) and `ServerUnreachable`.
    """
    answer = await servers.get(server, FEDERATION_V1, ("make_leave", room, user))
    ends = _ends(object_of(answer.get("event")).get("prev_events"))
    return tuple([await _content_after(servers, server, room, end, kind) for end in ends])


def _ends(given: object) -> list[str]:
    found = given if isinstance(given, list) else []
    # Versions 1 and 2 give each reference with its hash.
    ends = [each[0] if isinstance(each, list) and each else each for each in found]
    if not ends or len(ends) > _MOST_ENDS or not all(isinstance(each, str) for each in ends):
        raise ServerUnreachable("the history of the room has no ends, or too many")
    return ends


async def _content_after(servers: AsksServers, server: str, room: RoomId, end: str, kind: str) -> Mapping[str, Any]:
    answer = await servers.get(server, FEDERATION_V1, ("event", end))
    pdus = answer.get("pdus")
    if not isinstance(pdus, list) or len(pdus) != 1:
        raise ServerUnreachable("an answer that is not one event")
    if _is(pdus[0], kind):
        return object_of(pdus[0].get("content"))
    before = await servers.get(
        server, FEDERATION_V1, ("state", room), (("event_id", end),), most_bytes=_MOST_STATE_BYTES
    )
    state = before.get("pdus")
    if not isinstance(state, list):
        raise ServerUnreachable("an answer that is not a state")
    return next((object_of(each.get("content")) for each in state if _is(each, kind)), {})


def _is(event: object, kind: str) -> bool:
    return isinstance(event, dict) and event.get("type") == kind and event.get("state_key") == ""
