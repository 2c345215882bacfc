"""Direct rooms: where the bot and one person speak alone.

Rules kept here:
- Each person has one, even if several callers need it at the same moment, since all ask the same `DirectRooms`.
- It is made when it is first needed, with the name and the picture of the bot's account. A person who has left it is
  invited again.
- It is encrypted if a group that the person is or was in is encrypted: a ban is explained after it holds, by words of
  that group.
- The bot leaves one to which others are invited.
- If a person accepts no invitation, that is an error (`Forbidden`), not silence: the caller decides what to do then.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from weakref import WeakValueDictionary

from bot.matrix.errors import Forbidden, NotFound
from bot.outbox.handler import ActionHandler, Done, Handlers, Services
from moderation.model.actions.rooms import LeaveDirect
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import line
from storage import queries

from .create import RoomPurpose, body, take_up

MESSAGE = "m.room.message"


class DirectRooms(ActionHandler):
    """The direct rooms, found or made."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.handles: Handlers = {LeaveDirect: self.leave}
        self._turns: WeakValueDictionary[UserId, asyncio.Lock] = WeakValueDictionary()

    async def with_(self, user: UserId, language: str) -> RoomId:
        """Return the direct room with a person. Raises `Forbidden` if they cannot be invited."""
        async with self._turns.setdefault(user, asyncio.Lock()):
            return await self._with(user, language)

    async def _with(self, user: UserId, language: str) -> RoomId:
        async with self._database.read() as db:
            room = await queries.direct_room(db, user)
            here = room and (await queries.memberships(db, room)).get(user)
            groups = await queries.groups_of(db, user)
        secret = await self._is_secret(groups)
        if room and here in ("leave", "ban"):
            await self._homeserver.invite(room, user)
        elif room and here is None:  # a homeserver that cannot reach theirs makes the room, and invites nobody
            await self._invite_unless_there(room, user)
        if room and secret:
            await self._homeserver.encrypt_room(room)
        if room:
            return room
        made = RoomPurpose("direct", user=user)
        name, picture = await self._as_known(language)
        topic = self._speech.text((line("direct.topic"),), language, {}).plain
        asked = body(made, name=name, topic=topic, invite=[user], encrypted=secret, picture=picture)
        room = await self._homeserver.create_room(asked)
        await take_up(self._pipeline, made, room)
        return room

    async def _as_known(self, language: str) -> tuple[str, str]:
        """Return the name and the picture of the bot's account, else the name of the program and no picture."""
        try:
            known = await self._homeserver.profile()
        except (Forbidden, NotFound):
            known = {}
        name, picture = known.get("displayname"), known.get("avatar_url")
        own = isinstance(name, str) and name and name != self._homeserver.user[1:].partition(":")[0]
        named = str(name) if own else self._speech.text((line("direct.name"),), language, {}).plain
        return named, picture if isinstance(picture, str) else ""

    async def leave(self, action: LeaveDirect, txn: str) -> Done:
        """Say why, and leave: what is told to one person is not meant for people they bring."""
        language = self._speech.language(await self._database.fetch(queries.language_of, action.subject))
        with suppress(Forbidden):  # it was removed already
            words = self._speech.message((line("direct.company"),), language, {}, answer=True)
            await self._homeserver.send(action.room, MESSAGE, words, txn)
            await self._homeserver.leave(action.room)
        return Done()

    async def _is_secret(self, groups: Sequence[RoomId]) -> bool:
        for group in groups:
            if await self._homeserver.is_encrypted(group):
                return True
        return False
