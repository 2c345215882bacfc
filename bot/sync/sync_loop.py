"""The sync loop: asks the homeserver what is new and hands it to the pipeline in order.

Rules kept here:
- The token moves on only together with what it acknowledges (`Pipeline.take`), or with the note that a room is behind.
- A room that is behind is read by `backfill.py`, and not taken here until it is level. So is a room whose news would
  hold up all others (`bot/pipeline/judging_costs.py`).
- A homeserver that is away is asked again, at growing intervals.
- Invitations are answered according to the inviter.
- Rooms where something is asked of the bot come last, whatever their order in the answer: a command counts what was
  written before it in other rooms. (The time an event names is its server's word, so events are not sorted by it.)
- While something urgent is on its way, the next question waits a little: the homeserver does one thing after the other,
  and its answer then holds more.

Left to others: what an answer means (`bot/events/sync_response.py`, `bot/events/parse_event.py`).
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.bot_rooms.create import made_for, take_up
from bot.encryption.service import Encryption
from bot.events.parse_event import receive_state
from bot.events.parse_fields import object_of
from bot.events.sync_response import Invite, JoinedRoom, LeftRoom, SyncResponse, changed_lists, read_sync
from bot.matrix.errors import Forbidden, NotFound, RateLimited, Unreachable
from bot.matrix.sync_filter import SYNC_FILTER
from bot.monitoring.pulse import Pulse
from bot.outbox.handler import BotPart, Services
from bot.pipeline import heartbeat
from bot.pipeline.judging_costs import MOST_MS
from bot.pipeline.unread_reasons import UnreadReasons
from bot.runtime.budget import Budget, Granted
from moderation.duty.responsibility import is_operator
from moderation.model.actions.base import NO_ROOM, Action
from moderation.model.actions.rooms import Decline, Enter, KeepDesk
from moderation.model.actions.telling import Tell
from moderation.rooms.spaces import is_space
from moderation.values.events import MembershipChanged, Received, StateChanged
from moderation.values.ids import EventId, RoomId, UserId, server_of
from moderation.values.notices import Moment, line
from storage import queries
from storage.state.backfill import Delivered

from .backfill import Gaps
from .invitations import Elsewhere, Invitations, may_invite, nowhere_else, space_declined
from .policy_lists import PolicyLists
from .presence import Presence
from .spaces import Spaces
from .timeline import delivered, is_create, since_notice, to_record

log = structlog.get_logger()

T = TypeVar("T")

LONG_POLL_MS = 30_000
FIRST_POLL_MS = 250
AWAY_MS = LONG_POLL_MS + 5_000  # after so long without an answer, what comes was not heard when it was said
FIRST_RETRY_S = 0.5
ASK_AGAIN_S = 0.2  # longest wait before the next question, even with urgent requests on their way
LAST_RETRY_S = 60.0
MOST_INVITATIONS = 20  # looked at from one person in an hour; others are declined
FULL = 100  # an answer with so many events means that more will follow


def is_full(response: SyncResponse, recorded: frozenset[RoomId]) -> bool:
    """Return whether more events are to be expected at once of the rooms that are recorded."""
    return sum(len(room.timeline) for room in response.joined if room.room in recorded) >= FULL


class Listener(BotPart):
    """The loop itself, which runs until cancelled."""

    def __init__(
        self,
        services: Services,
        gaps: Gaps,
        spaces: Spaces,
        lists: PolicyLists,
        *,
        allow_invites: Sequence[str],
        caught_up: Callable[[], None],
        encryption: Encryption,
        lists_changed: Callable[[Sequence[UserId]], None],
        pulse: Pulse,
        landed: Callable[[float], Awaitable[None]],
        crowded: Callable[[], None],
        elsewhere: Elsewhere = nowhere_else,
    ) -> None:
        super().__init__(services)
        self._reasons = UnreadReasons(services.pipeline, services.database)
        self._gaps = gaps
        self._spaces = spaces
        self._lists = lists
        self._allow_invites = allow_invites
        self._invitations = Invitations(services, elsewhere)
        self._invited_by = Budget(MOST_INVITATIONS)
        self._caught_up = caught_up
        self._encryption = encryption
        self._lists_changed = lists_changed
        self._pulse = pulse
        self._landed = landed
        self._crowded = crowded
        self.heard_ms = 0  # when the homeserver last answered
        self.presence = Presence()
        self._asked_ms = 0  # when the question was asked that was answered last
        self._recorded = dict[RoomId, EventId | None]()  # the rooms that were recorded then, each with its notice

    async def run(self) -> None:
        """Ask, take, repeat. Raises `LoggedOut` when the token is no longer good."""
        async with self._database.read() as db:
            token = await queries.get_meta(db, "sync_token")
            before = await heartbeat.last_noted(db) or 0
        self.presence.resume(before)
        # Synapse caches an answer for two minutes and repeats it for the same question. After a start it could be one
        # from before a room was opened, taken for news. So the first question is never the same.
        wait_ms = 1 + secrets.randbelow(FIRST_POLL_MS)
        await self.read_again()
        while True:
            self._recorded = self._pipeline.served.recorded_since()  # once: a repeated question may get an old answer
            raw = await self._patiently(partial(self._ask, token, wait_ms))
            self.heard_ms = self._clock()
            asked_ms = self._asked_ms
            self.presence.arrived()
            self._pulse.arrived()
            response = read_sync(raw, self.heard_ms, me=self._homeserver.user)
            recorded = frozenset(room.room for room in response.joined if self._pipeline.served.records(room.room))
            late = await self._keys(response, initial=token is None)
            async with self._gaps.answer:
                await self._patiently(partial(self._take, response, recorded, before))
            before = self.heard_ms
            await self._readable_now(late)
            self.presence.answered(asked_ms, self.heard_ms)
            self._pulse.taken()
            self._spaces.heard(response)
            self._lists.heard(response)
            if is_full(response, recorded):
                self._crowded()
            token = response.next_batch
            wait_ms = LONG_POLL_MS
            self._lists_changed(changed_lists(response))
            self._caught_up()
            await self._landed(ASK_AGAIN_S)

    async def read_again(self) -> None:
        """Take what could not be read before and can be now, since keys have come by another way than a sync."""
        await self._readable_now(await self._encryption.left_over(), again=True)

    async def _keys(self, response: SyncResponse, *, initial: bool) -> list[Received]:
        """Take what came for our device, before the token moves on. Return the events that became readable by it."""
        events = [event for room in response.joined for event in (*room.state, *room.timeline)]
        events += [event for room in response.left for event in room.timeline]
        late = await self._encryption.receive(response, initial=initial)
        await self._encryption.noticed(events, missed=[room.room for room in response.joined if room.limited])
        return late

    async def _readable_now(self, late: Sequence[Received], *, again: bool = False) -> None:
        if late:
            await self._pipeline.take_late(late)
            await self._encryption.recorded(late)
        if reasons := await self._encryption.reasons():
            await self._reasons.take(reasons, again=again)
            await self._encryption.told(reasons)

    async def _ask(self, token: str | None, wait_ms: int) -> object:
        return await self._homeserver.sync(token, timeout_ms=wait_ms, filter=SYNC_FILTER)

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask again and again while the homeserver is away; raise what it refuses for good."""
        pause = FIRST_RETRY_S
        while True:
            self._pulse.beat()
            self._asked_ms = self._clock()
            try:
                answer = await ask()
                self.presence.found(self._asked_ms)
                return answer
            except RateLimited as error:
                await self._rest(error.retry_after_ms / 1000)
            except Unreachable as error:
                self.presence.lose()
                log.warning("homeserver_away", why=str(error), again_in_s=pause)
                await self._rest(pause)
                pause = min(pause * 2, LAST_RETRY_S)

    async def _rest(self, seconds: float) -> None:
        """Wait with a heartbeat: a long wait that the homeserver asks for is no hang."""
        while seconds > 0:
            await asyncio.sleep(min(seconds, LAST_RETRY_S))
            self._pulse.beat()
            seconds -= LAST_RETRY_S

    async def _take(self, response: SyncResponse, recorded: frozenset[RoomId], before: int) -> None:
        """Hand one answer to the pipeline.

        `recorded`: the rooms that were being recorded when the answer came; `before`: when the answer before it came.
        What the answer tells of a group that was not being recorded is from before the notice, or is read when the
        group is opened.
        """
        async with self._gaps.turn:
            for invite in response.invited:
                await self._invited(invite)
            events: list[Received] = []
            behind: dict[RoomId, Delivered] = {}
            costly: set[RoomId] = set()  # those of them that miss nothing, but take long to judge
            for room in sorted(response.joined, key=self._turn):
                await self._adopt(room)
                if room.room not in recorded and self._pipeline.served.is_entered(room.room):
                    continue
                if self._was_opened(room.room):
                    behind[room.room] = since_notice(room, self._pipeline.served.notice(room.room))
                    continue
                missing, state = await self._is_behind(room), None
                if not missing and not self._takes_long(room):
                    state = await self._as_it_holds(room)
                    missing = state is None
                if state is None:
                    behind[room.room] = self._delivered(room)
                    if not room.limited and (not missing or self._gaps.is_costly(room.room)):
                        costly.add(room.room)
                else:
                    events += to_record(replace(room, state=state), self._pipeline.served.notice(room.room))
            for left in response.left:
                if await self._came_back(left):
                    continue
                if await self._is_behind(left) and self._pipeline.served.records(left.room):
                    behind[left.room] = self._delivered(left)
                else:
                    events += to_record(left, self._pipeline.served.notice(left.room))
            events += response.unreadable
            with self._gaps.opening(behind, since=before, costly=costly) as also:
                away = before if self.heard_ms - before > AWAY_MS else 0
                noted = partial(self._note, also)
                await self._pipeline.take(events, token=response.next_batch, also=noted, heard_ms=away)

    def _delivered(self, room: JoinedRoom | LeftRoom) -> Delivered:
        return delivered(room, self._pipeline.served.notice(room.room), self._homeserver.user)

    async def _note(self, also: Callable[[AsyncConnection], Awaitable[None]], db: AsyncConnection) -> None:
        """Note that the bot was there, unless a pause before it must be recorded first."""
        await also(db)
        if not self.presence.waiting:
            await heartbeat.note(db, self.heard_ms)

    async def _as_it_holds(self, room: JoinedRoom) -> tuple[Received, ...] | None:
        """Return the state next to the timeline that is not known yet, if it holds now; None if other state holds.

        The homeserver tells what held where the timeline begins, on the branch that begins there. Another server can
        begin a branch far back, when other people had power. So this state is not believed, but asked for. If the
        answer is another event, only pages tell its place: taken here, it could seem to be what a later timeline
        reaches back to.
        """
        if not room.state or self._pipeline.served.is_own(room.room):
            return room.state
        async with self._database.read() as db:
            known = await queries.known_events(db, [event.event for event in room.state if event.event])
        told, found = {event.event for event in room.timeline}, list[Received]()
        for event in room.state:
            if event.event in known:
                continue
            now: Received | None = event
            if isinstance(event, StateChanged):
                now = await self._now(room.room, event.type, event.state_key)
            elif isinstance(event, MembershipChanged):
                now = await self._now(room.room, event.type, event.user)
            if now is None or now.event in told:
                continue
            if now.event != event.event and not await self._is_known(now):
                return None
            found.append(now)
        return tuple(found)

    async def _is_known(self, event: Received) -> bool:
        async with self._database.read() as db:
            return event.event is not None and bool(await queries.known_events(db, [event.event]))

    async def _now(self, room: RoomId, type: str, key: str) -> Received | None:
        try:
            raw = await self._homeserver.whole_state_event(room, type, key)
        except (NotFound, Forbidden):  # no such state; or we are out, which the timeline tells
            return None
        return receive_state(raw, room, self.heard_ms)

    def _was_opened(self, room: RoomId) -> bool:
        """Tell whether a room was opened after the question: the answer may tell of the time before its notice."""
        served = self._pipeline.served
        same = room in self._recorded and self._recorded[room] == served.notice(room)
        return not same and served.is_entered(room)

    async def _came_back(self, left: LeftRoom) -> bool:
        """Tell whether the bot is in a room again that it left, by this answer, before it was opened."""
        if not self._was_opened(left.room) or self._pipeline.served.notice(left.room) in left.raw:
            return False
        return left.room in await self._homeserver.joined_rooms()

    def _turn(self, room: JoinedRoom) -> int:
        """Return when a room's events are taken: first groups, then groups with commands, then rooms of ours."""
        if self._pipeline.served.is_own(room.room):
            return 2
        return int(any(map(self._pipeline.is_asked, room.timeline)))

    async def _is_behind(self, room: JoinedRoom | LeftRoom) -> bool:
        """Tell whether something older is missing, left out by this answer or an earlier one."""
        if self._gaps.behind(room.room):
            return True
        ids = [event.event for event in room.timeline if event.event]
        if not room.limited or self._pipeline.served.notice(room.room) in ids or any(map(is_create, room.timeline)):
            return False
        async with self._database.read() as db:
            return not await queries.known_events(db, ids[:1])  # else the timeline reaches back to what we have

    def _takes_long(self, room: JoinedRoom) -> bool:
        """Tell whether judging what is new in a group would hold up all others."""
        costs = self._pipeline.costs
        return not self._pipeline.served.is_own(room.room) and costs.expected(room.timeline) > MOST_MS

    async def _adopt(self, room: JoinedRoom) -> None:
        """Take up a room that the bot made for itself and could not record because it was stopped in between."""
        if room.room in self._pipeline.served.codes:
            return
        for event in (*room.state, *room.timeline):
            if isinstance(event, StateChanged) and is_create(event):
                made = made_for(event.content) if event.sender == self._homeserver.user else None
                if made is not None:
                    await take_up(self._pipeline, made, room.room)
                    served = [each for each, code in self._pipeline.served.codes.items() if code == made.served]
                    if made.purpose == "desk" and served:  # perhaps not all of its people were invited
                        await self._pipeline.commit(actions=(KeepDesk(room=served[-1]),))

    async def _invited(self, invite: Invite) -> None:
        inviter = invite.inviter
        if self._spaces.invited(invite.room, server_of(inviter or "")):  # named by the operator: anybody may invite
            return
        if self._lists.invited(invite.room):
            return
        if inviter is not None and await self._is_upgrade(invite.room):  # leads into no other group
            follows = not may_invite(inviter, self._allow_invites)
            into = Enter(room=invite.room, inviter=inviter, via=server_of(inviter), follows=follows)
            await self._pipeline.commit(actions=(into,))
            return
        direct = inviter is not None and invite.direct
        if inviter is not None and (granted := self._granted(inviter)) != "granted":
            words = line("error.too-often", until=Moment(self._invited_by.free_at(inviter)))
            told = Tell(room=NO_ROOM, subject=inviter, lines=(words,), alone=True)
            await self._decline(invite, "too-often", *([told] if granted == "spent" else []))
            return
        if inviter is None or not (may_invite(inviter, self._allow_invites) or (direct and await self._known(inviter))):
            await self._decline(invite, "not-allowed")
            return
        if any(
            event.get("type") == "m.room.create" and is_space(object_of(event.get("content"))) for event in invite.state
        ):
            await self._decline(invite, "space", space_declined(inviter))
            return
        if not direct and (refused := await self._invitations.refused(invite, inviter)) is not None:
            why, actions = refused
            await self._decline(invite, why, *actions)
            return
        enter: Action = Enter(room=invite.room, inviter=inviter, via=server_of(inviter), direct=direct)
        await self._pipeline.commit(actions=(enter,))

    def _granted(self, inviter: UserId) -> Granted:
        """Tell whether an invitation is looked at; those of operators always are."""
        if is_operator(inviter, self._pipeline.settings.policy):
            return "granted"
        return self._invited_by.take(inviter, self.heard_ms)

    async def _is_upgrade(self, room: RoomId) -> bool:
        """Tell whether a group of ours continues in this room."""
        async with self._database.read() as db:
            return await queries.upgraded_to(db, room) is not None

    async def _known(self, user: UserId) -> bool:
        """Tell whether a person is or was in a served room, and so may ask about themselves in a direct room.

        People who wait in a lobby may, too: they get verified there.
        """
        async with self._database.read() as db:
            return bool(await queries.groups_of(db, user)) or await queries.in_a_lobby(db, user)

    async def _decline(self, invite: Invite, why: str, *told: Action) -> None:
        log.info("invite_declined", room=invite.room, by=invite.inviter, why=why)
        await self._pipeline.commit(actions=(Decline(room=invite.room), *told))
