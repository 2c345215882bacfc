"""The sync loop: asks the homeserver what is new, closes gaps, and hands everything to the pipeline in order.

Rules this module keeps: the token goes forward only together with what it acknowledges (`Pipeline.take`); a gap is
filled before anything after it is taken; a homeserver that is away is asked again, at growing intervals; invitations
are answered by who they come from. Left to others: what an answer means (`sync_response.py`, `receive.py`).
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import structlog

from moderation.actions import Action, Enter, Tell
from moderation.caps import declines
from moderation.events import Received, StateChanged
from moderation.facts import Fact, NotSeen
from moderation.ids import EventId, RoomId, UserId, server_of
from moderation.notices import Who, line
from moderation.power import founders
from storage import views
from storage.database import Database

from .clock import Clock
from .gaps import fill
from .homeserver import SYNC_FILTER, Homeserver
from .homeserver_errors import Answered, LoggedOut, RateLimited, Unreachable
from .joining import may_invite
from .pipeline import Pipeline
from .rooms_of_ours import made_for, take_up
from .sync_response import Invite, JoinedRoom, SyncResponse, read_sync

log = structlog.get_logger()

T = TypeVar("T")

LONG_POLL_MS = 30_000
FIRST_POLL_MS = 250
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
        self.heard_ms = 0  # when the homeserver last answered

    async def run(self) -> None:
        """Ask, take, repeat. Raises `LoggedOut` when the token is no longer good."""
        async with self._database.read() as db:
            token = await views.get_meta(db, "sync_token")
        # Synapse keeps an answer for two minutes and gives it again for the same question. After a start that would be
        # one from before a room was opened, told as if it were news: so the first question is never the same.
        wait_ms = 1 + secrets.randbelow(FIRST_POLL_MS)
        while True:
            raw = await self._patiently(partial(self._ask, token, wait_ms))
            self.heard_ms = self._clock()
            response = read_sync(raw, self.heard_ms, me=self._homeserver.user)
            recorded = frozenset(room.room for room in response.joined if self._pipeline.records(room.room))
            await self._patiently(partial(self._take, response, recorded))
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

    async def _take(self, response: SyncResponse, recorded: frozenset[RoomId]) -> None:
        """`recorded`: the rooms that were being recorded when the answer came.

        What it tells of a group that was not is from before the notice, or is found by whoever opens the group.
        """
        for invite in response.invited:
            await self._invited(invite)
        events: list[Received] = []
        for room in response.joined:
            await self._adopt(room)
            if room.room in recorded or self._pipeline.is_own(room.room):
                events += await self._of_room(room)
        for left in response.left:
            events += left.timeline
        events += response.unreadable
        await self._pipeline.take(events, token=response.next_batch)

    async def _of_room(self, room: JoinedRoom) -> list[Received]:
        """What is to be recorded of a room, oldest first. `state` is what held where the timeline begins."""
        ids = [event.event for event in room.timeline]
        notice = self._pipeline.notice(room.room)
        if notice in ids:  # what stands before it was said before anybody was told
            return list(room.timeline[ids.index(notice) + 1 :])
        gap = await self._gap(room, notice) if room.limited else ()
        return [*gap, *room.state, *room.timeline]

    async def _gap(self, room: JoinedRoom, notice: EventId | None) -> tuple[Received, ...]:
        async def known(events: Sequence[Received]) -> set[str]:
            ids = [event.event for event in events if event.event]
            async with self._database.read() as db:
                return await views.known_events(db, ids) | {each for each in ids if each == notice}

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
                    await take_up(self._pipeline, made, room.room)

    async def _invited(self, invite: Invite) -> None:
        inviter = invite.inviter
        direct = inviter is not None and invite.direct
        if inviter is None or not (may_invite(inviter, self._allow_invites) or (direct and await self._known(inviter))):
            log.info("invite_declined", room=invite.room, by=inviter)
            await self._decline(invite.room)
            return
        if not direct and (founder := await self._founded_too_many(invite)) is not None:
            log.info("invite_declined", room=invite.room, by=inviter, why="founded")
            await self._decline(invite.room)
            await self._pipeline.commit(actions=(await self._say_why(invite.room, inviter, founder),))
            return
        enter: Action = Enter(room=invite.room, inviter=inviter, via=server_of(inviter), direct=direct)
        await self._pipeline.commit(actions=(enter,))

    async def _founded_too_many(self, invite: Invite) -> UserId | None:
        """Who has founded as many groups of ours as one may, and this room too, as far as the invitation says."""
        policy = self._pipeline.settings.policy
        created = next((event for event in invite.state if event.get("type") == "m.room.create"), None)
        if not policy.caps.founded or created is None:
            return None
        async with self._database.read() as db:
            for founder in sorted(founders(created)):
                accounts = frozenset(await views.accounts_of(db, founder))
                if declines(await views.founded_by(db, accounts, without=invite.room), founder, policy):
                    return founder
        return None

    async def _say_why(self, room: RoomId, inviter: UserId, founder: UserId) -> Tell:
        limit = self._pipeline.settings.policy.caps.founded
        async with self._database.read() as db:
            known = await views.groups_of(db, inviter)
        words = line("caps.founded", who=Who(founder), limit=limit)
        return Tell(room=known[0] if known else room, subject=inviter, lines=(words,))

    async def _known(self, user: UserId) -> bool:
        """Whether somebody is or was in a room that is served: they may ask about themselves in a direct room."""
        async with self._database.read() as db:
            return bool(await views.groups_of(db, user))

    async def _decline(self, room: RoomId) -> None:
        try:
            await self._homeserver.leave(room)
        except Answered as error:
            log.info("decline_refused", room=room, why=str(error))


def _lost(room: RoomId, count: int, why: str) -> Fact:
    return NotSeen(room=room, what="gap", count=count, detail=why)
