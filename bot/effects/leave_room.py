"""The bot's leaving of a group: it gives back the levels that it changed, says goodbye and goes.

Rules kept here:
- Nobody stays muted by a bot that is gone: all levels, the join rule and the server ACL that it changed are given
  back. Bans stay, since an owner can lift them.
- The pinned notice no longer says that the room is recorded.
- Nothing is said of the room in a shared desk while somebody there has no right in it.
- Every step can be repeated: after a crash in the middle the steps that are left are done.

Left to others: who may ask for it (`bot/commands/leave.py`, `bot/admin/rooms.py`), recording that the bot has left, by
its own membership (`bot/pipeline/room_changes.py`).
"""

from collections.abc import Sequence

from bot.matrix.errors import Forbidden
from bot.outbox.handler import ActionHandler, Done, Handlers, Services
from bot.texts.matrix_message import MESSAGE, replacing
from moderation.model.actions.rooms import Leave
from moderation.model.actions.telling import Tell
from moderation.model.context import RoomView
from moderation.rooms.desks import DeskView, may_show
from moderation.values.events import Json
from moderation.values.ids import RoomId
from moderation.values.notices import Line, RoomName, Who, line
from storage import queries

from .align_room import Reconciler
from .policy_state import PolicyStates
from .server_acl import ServerAcls


class Leaver(ActionHandler):
    """The handler of `Leave`."""

    def __init__(self, services: Services, reconciler: Reconciler, servers: ServerAcls, policies: PolicyStates) -> None:
        super().__init__(services)
        self._reconciler, self._servers, self._policies = reconciler, servers, policies
        self.handles: Handlers = {Leave: self.leave}

    async def leave(self, action: Leave, txn: str) -> Done:
        """Leave the group, then its desk, unless other groups use that too."""
        async with self._database.read() as db:
            group = await queries.room_view(db, action.room, self._homeserver.user)
            desk = await queries.desk_used_by(db, action.room, self._homeserver.user)
            cases = (await queries.room_numbers(db, action.room)).open_cases
            names = await queries.room_names(db, (action.room,))
        if group is None:
            return Done(result="abandoned")
        joined = await self._homeserver.joined_rooms()
        if action.room in joined:
            await self._pipeline.commit(await self._policies.give_back(action.room))
            await self._pipeline.commit(await self._reconciler.give_back(action.room))
            await self._pipeline.commit(await self._servers.give_back(action.room))
            await self._say_goodbye(group, action, txn)
            await self._homeserver.leave(action.room)
        if desk is None or desk.room not in joined:
            return Done()
        stays = any(staff.room != action.room for staff in desk.users)
        key = "leave.shared-desk" if stays else "leave.desk"
        said, alone = line(key, room=RoomName(action.room), who=Who(action.subject), count=cases), tuple[Tell, ...]()
        if may_show(desk, action.room):
            await self._homeserver.send(desk.room, MESSAGE, self._message(group, (said,), names), f"{txn}.desk")
        else:
            alone = _each_alone(desk, action.room, said)
        if not stays:
            await self._homeserver.leave(desk.room)
        return Done(actions=alone)

    async def _say_goodbye(self, group: RoomView, action: Leave, txn: str) -> None:
        """Say goodbye and replace the notice; a room in which the bot may not write is left without a word."""
        words = (line("leave.goodbye", who=Who(action.subject)), line("leave.yours"))
        try:
            await self._homeserver.send(group.room, MESSAGE, self._message(group, words), f"{txn}.goodbye")
            if group.notice is not None:
                notice = replacing(self._message(group, (line("leave.notice"),)), group.notice)
                await self._homeserver.send(group.room, MESSAGE, notice, f"{txn}.notice")
        except Forbidden:
            return

    def _message(self, group: RoomView, lines: Sequence[Line], names: dict[str, str] | None = None) -> dict[str, Json]:
        return self._speech.message(lines, self._speech.language(group.language), names or {})


def _each_alone(desk: DeskView, room: RoomId, said: Line) -> tuple[Tell, ...]:
    """Tell those in the desk alone who run the room: others there may know nothing of it."""
    [staff] = [each for each in (*desk.users, *desk.former) if each.room == room]
    there = sorted(desk.joined & staff.people)
    return tuple(Tell(room=room, subject=user, lines=(said,), alone=True) for user in there)
