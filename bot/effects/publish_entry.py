"""The writer of entries into our own policy lists.

Rules kept here:
- What was ordered last is written, so a repeat writes the same, and what comes late undoes nothing.
- An entry whose person was erased meanwhile is taken back.
- What the bot may not write is told to those who run the room once, and tried again for some days.

Left to others: who stands in a list, and what an entry says (`moderation/lists/publishing.py`).
"""

from bot.matrix.errors import Answered, LoggedOut
from bot.outbox.handler import ActionHandler, Done, Handlers, RetryLater, Services
from moderation.lists.publishing import USER_RULE, content
from moderation.model.actions.lists import PublishEntry
from moderation.model.actions.telling import TellDesk
from moderation.values.durations import HOUR_MS
from moderation.values.ids import server_of
from moderation.values.notices import Code, Line, line
from storage import queries
from storage.queries import PublishedEntry

_FIRST_MS, _LAST_MS, _TRIES = 60_000, 6 * HOUR_MS, 40


class EntryPublisher(ActionHandler):
    """The handler of `PublishEntry`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.handles: Handlers = {PublishEntry: self.handle}
        self._told: set[tuple[str, str]] = set()  # lists and steps that were told to be impossible, since the start

    async def handle(self, action: PublishEntry, _txn: str) -> Done:
        """Write the entry as it was ordered last, or empty it."""
        entry = await self._database.fetch(queries.published_entry, action.list, action.key)
        standing = entry if entry is not None and entry.step == "published" else None
        try:
            return Done(made=await self._write(action, standing))
        except LoggedOut:
            raise
        except Answered as error:
            await self._tell_once(action, "published" if standing else "withdrawn")
            why = f"the list {action.list} in {action.list_room} cannot be written: {error}"
            said = line("lists.own.given-up", list=action.list, room=Code(action.list_room), n=action.n)
            given_up = Done(result="abandoned", actions=(_told(action, said),))
            raise RetryLater(why, given_up, tries=_TRIES, first_ms=_FIRST_MS, last_ms=_LAST_MS) from error

    async def _write(self, action: PublishEntry, entry: PublishedEntry | None) -> str:
        if action.list_room not in await self._homeserver.joined_rooms():
            await self._homeserver.join(action.list_room, tuple(filter(None, (server_of(action.list_room),))))
        said = content(entry.subject, entry.list, entry.n, entry.word, hashed=bool(entry.hashed)) if entry else {}
        return await self._homeserver.set_state(action.list_room, USER_RULE, said, action.key)

    async def _tell_once(self, action: PublishEntry, step: str) -> None:
        if (action.list, step) not in self._told:
            self._told.add((action.list, step))
            room, bot = Code(action.list_room), Code(self._homeserver.user)
            said = line(f"lists.own.not-{step}", list=action.list, room=room, n=action.n, bot=bot)
            await self._pipeline.commit(actions=(_told(action, said),))


def _told(action: PublishEntry, said: Line) -> TellDesk:
    return TellDesk(room=action.room, lines=(said,))
