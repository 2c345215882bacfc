"""The answer to plain words in a direct room, with reactions to press under it."""

from bot.outbox.handler import ActionHandler, Done, Handlers, Services
from bot.texts.matrix_message import MESSAGE, in_reply
from moderation.model.actions.telling import Guide
from storage import queries


class Guider(ActionHandler):
    """The handler of `Guide`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.handles: Handlers = {Guide: self.guide}

    async def guide(self, action: Guide, txn: str) -> Done:
        """Say how to ask, and put the reactions under it."""
        language = self._speech.language(await self._database.fetch(queries.language_of, action.subject))
        content = self._speech.message(action.lines, language, {}, to=[action.subject], answer=True)
        made = await self._homeserver.send(action.room, MESSAGE, in_reply(content, action.reply_to), txn)
        for number, key in enumerate((Guide.WHY, Guide.APPEAL, Guide.DATA)):
            relation = {"rel_type": "m.annotation", "event_id": made, "key": key}
            await self._homeserver.send(action.room, "m.reaction", {"m.relates_to": relation}, f"{txn}.{number}")
        return Done(made=made)
