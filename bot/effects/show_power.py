"""What the bot says of itself in a group and its desk: what it can do there, again whenever that changes.

Rules kept here:
- A change is said at once, in a message of its own.
- The message of when the bot came is edited, so that it never says what is no longer so.
- When the group chooses another language, what stands is said again in it: that message, the name of the desk, and the
  notice of what is recorded.
"""

from contextlib import suppress

from bot.matrix.errors import Forbidden
from bot.outbox.handler import ActionHandler, Done, Handlers, RetryLater, Services
from bot.texts.matrix_message import MESSAGE, replacing
from bot.texts.names import names_in
from bot.texts.power_lines import power_lines
from moderation.model.actions import Retell, ShowPower
from moderation.model.context import RoomView
from moderation.values.events import Json
from moderation.values.notices import Code, Line, line
from storage import queries

from .desk import desk_names


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
            desk = await queries.desk_of(db, group.code) if group else None
            said = await queries.introduction(db, action.room)
        if group is None or not group.active:
            return Done(result="abandoned")
        if desk is None:
            raise RetryLater("there is no desk yet", tries=10, first_ms=500, last_ms=60_000)
        whole = await self._message(group, await self._whole(group))
        if not action.changed:
            return Done(made=await self._homeserver.send(desk, MESSAGE, whole, txn))
        if said is not None:
            await self._homeserver.send(desk, MESSAGE, replacing(whole, said), f"{txn}.edit")
        await self._homeserver.send(desk, MESSAGE, await self._message(group, action.changed), txn)
        return Done()

    async def retell(self, action: Retell, txn: str) -> Done:
        """Say again what stands in the desk and is pinned in the group; a notice that may not be edited stays."""
        async with self._database.read() as db:
            group = await queries.room_view(db, action.room, self._homeserver.user)
            desk = await queries.desk_of(db, group.code) if group else None
            said = await queries.introduction(db, action.room)
        if group is None or not group.active:
            return Done(result="abandoned")
        if group.notice is not None:
            notice = replacing(await self._message(group, self._notice), group.notice)
            with suppress(Forbidden):
                await self._homeserver.send(group.room, MESSAGE, notice, f"{txn}.notice")
        if desk is None:
            return Done()
        name, topic = desk_names(self._speech, group)
        await self._homeserver.set_state(desk, "m.room.name", {"name": name})
        await self._homeserver.set_state(desk, "m.room.topic", {"topic": topic})
        if said is not None:
            whole = await self._message(group, await self._whole(group))
            await self._homeserver.send(desk, MESSAGE, replacing(whole, said), txn)
        return Done()

    async def _whole(self, group: RoomView) -> tuple[Line, ...]:
        lines = [line("joining.desk"), line("joining.vkey", vkey=Code(self._vkey))]
        about = power_lines(group.power, self._homeserver.user)
        unread = self._homeserver.machine is None and await self._homeserver.is_encrypted(group.room)
        lines += [*about, *([line("joining.encrypted")] if unread else [])]
        return (*lines, *((line("joining.all-well"),) if not about and not unread else ()))

    async def _message(self, group: RoomView, lines: tuple[Line, ...]) -> dict[str, Json]:
        language = self._speech.language(group.language)
        async with self._database.read() as db:
            names = await names_in(db, lines, language, group.room)
        return self._speech.message(lines, language, names)
