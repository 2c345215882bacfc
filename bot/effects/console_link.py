"""Links to the web console, given in a person's direct room.

Rules kept here:
- What the link ends in stands in the message alone; its SHA-256 is recorded before the message is sent.
- A link that is sent again after a failure is a new one.
- It goes only to a direct room in which the person still is.
"""

from bot.outbox.handler import ActionHandler, Done, Handlers, Services
from bot.runtime.tokens import hashed, new_token
from bot.texts.matrix_message import MESSAGE
from moderation.model.actions.telling import GiveConsoleLink
from moderation.model.facts import ConsoleLinkGiven
from moderation.values.durations import MS_PER
from moderation.values.notices import Link, Moment, line
from storage import queries

LINK_MS = 5 * MS_PER["m"]  # for which it works


class ConsoleLinks(ActionHandler):
    """The handler of `GiveConsoleLink`. `address`: the console's, as browsers reach it."""

    def __init__(self, services: Services, address: str | None) -> None:
        super().__init__(services)
        self._address = address
        self.handles: Handlers = {GiveConsoleLink: self.give}

    async def give(self, action: GiveConsoleLink, txn: str) -> Done:
        """Record a new link, and send it."""
        now_ms = self._clock()
        async with self._database.read() as db:
            is_there = await queries.are_alone(db, action.room, action.subject, self._homeserver.user)
            language = self._speech.language(await queries.language_of(db, action.subject))
        if self._address is None or not is_there or now_ms > action.until or await self._has_company(action):
            return Done(result="abandoned")
        ticket, until = new_token(), now_ms + LINK_MS
        given = ConsoleLinkGiven(
            room=action.room, on=action.on, until=until, subject=action.subject, ticket=hashed(ticket)
        )
        await self._pipeline.commit((given,))
        lines = (line("console.link", link=Link(f"{self._address}/enter/{ticket}"), until=Moment(until)),)
        content = self._speech.message(lines, language, {}, to=[action.subject], answer=True)
        return Done(made=await self._homeserver.send(action.room, MESSAGE, content, txn))

    async def _has_company(self, action: GiveConsoleLink) -> bool:
        """Ask the homeserver whether anybody else could read the message."""
        there = await self._homeserver.members(action.room)
        reads = {
            raw.get("state_key") for raw in there if raw.get("content", {}).get("membership") in ("join", "invite")
        }
        return reads != {self._homeserver.user, action.subject}
