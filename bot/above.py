"""Tells those who stand above the managers of a room: the operators, and where asked the owners.

Rules kept here: each is told alone, once; where nobody is named in the configuration, it waits at the command line
(`answerable tasks`), which needs no word. Left to others: saying it (`notify.py`).
"""

from moderation.actions import Action, Tell, TellAbove
from moderation.policy import Policy
from storage import views
from storage.database import Database

from .act import Done
from .homeserver import Homeserver


class Above:
    """The handler of `TellAbove`."""

    def __init__(self, homeserver: Homeserver, database: Database, policy: Policy) -> None:
        self._homeserver = homeserver
        self._database = database
        self._policy = policy

    async def handle(self, action: Action, _txn: str) -> Done:
        """Make one word to each of one word to all."""
        assert isinstance(action, TellAbove)
        async with self._database.read() as db:
            room = await views.room_view(db, action.room, self._homeserver.user)
        people = dict.fromkeys(self._policy.operators)
        if action.owners and room is not None:
            people |= dict.fromkeys(sorted(room.power.owners()))
        tells = tuple(
            Tell(
                room=action.room,
                subject=user,  # type: ignore[arg-type]
                lines=action.lines,
                n=action.n,
                alone=True,
                first=action.first,
            )
            for user in people
            if user != self._homeserver.user
        )
        return Done(actions=tells)
