"""The writer of entries into our own policy lists.

Rules kept here:
- What was ordered last is written, so a repeat writes the same, and what comes late undoes nothing.
- An entry whose person was erased is taken back.
- What the bot may not write is told to those who run the room once, and tried again for some days.

Left to others: who stands in a list, and what an entry says (`moderation/lists/publishing.py`).
"""

from bot.matrix.errors import Answered, LoggedOut
from bot.outbox.handler import ActionHandler, Done, Handlers, RetryLater, Services
from moderation.lists.publishing import USER_RULE, content
from moderation.model.actions import PublishEntry, TellDesk
from moderation.values.durations import HOUR_MS
from moderation.values.ids import server_of
from moderation.values.notices import Code, line
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
        async with self._database.read() as db:
            entry = await queries.published_entry(db, action.list, action.key)
        if entry is None:
            return Done(result="abandoned")
        try:
            return Done(made=await self._write(entry))
        except LoggedOut:
            raise
        except Answered as error:
            await self._tell_once(action, entry)
            why = f"the list {entry.list} in {entry.list_room} cannot be written: {error}"
            raise RetryLater(why, tries=_TRIES, first_ms=_FIRST_MS, last_ms=_LAST_MS) from error

    async def _write(self, entry: PublishedEntry) -> str:
        if entry.list_room not in await self._homeserver.joined_rooms():
            await self._homeserver.join(entry.list_room, tuple(filter(None, (server_of(entry.list_room),))))
        return await self._homeserver.set_state(entry.list_room, USER_RULE, _content(entry), entry.key)

    async def _tell_once(self, action: PublishEntry, entry: PublishedEntry) -> None:
        if (entry.list, entry.step) not in self._told:
            self._told.add((entry.list, entry.step))
            room = Code(entry.list_room)
            said = line(
                f"lists.own.not-{entry.step}", list=entry.list, room=room, n=entry.n, bot=Code(self._homeserver.user)
            )
            await self._pipeline.commit(actions=(TellDesk(room=action.room, lines=(said,)),))


def _content(entry: PublishedEntry) -> dict[str, object]:
    if entry.step == "withdrawn" or not entry.subject:
        return {}
    return {**content(entry.subject, entry.list, entry.n, entry.word, hashed=bool(entry.hashed))}
