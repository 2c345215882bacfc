"""What the bot can do in a group, said in its desk: when it comes, and whenever that changes.

Rules kept here:
- A change is said at once, in a message of its own.
- The message of when the bot came is edited, so that it never says what is no longer so.
"""

from bot.outbox.handler import ActionHandler, Done, Handlers, RetryLater, Services
from bot.texts.matrix_message import MESSAGE, replacing
from bot.texts.names import names_in
from bot.texts.power_lines import power_lines
from moderation.model.actions import ShowPower
from moderation.model.context import RoomView
from moderation.values.events import Json
from moderation.values.notices import Code, Line, line
from storage import queries


class PowerTeller(ActionHandler):
    """The handler of `ShowPower`."""

    def __init__(self, services: Services, vkey: str) -> None:
        super().__init__(services)
        self._vkey = vkey
        self.handles: Handlers = {ShowPower: self.show}

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
