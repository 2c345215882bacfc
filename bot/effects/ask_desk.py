"""Questions to the managers in the desk, with the answers as reactions under them.

Left to others: which answers there are, and what they bring (`bot/commands/questions.py`).
"""

from bot.bot_rooms.shared_desks import must_show
from bot.outbox.handler import ActionHandler, Done, Handlers, Services
from bot.pipeline.returned_cards import asked, with_question_mark
from bot.texts.matrix_message import MESSAGE, in_reply
from bot.texts.names import names_in
from moderation.model.actions.cards import AskDesk
from storage import queries


class Asker(ActionHandler):
    """The handler of `AskDesk`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.handles: Handlers = {AskDesk: self.handle}

    async def handle(self, action: AskDesk, txn: str) -> Done:
        """Ask, note by which event, and put the answers under it."""
        async with self._database.read() as db:
            group = await queries.room_view(db, action.room, self._homeserver.user)
            view = await queries.desk_used_by(db, action.room, self._homeserver.user)
            language = self._speech.language(group.language if group else "")
            names = await names_in(db, action.lines, language, action.room)
        desk = must_show(view, action.room).room
        content = self._speech.message(action.lines, language, names, to=[action.to], answer=True)
        content = with_question_mark(in_reply(content, action.reply_to, action.thread), txn)
        made = await self._homeserver.send(desk, MESSAGE, content, txn)
        return Done(*asked(action, made), made=made)
