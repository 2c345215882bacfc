"""One request for all that a person wrote in a room, where it removes nothing but what is removed anyhow.

Rules kept here:
- It is used only if each message of the person that the room still shows is to be removed by a measure. So nothing
  harmless goes that no decision covers and no appeal brings back.
- It is used only for people who first came after the bot, in rooms whose history is open to it: it would remove what
  the room hides from the bot too.
- A homeserver that says so (MSC4194) is asked to redact everything. Else a ban says it (MSC4293), and whether the
  homeserver heeded that is looked at message by message.
- What is gone already is not redacted again.

Left to others: the record of each removal, which stays one a message (`redact_and_kick.py`), bans (`align_room.py`).
"""

from bot.crypto.encrypting_client import SealedHomeserver
from bot.matrix.client import REDACT_ALL
from bot.matrix.errors import Forbidden, HomeserverError, NotFound, Rejected
from moderation.model.actions.removal import Redact
from moderation.values.ids import EventId, RoomId, UserId
from storage import outbox, queries
from storage.database.database import Database

FEW = 3  # so many redactions are done one by one
_PAGES = 5  # of a hundred messages; of somebody who wrote more, nobody knows at once what they wrote
_OPEN = frozenset({"shared", "world_readable"})


class WholeRedactions:
    """Knows whom everything was redacted of, and whom it may be."""

    def __init__(self, homeserver: SealedHomeserver, database: Database) -> None:
        self._homeserver = homeserver
        self._database = database
        self._is_known: bool | None = None  # whether the homeserver has the request; None: not asked yet
        self._done: set[tuple[RoomId, UserId]] = set()

    async def covers(self, action: Redact, room: RoomId, reason: str | None) -> bool:
        """Return whether a message is gone with everything else of its sender, which is tried if it may be."""
        whose = (room, action.subject)
        if whose in self._done:
            if await self._is_gone(room, action.event):
                return True
            self._done.discard(whose)  # written since, or the homeserver did not heed the ban's word
        if not await self._knows_request() or not await self._redact_all(*whose, reason):
            return False
        return await self._is_gone(room, action.event)

    async def by_ban(self, room: RoomId, user: UserId) -> bool:
        """Return whether a ban may say that everything is to be redacted; it is then looked at as done.

        No doubt delays a ban.
        """
        try:
            may = await self._may(room, user, at_least=1)
        except HomeserverError:
            return False
        if may:
            self._done.add((room, user))
        return may

    async def _sees_all(self, room: RoomId) -> bool:
        found = await self._homeserver.state_event(room, "m.room.history_visibility") or {}
        return found.get("history_visibility", "shared") in _OPEN

    async def _knows_request(self) -> bool:
        if self._is_known is None:
            try:
                features = (await self._homeserver.versions()).get("unstable_features")
            except HomeserverError:
                return False
            self._is_known = isinstance(features, dict) and features.get(REDACT_ALL) is True
        return self._is_known

    async def _redact_all(self, room: RoomId, user: UserId, reason: str | None) -> bool:
        if not await self._may(room, user, at_least=FEW):
            return False
        try:
            while await self._homeserver.redact_all(room, user, reason):
                pass
        except (NotFound, Rejected):
            self._is_known = False  # it says that it knows this, and does not
            return False
        except Forbidden:
            return False
        self._done.add((room, user))
        return True

    async def _may(self, room: RoomId, user: UserId, at_least: int) -> bool:
        """Return whether everything that the room shows of somebody is to be removed, and enough of it waits."""
        async with self._database.read() as db:
            if await outbox.redactions_waiting(db, room, user) < at_least:
                return False
            if not await queries.came_after_us(db, room, user):
                return False
        if not await self._sees_all(room):
            return False
        start: str | None = None
        for _ in range(_PAGES):
            page = await self._homeserver.messages(room, from_token=start, direction="b", sender=user)
            shown = [str(event["event_id"]) for event in page.get("chunk", []) if _shows(event)]
            async with self._database.read() as db:
                if set(shown) - await queries.unwanted_events(db, shown):
                    return False
            start = page.get("end")
            if start is None:
                return True
        return False

    async def _is_gone(self, room: RoomId, event: EventId) -> bool:
        try:
            return _is_redacted(await self._homeserver.event(room, event))
        except NotFound:
            return True


def _shows(event: object) -> bool:
    """Return whether an event shows something that somebody wrote."""
    return isinstance(event, dict) and "state_key" not in event and not _is_redacted(event) and "event_id" in event


def _is_redacted(event: dict[str, object]) -> bool:
    unsigned = event.get("unsigned")
    return isinstance(unsigned, dict) and "redacted_because" in unsigned
