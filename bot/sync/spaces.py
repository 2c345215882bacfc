"""The spaces that name a community's rooms: the bot joins them, stays silent, and records which rooms they list.

Rules kept here:
- The bot enters a space that the configuration names, no matter who invites it, and leaves one that is no longer named.
- Nothing that is said there is recorded.
- The state is fetched as a whole and compared with what is recorded, so that the next look makes up for what was
  missed.
- What a space listed when the bot was removed from it stays.
- A space whose server does not answer does not keep the others from being read (`joins.py`).
- With `adopt = "ask"`, the desks of the community are told when a room is listed in which the bot is not.

Left to others: what the state says (`moderation/rooms/spaces.py`), which community follows
(`moderation/model/reach.py`).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.bot_rooms.create import code_of
from bot.events.sync_response import SyncResponse
from bot.matrix.errors import Answered, HomeserverError
from bot.outbox.handler import BotPart, Services
from moderation.model.actions.base import NO_ROOM, Action
from moderation.model.actions.rooms import Align, KeepDesk, KeepLobby, ListMissing
from moderation.model.actions.telling import TellAbove
from moderation.model.facts import Fact, RoomEntered, RoomStateChanged
from moderation.rooms.spaces import changes, is_space
from moderation.values.events import MembershipChanged, MessagePosted, Received
from moderation.values.ids import RoomId, server_of
from moderation.values.notices import Code, Who, line
from storage import queries

from .joins import Joins

log = structlog.get_logger()

LOOK_AGAIN_S = 3_600
ASK_AGAIN_S = 30  # if the homeserver was away
SETTLE_MS = 60_000  # people list several rooms one after the other


class Spaces(BotPart):
    """The spaces of the configuration, read at the start, after a change, and once an hour."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._named = frozenset(space for each in self._policy.communities.named for space in each.space)
        self._open = {space: server_of(space) for space in self._named}  # to enter, by which server
        self._awake = asyncio.Event()
        self._joins = Joins(services.homeserver, self._awake.set)

    def invited(self, room: RoomId, via: str) -> bool:
        """Return whether the room is one of the spaces, and if so let the bot enter."""
        if room not in self._named:
            return False
        self._open[room] = via
        self._joins.was_invited()
        self._awake.set()
        return True

    def heard(self, response: SyncResponse) -> None:
        """Look again if the answer may show a change in what a space lists, or that the bot is out."""
        changed = {room.room for room in response.joined if room.limited or any(map(_may_list, room.timeline))}
        if not self._named.isdisjoint(changed | {room.room for room in response.left}):
            self._awake.set()

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            await self._look_again_and_again()
        finally:
            await self._joins.end()

    async def _look_again_and_again(self) -> None:
        while True:
            self._awake.clear()
            pause_s = LOOK_AGAIN_S if await self.look() else ASK_AGAIN_S
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._awake.wait()

    async def look(self) -> bool:
        """Update the record of each space. Return whether the homeserver answered for all."""
        followed = await self._database.fetch(queries.followed_spaces)
        answered = True
        self._joins.begin_round()
        for space in sorted(self._named | followed):
            try:
                await self._see_to(space, followed=space in followed)
            except Answered as error:
                log.warning("space_refused", room=space, why=str(error))
            except HomeserverError as error:
                log.warning("space_unread", room=space, why=str(error))
                answered = False
        return answered

    async def _see_to(self, space: RoomId, *, followed: bool) -> None:
        if there := space in await self._homeserver.joined_rooms():
            self._joins.forget(space)
        if space not in self._named:
            if there:
                await self._homeserver.leave(space)
            await self._gone(space)
        elif there or await self._came(space):
            self._open.pop(space, None)
            await self._read(space, new=not followed)
        elif followed:
            out = line("space.out", space=Code(space), bot=Who(self._homeserver.user))
            await self._gone(space, TellAbove(room=NO_ROOM, lines=(out,)))

    async def _came(self, space: RoomId) -> bool:
        """Return whether the bot could enter a space; it tries once at each start, and when it is invited."""
        if (via := self._open.get(space)) is None:
            return False
        try:
            await self._joins.enter(space, (via,) if via else ())
        except Answered as error:
            log.info("space_closed", room=space, why=str(error))
            self._open.pop(space, None)
            return False
        return True

    async def _gone(self, space: RoomId, *actions: Action) -> None:
        await self._pipeline.commit((RoomStateChanged(room=space, condition="left"),), actions=actions)

    async def _read(self, space: RoomId, *, new: bool) -> None:
        state = await self._homeserver.state(space)
        if not any(is_space(event.get("content")) for event in state if event.get("type") == "m.room.create"):
            log.warning("no_space", room=space)
            if space not in self._pipeline.served.codes:  # but never leave a group
                await self._homeserver.leave(space)
            return
        changed = await self._record(space, state, new=new)
        async with self._database.read() as db:
            groups = set(await queries.active_groups(db))
            missing = set(await queries.listed_without_bot(db, (space,)))
            asks = [each.name for each in self._policy.communities.named if space in each.space and each.adopt == "ask"]
            desks = [desk for name in asks for desk in await queries.desks_of_community(db, name)]
        actions = [do(room=room) for room in changed if room in groups for do in (Align, KeepDesk, KeepLobby)]
        settles = self._clock() + SETTLE_MS
        told = [ListMissing(room=desk, settles=settles) for desk in desks if not missing.isdisjoint(changed)]
        if actions or told:
            await self._pipeline.commit(actions=(*actions, *told))

    async def _record(self, space: RoomId, state: list[dict[str, Any]], *, new: bool) -> list[RoomId]:
        """Record which rooms are listed differently than before, and return them."""
        changed: list[RoomId] = []

        async def facts(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            if new:
                yield (RoomEntered(code=await code_of(db, space), purpose="space", room_id=space),)
            for fact in changes(space, state, await queries.listed_in(db, space)):
                changed.append(RoomId(fact.child))
                yield (fact,)

        await self._pipeline.commit_with(facts)
        return changed


def _may_list(event: Received) -> bool:
    """Tell whether an event may change a list.

    Messages and memberships never do; a redaction can take a listing back.
    """
    return not isinstance(event, MessagePosted | MembershipChanged)
