"""Tells a group and its desk what the bot can do there, and tells them again when that changes.

Rules kept here:
- A change is said at once, in a message of its own.
- The message of when the bot came is edited, so that it never says what is no longer so.
- When the group chooses another language, what stands is said again in it: that message, the name of the desk, and the
  notice of what is recorded.
"""

from contextlib import suppress

from bot.bot_rooms.shared_desks import desk_names, must_show, rooms_of
from bot.matrix.errors import Forbidden
from bot.outbox.handler import ActionHandler, Done, Handlers, Services
from bot.texts.matrix_message import MESSAGE, replacing
from bot.texts.names import names_in
from bot.texts.power_lines import power_lines
from moderation.model.actions.telling import Retell, ShowPower
from moderation.model.context import RoomView
from moderation.rooms.desks import DeskView
from moderation.values.events import Json
from moderation.values.notices import Code, Line, RoomName, line
from storage import queries


class PowerTeller(ActionHandler):
    """The handlers of `ShowPower` and `Retell`."""

    def __init__(self, services: Services, vkey: str, notice: tuple[Line, ...]) -> None:
        super().__init__(services)
        self._vkey = vkey
        self._notice = notice
        self.handles: Handlers = {ShowPower: self.show, Retell: self.retell}

    async def show(self, action: ShowPower, txn: str) -> Done:
        """Say what the bot can do; or what has changed, and edit what was said before."""
        async with self._database.read() as db:
            group = await queries.room_view(db, action.room, self._homeserver.user)
            used = await queries.desk_used_by(db, action.room, self._homeserver.user)
            said = await queries.introduction(db, action.room)
        if group is None or not group.active:
            return Done(result="abandoned")
        desk = must_show(used, group.room)
        whole = await self._message(group, await self._whole(group, desk))
        if not action.changed:
            return Done(made=await self._homeserver.send(desk.room, MESSAGE, whole, txn))
        if said is not None:
            await self._homeserver.send(desk.room, MESSAGE, replacing(whole, said), f"{txn}.edit")
        changed = (*_about(group, desk), *action.changed)
        await self._homeserver.send(desk.room, MESSAGE, await self._message(group, changed), txn)
        return Done()

    async def retell(self, action: Retell, txn: str) -> Done:
        """Say again what stands in the desk and is pinned in the group; a notice that may not be edited stays."""
        async with self._database.read() as db:
            group = await queries.room_view(db, action.room, self._homeserver.user)
            desk = await queries.desk_used_by(db, action.room, self._homeserver.user)
            said = await queries.introduction(db, action.room)
            named = await rooms_of(db, desk, self._homeserver.user) if desk else []
        if group is None or not group.active:
            return Done(result="abandoned")
        if group.notice is not None:
            notice = replacing(await self._message(group, self._notice), group.notice)
            with suppress(Forbidden):
                await self._homeserver.send(group.room, MESSAGE, notice, f"{txn}.notice")
        if desk is None:
            return Done()
        name, topic = desk_names(self._speech, *named)
        await self._homeserver.set_state(desk.room, "m.room.name", {"name": name})
        await self._homeserver.set_state(desk.room, "m.room.topic", {"topic": topic})
        if said is not None:
            whole = await self._message(group, await self._whole(group, must_show(desk, group.room)))
            await self._homeserver.send(desk.room, MESSAGE, replacing(whole, said), txn)
        return Done()

    async def _whole(self, group: RoomView, desk: DeskView) -> tuple[Line, ...]:
        """Return what stands in the desk about a group; of the desk itself it is said once, with the first group."""
        lines = list(_about(group, desk))
        if desk.users[0].room == group.room:
            lines += [line("joining.desk"), line("joining.vkey", vkey=Code(self._vkey))]
        about = power_lines(group.power, self._homeserver.user)
        unread = self._homeserver.machine is None and await self._homeserver.is_encrypted(group.room)
        lines += [*about, *([line("joining.encrypted")] if unread else [])]
        return (*lines, *((line("joining.all-well"),) if not about and not unread else ()))

    async def _message(self, group: RoomView, lines: tuple[Line, ...]) -> dict[str, Json]:
        language = self._speech.language(group.language)
        names = await self._database.fetch(names_in, lines, language, group.room)
        return self._speech.message(lines, language, names)


def _about(group: RoomView, desk: DeskView) -> tuple[Line, ...]:
    """Name the group, if the desk is that of others too."""
    return (line("desk.about", room=RoomName(group.room)),) if desk.is_shared else ()
