"""The entry into a room: the bot joins, says what will be recorded, pins that notice, and only then begins to record.

Rules kept here:
- Only people whose ids match the configuration's globs can bring the bot into a room.
- Nothing that was said before the notice is recorded, and everything after it is.
- A bot that was removed while it was stopped notes that before it joins: so no answer about the time between counts.
- A direct room needs no notice: what is said there is recorded from the bot's join on.
- The state of a room is recorded as it was at the notice, so that no change after it is met twice.
- Every step can be repeated: after a crash in the middle all steps are done again. If the bot was removed and invited
  meanwhile, it says the notice again.
- A server that does not answer is asked again for some hours. A bot that could not enter tells the inviter.
- A group that was upgraded is the same group in another room.
- The rights that the bot lacks, and the people it could never demote, are told to the managers with the exact change
  to make (`show_power.py`).
- A space only lists rooms and nothing is said in it, so it is not entered in this way (`bot/sync/spaces.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from bot.bot_rooms.create import RoomPurpose, code_of, entered, new_code
from bot.events.parse_event import receive, receive_state
from bot.matrix.errors import Answered, Forbidden, LoggedOut, Unreachable
from bot.outbox.handler import ActionHandler, Done, Handlers, RetryLater, Services
from bot.sync.backfill import Gaps
from bot.sync.invitations import space_declined
from bot.sync.timeline import told
from bot.texts.matrix_message import MESSAGE
from moderation.model.actions.base import NO_ROOM
from moderation.model.actions.rooms import Decline, Enter, Pin
from moderation.model.actions.telling import ShowPower, Tell, TellDesk
from moderation.model.facts import RoomEntered, RoomStateChanged
from moderation.rooms.spaces import is_space
from moderation.values.durations import DAY_MS
from moderation.values.ids import EventId, GroupCode, RoomId
from moderation.values.notices import Code, Line, Phrase, RoomName, Who, line
from storage import outbox, queries
from storage.state.backfill import Delivered

log = structlog.get_logger()
PINNED = "m.room.pinned_events"
_TRIES, _FIRST_MS, _LAST_MS = 40, 500, 600_000  # about five hours


class Joiner(ActionHandler):
    """The handlers of `Enter`, `Decline` and `Pin`."""

    def __init__(self, services: Services, gaps: Gaps, notice: tuple[Line, ...]) -> None:
        super().__init__(services)
        self._gaps = gaps
        self._notice = notice
        self.handles: Handlers = {Enter: self.enter, Decline: self.decline, Pin: self.pin}

    async def enter(self, action: Enter, txn: str) -> Done:
        """Enter a room by all steps, in order."""
        async with self._gaps.answer:
            pass  # the answer that tells of the invitation may tell of a removal before it, which is taken first
        is_open = await self._is_open(action.room)
        if is_open and not action.direct:  # the bot was stopped in, or just after, the last step
            notice = self._pipeline.served.notice(action.room)
            with self._gaps.opening({action.room: Delivered(until=notice)}) as also:
                await self._pipeline.commit(also=also)
            return Done(actions=(ShowPower(room=action.room),))
        if not is_open:
            await self._was_away(action.room)
        try:
            room = await self._homeserver.join(action.room, action.via.split() if action.via else ())
        except LoggedOut:
            raise
        except Answered as error:
            return Done(result="refused", code=error.errcode or "-", actions=(await self._not_entered(action),))
        except Unreachable as error:
            given_up = Done(result="abandoned", actions=(await self._not_entered(action),))
            raise RetryLater(str(error), given_up, tries=_TRIES, first_ms=_FIRST_MS, last_ms=_LAST_MS) from error
        if action.direct:
            return await self._enter_direct(action, room, txn)
        if await self._is_space(room):
            await self._homeserver.leave(room)
            return Done(result="refused", code="space", actions=(space_declined(action.inviter),))
        if action.follows and (unsure := await self._is_no_upgrade(room)) is not None:
            await self._homeserver.leave(room)
            return Done(result="refused", code="predecessor", actions=(unsure,))
        await self._register(action, room)
        try:
            notice = await self._announce(room, f"{txn}.{await self._stay(room)}")
        except Forbidden as error:  # nothing may be recorded without it
            await self._homeserver.leave(room)
            unsaid = Tell(room=room, subject=action.inviter, lines=(line("joining.no-voice"),))
            return Done(result="refused", code=error.errcode or "-", actions=(unsaid,))
        await self._pipeline.commit((RoomStateChanged(room=room, condition="announced", notice=notice),))
        now = self._clock()
        snapshot = [receive(raw, room, now) for raw in await self._homeserver.state_at(room, notice)]
        with self._gaps.opening({room: Delivered(until=notice)}) as also:
            await self._pipeline.open_room(room, snapshot, also)
        return Done(actions=(ShowPower(room=room),), made=notice)

    async def _enter_direct(self, action: Enter, room: RoomId, txn: str) -> Done:
        """Enter a direct room, or leave it if others are there.

        With more than two people in it, the recording would have to be announced as in any other room.
        """
        members = await self._homeserver.members(room, membership="join")
        company = {raw.get("state_key") for raw in members} - {self._homeserver.user, action.inviter}
        if company:
            await self._homeserver.leave(room)
            return Done(result="refused", code="company")
        async with self._database.read() as db:
            code = await code_of(db, room)
            language = self._speech.language(await queries.language_of(db, action.inviter))
        made = RoomPurpose("direct", user=action.inviter)
        joined = self._joined(members)
        since = RoomStateChanged(room=room, condition="protected", notice=joined or "")
        people = told([receive_state(raw, room, self._clock()) for raw in members])
        with self._gaps.opening({room: Delivered(people, until=joined)}) as also:
            await self._pipeline.commit((entered(made, room, code), since), also=also)
        unread = self._homeserver.machine is None and await self._homeserver.is_encrypted(room)
        key = "direct.encrypted" if unread else "direct.hello"
        hello = self._speech.message((line(key, help=Code(f"{self._prefix}help")),), language, {})
        return Done(made=await self._homeserver.send(room, MESSAGE, hello, f"{txn}.hello"))

    def _joined(self, members: Sequence[Mapping[str, Any]]) -> EventId | None:
        """Return the event by which the bot joined, after which a direct room is recorded."""
        mine = next((raw.get("event_id") for raw in members if raw.get("state_key") == self._homeserver.user), None)
        return EventId(mine) if isinstance(mine, str) else None

    async def decline(self, action: Decline, _txn: str) -> Done:
        """Decline an invitation, unless another one was accepted meanwhile."""
        async with self._database.read() as db:
            enters = await outbox.waits_for(db, action.room, Enter)
        if enters or action.room in await self._homeserver.joined_rooms():
            return Done(result="abandoned", code="entered")
        try:
            await self._homeserver.leave(action.room)
        except Unreachable as error:
            raise RetryLater(str(error), tries=_TRIES, first_ms=_FIRST_MS, last_ms=_LAST_MS) from error
        return Done()

    async def pin(self, action: Pin, _txn: str) -> Done:
        """Pin an event in a room."""
        await self._pin(action.room, action.event)
        return Done()

    async def _is_open(self, room: RoomId) -> bool:
        """Tell whether the room is served and the bot is still in it."""
        view = await self._database.fetch(queries.room_view, room, self._homeserver.user)
        return view is not None and view.active and room in await self._homeserver.joined_rooms()

    async def _was_away(self, room: RoomId) -> None:
        """Note, before the bot joins a room, that it was out: what it missed there is not for it."""
        await self._gaps.end(room)
        if self._pipeline.served.records(room):  # unless its removal was delivered before
            await self._pipeline.commit((RoomStateChanged(room=room, condition="left"),))

    async def _is_space(self, room: RoomId) -> bool:
        return is_space(await self._homeserver.state_event(room, "m.room.create"))

    async def _register(self, action: Enter, room: RoomId) -> None:
        async with self._database.read() as db:
            known, unused = (await queries.codes_of(db, [room])).get(room), await new_code(db)
        code = known or await self._goes_on(room) or unused
        entered = RoomEntered(code=code, purpose="group", room_id=room, via=action.via, subject=action.inviter)
        await self._pipeline.commit((entered,))

    async def _not_entered(self, action: Enter) -> Tell | TellDesk:
        """Return the message that asks for an invitation: to the group that continues there, else to the inviter."""
        before = await self._database.fetch(queries.upgraded_to, action.room)
        if before is None:
            words = line("joining.not-entered", room=action.room)
            return Tell(room=NO_ROOM, subject=action.inviter, lines=(words,), alone=True)
        words = line("upgrade.invite-me", room=RoomName(before[0]), bot=Who(self._homeserver.user))
        return TellDesk(room=before[0], lines=(words,), once="upgrade-invite")

    async def _is_no_upgrade(self, room: RoomId) -> TellDesk | None:
        """Return a warning to the desk if a tombstone names this room, but it does not name the old one; else None."""
        before = await self._database.fetch(queries.upgraded_to, room)
        if before is None or await self._goes_on(room) is not None:
            return None
        words = line("upgrade.unsure", room=RoomName(before[0]), bot=Who(self._homeserver.user))
        return TellDesk(room=before[0], lines=(words,), once="upgrade-unsure")

    async def _goes_on(self, room: RoomId) -> GroupCode | None:
        """Return the code of the group that continues in this room, or None.

        Both the tombstone of the old room and the create event of the new one must say so. One alone is not believed:
        anybody could name a group and get what is known about it.
        """
        before = await self._database.fetch(queries.upgraded_to, room)
        created = await self._homeserver.state_event(room, "m.room.create") if before is not None else None
        predecessor = created.get("predecessor") if created is not None else None
        if before is None or not isinstance(predecessor, dict) or predecessor.get("room_id") != before[0]:
            return None
        return before[1]

    async def _announce(self, room: RoomId, txn: str) -> EventId:
        language = self._speech.language()
        content = self._speech.message(self._notice, language, {})
        notice = await self._homeserver.send(room, MESSAGE, content, f"{txn}.notice")
        try:
            await self._pin(room, notice)
        except Forbidden:
            log.info("pin_refused", room=room)  # the missing right is told to the managers later
        return notice

    async def _stay(self, room: RoomId) -> str:
        """Return what names this stay in a room, so that a notice of a former one is not taken for its own."""
        joined = await self._homeserver.whole_state_event(room, "m.room.member", self._homeserver.user)
        return str(joined.get("event_id", ""))[-10:]

    async def _pin(self, room: RoomId, notice: EventId) -> None:
        pinned = (await self._homeserver.state_event(room, PINNED) or {}).get("pinned")
        there = [event for event in pinned if isinstance(event, str)] if isinstance(pinned, list) else []
        if notice not in there:
            await self._homeserver.set_state(room, PINNED, {"pinned": [*there, notice]})


def recording_notice(content: str, retention_ms: int, prefix: str) -> tuple[Line, ...]:
    """Return the notice that tells members what is recorded: pinned, so short enough to be read."""
    what = Phrase(f"joining.kept.{content}")
    return (
        line("joining.hello"),
        line("joining.records", what=what, days=retention_ms // DAY_MS, check=Code(f"{prefix}key")),
        line("joining.readers"),
        line("joining.rules", rules=Code(f"{prefix}rules")),
        line("joining.help", help=Code(f"{prefix}help")),
    )
