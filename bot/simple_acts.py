"""The acts that are one request each: redact, kick, lift a ban that was set by hand."""

from moderation.actions import Action, Kick, Redact, Unban

from .act import Done
from .homeserver import Homeserver
from .homeserver_errors import Forbidden, NotFound


class SimpleActs:
    """The handlers of `Redact`, `Kick` and `Unban`."""

    def __init__(self, homeserver: Homeserver) -> None:
        self._homeserver = homeserver

    async def redact(self, action: Action, txn: str) -> Done:
        """Take an event's content away. The reason shown in the room is the rule's name, never a person's words."""
        assert isinstance(action, Redact)
        reason = action.rule if action.rule != "-" else None
        try:
            made = await self._homeserver.redact(action.room, action.event, txn, reason)
        except NotFound as error:  # it is gone already
            return Done(code=error.errcode or "-")
        return Done(made=made)

    async def kick(self, action: Action, _txn: str) -> Done:
        """Remove somebody; who has left already is left alone."""
        assert isinstance(action, Kick)
        try:
            await self._homeserver.kick(action.room, action.subject, action.reason or None)
        except Forbidden:
            there = await self._homeserver.state_event(action.room, "m.room.member", action.subject)
            if there is not None and there.get("membership") in ("leave", "ban"):
                return Done()
            raise
        return Done()

    async def unban(self, action: Action, _txn: str) -> Done:
        """Lift a ban."""
        assert isinstance(action, Unban)
        await self._homeserver.unban(action.room, action.subject)
        return Done()
