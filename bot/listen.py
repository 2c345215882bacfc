"""The sync loop: asks the homeserver what is new, closes gaps, and hands everything to the pipeline in order.

Rules this module keeps: the token goes forward only together with what it acknowledges (`Pipeline.take`); a gap is
filled before anything after it is taken; a homeserver that is away is asked again, at growing intervals; invitations
are answered by who they come from. Left to others: what an answer means (`sync_response.py`, `receive.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import structlog

from moderation.actions import Action, Enter
from moderation.events import Received, StateChanged
from moderation.facts import Fact, NotSeen
from moderation.ids import RoomId, server_of
from storage import views
from storage.database import Database

from .clock import Clock
from .gaps import fill
from .homeserver import SYNC_FILTER, Homeserver
from .homeserver_errors import Answered, LoggedOut, RateLimited, Unreachable
from .joining import may_invite
from .pipeline import Pipeline
from .rooms_of_ours import entered, made_for, new_code
from .sync_response import Invite, JoinedRoom, SyncResponse, read_sync

log = structlog.get_logger()

T = TypeVar("T")

LONG_POLL_MS = 30_000
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 60.0


class Listener:
    """Listens until cancelled."""

    def __init__(
        self,
        homeserver: Homeserver,
        database: Database,
        pipeline: Pipeline,
        clock: Clock,
        *,
        allow_invites: Sequence[str],
        caught_up: Callable[[], None],
    ) -> None:
        self._homeserver = homeserver
        self._database = database
        self._pipeline = pipeline
        self._clock = clock
        self._allow_invites = allow_invites
        self._caught_up = caught_up

    async def run(self) -> None:
        """Ask, take, repeat. Raises `LoggedOut` when the token is no longer good."""
        async with self._database.read() as db:
            token = await views.get_meta(db, "sync_token")
        wait_ms = 0
        while True:
            raw = await self._patiently(partial(self._ask, token, wait_ms))
            response = read_sync(raw, self._clock(), me=self._homeserver.user)
            await self._patiently(partial(self._take, response))
            token = response.next_batch
            wait_ms = LONG_POLL_MS
            self._caught_up()

    async def _ask(self, token: str | None, wait_ms: int) -> object:
        return await self._homeserver.sync(token, timeout_ms=wait_ms, filter=SYNC_FILTER)

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Again and again while the homeserver is away; what it refuses for good is raised."""
        pause = FIRST_RETRY_S
        while True:
            try:
                return await ask()
            except RateLimited as error:
                await asyncio.sleep(error.retry_after_ms / 1000)
            except Unreachable as error:
                log.warning("homeserver_away", why=str(error), again_in_s=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LAST_RETRY_S)

    async def _take(self, response: SyncResponse) -> None:
        for invite in response.invited:
            await self._invited(invite)
        events: list[Received] = []
        for room in response.joined:
            await self._adopt(room)
            events += await self._of_room(room)
        for left in response.left:
            events += left.timeline
        events += response.unreadable
        await self._pipeline.take(events, token=response.next_batch)

    async def _of_room(self, room: JoinedRoom) -> list[Received]:
        events = [*room.state, *room.timeline]
        if not room.limited or not self._pipeline.records(room.room):
            return events
        gap = await self._gap(room)
        return [*room.state, *gap, *room.timeline]

    async def _gap(self, room: JoinedRoom) -> tuple[Received, ...]:
        async def known(events: Sequence[Received]) -> set[str]:
            async with self._database.read() as db:
                return await views.known_events(db, [event.event for event in events if event.event])

        if await known(room.timeline):
            return ()  # the timeline reaches back to what we have
        try:
            gap = await fill(self._homeserver, room.room, room.prev_batch, known, self._clock())
        except LoggedOut:
            raise
        except Answered as error:
            await self._pipeline.commit((_lost(room.room, 0, error.errcode),))
            return ()
        if not gap.closed:
            await self._pipeline.commit((_lost(room.room, len(gap.events), "too long"),))
        return gap.events

    async def _adopt(self, room: JoinedRoom) -> None:
        """A room that we made for ourselves and could not record, because we were stopped in between."""
        if self._pipeline.knows(room.room):
            return
        for event in (*room.state, *room.timeline):
            if isinstance(event, StateChanged) and event.type == "m.room.create":
                made = made_for(event.content) if event.sender == self._homeserver.user else None
                if made is not None:
                    async with self._database.read() as db:
                        taken = tuple((await views.all_rooms(db)).values())
                    await self._pipeline.commit((entered(made, room.room, new_code(taken)),))

    async def _invited(self, invite: Invite) -> None:
        if not may_invite(invite.inviter, self._allow_invites):
            log.info("invite_declined", room=invite.room, by=invite.inviter)
            await self._decline(invite.room)
            return
        assert invite.inviter is not None
        enter: Action = Enter(room=invite.room, inviter=invite.inviter, via=server_of(invite.inviter))
        await self._pipeline.commit(actions=(enter,))

    async def _decline(self, room: RoomId) -> None:
        try:
            await self._homeserver.leave(room)
        except Answered as error:
            log.info("decline_refused", room=room, why=str(error))


def _lost(room: RoomId, count: int, why: str) -> Fact:
    return NotSeen(room=room, what="gap", count=count, detail=why)
