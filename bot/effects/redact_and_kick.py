"""The actions that take one request each: redact, take back, kick, lift a ban that was set by hand, invite back."""

from bot.matrix.errors import Forbidden, NotFound
from bot.outbox.handler import ActionHandler, Done, Handlers, RetryLater, Services
from bot.pipeline.known_event import known_event
from moderation.model.actions.removal import InviteBack, Kick, Redact, TakeBack, Unban
from moderation.values.ids import RoomId
from storage import queries

from .public_reasons import GroundShown, PublicReasons
from .redact_everything import WholeRedactions


class SimpleActs(ActionHandler):
    """The handlers of `Redact`, `TakeBack`, `Kick`, `Unban` and `InviteBack`."""

    def __init__(self, services: Services, reasons: PublicReasons, whole: WholeRedactions) -> None:
        super().__init__(services)
        self._whole = whole
        self._reasons = reasons
        self._records = services.pipeline.writer.journal
        self.handles: Handlers = {
            Redact: self.redact,
            TakeBack: self.take_back,
            Kick: self.kick,
            Unban: self.unban,
            InviteBack: self.invite_back,
        }

    async def redact(self, action: Redact, txn: str) -> Done:
        """Redact an event."""
        async with self._database.read() as db:
            seen = await known_event(db, action.event, self._records)
            language = await queries.room_language(db, action.room)
        where = RoomId(seen.room) if seen is not None else action.room  # it may be the room before an upgrade
        reason = self._reasons.of_message(action.rule, language)
        if await self._whole.covers(action, where, reason):
            return Done()  # no event of its own was made for it
        try:
            made = await self._homeserver.redact(where, action.event, txn, reason)
        except NotFound as error:  # it is gone already
            return Done(code=error.errcode or "-")
        return Done(made=made)

    async def take_back(self, action: TakeBack, txn: str) -> Done:
        """Redact a message of the bot; in a room that it has left, that cannot be done."""
        try:
            await self._homeserver.redact(action.room, action.event, txn)
        except NotFound as error:  # it is gone already
            return Done(code=error.errcode or "-")
        return Done()

    async def kick(self, action: Kick, _txn: str) -> Done:
        """Remove somebody from a room; nothing happens if they have left already."""
        language = await self._database.fetch(queries.room_language, action.room)
        reason = self._reasons.of_person(GroundShown(action.n, action.rule, action.by), language)
        try:
            await self._homeserver.kick(action.room, action.subject, reason)
        except Forbidden:
            if await self._membership(action.room, action.subject) not in ("leave", "ban"):
                raise
        return Done()

    async def unban(self, action: Unban, _txn: str) -> Done:
        """Lift a ban."""
        await self._homeserver.unban(action.room, action.subject)
        return Done()

    async def invite_back(self, action: InviteBack, _txn: str) -> Done:
        """Invite a person back who was removed because of a case that is reversed: they need not ask for it."""
        removed = await self._database.fetch(queries.was_removed, action.n, action.subject, action.room)
        membership = await self._membership(action.room, action.subject) if removed else None
        if membership == "ban":
            raise RetryLater("the ban is not lifted yet", tries=8, first_ms=100, last_ms=10_000)
        if membership == "invite":  # by this very request, before a crash
            return Done()
        if membership != "leave":
            return Done(result="abandoned")
        await self._homeserver.invite(action.room, action.subject)
        return Done()
