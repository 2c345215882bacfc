"""The trial whether the homeserver limits an account, and the lifting of the limit by an admin (Synapse).

Rules kept here:
- No request tells one's own limit, so it is tried: in a private room that nobody else ever sees, which is left and
  forgotten afterwards. A trial uses up what a limited account may send in the next minute.
"""

import asyncio
import contextlib
import secrets
from typing import Literal

from moderation.values.ids import RoomId

from .client import Homeserver
from .errors import Forbidden, HomeserverError, LoggedOut, NotFound, RateLimited, Rejected
from .synapse_admin import SynapseAdmin

Limit = Literal["free", "limited", "lifted", "not_admin", "unknown"]

# Synapse lets 10 events pass at once by default; a server that lets this many pass will not slow a bot down soon.
BURST = 15
_EVENT = "org.answerable.trial"
_LEAVING = 4  # attempts: a limited account must wait before it may leave


async def find_out(homeserver: Homeserver, admin_token: str = "") -> Limit:
    """Tell whether the account is limited; with an admin's token, lift the limit (Synapse)."""
    if admin_token:
        try:
            await SynapseAdmin(homeserver.wire, admin_token).lift_limit(homeserver.user)
        except (Forbidden, LoggedOut):
            return "not_admin"
        except (NotFound, Rejected):  # not Synapse, or its admin interface is not reachable from here
            return await _try(homeserver)
        return "lifted"
    return await _try(homeserver)


async def _try(homeserver: Homeserver) -> Limit:
    try:
        room = await homeserver.create_room({"preset": "private_chat", "creation_content": {"m.federate": False}})
    except RateLimited:
        return "limited"
    except HomeserverError:
        return "unknown"
    try:
        return await _burst(homeserver, room)
    finally:
        await _leave(homeserver, room)


async def _burst(homeserver: Homeserver, room: RoomId) -> Limit:
    try:
        for _ in range(BURST):
            await homeserver.send(room, _EVENT, {}, secrets.token_hex(8))
    except RateLimited:
        return "limited"
    except HomeserverError:
        return "unknown"
    return "free"


async def _leave(homeserver: Homeserver, room: RoomId) -> None:
    for _ in range(_LEAVING):
        try:
            await homeserver.leave(room)
            break
        except RateLimited as error:
            await asyncio.sleep(error.retry_after_ms / 1000)
    with contextlib.suppress(HomeserverError):
        await homeserver.forget(room)
