"""Background work of verification: link requests that lapsed, claims that follow their person, keys that changed.

Rules kept here:
- Nothing here blocks other work, nor waits for it.
- If the homeserver cannot be reached, it is asked again.
Left to others: what is done (`account_linking.py`, `pinned_keys.py`).
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from bot.matrix.errors import HomeserverError, LoggedOut
from bot.outbox.handler import Done, Handler, Handlers, Handles, Services
from moderation.model.actions.base import Action
from moderation.values.ids import UserId
from storage.identity.store import IdentityStore

from .account_linking import Linking
from .pinned_keys import PinnedKeys

log = structlog.get_logger()

LOOK_AGAIN_S = 60.0


class VerificationUpkeep:
    """Runs the background work of verification."""

    def __init__(self, services: Services, store: IdentityStore) -> None:
        self.linking = Linking(services, store)
        self._pinned = PinnedKeys(services) if services.policy.verification.pin_keys else None
        self._awake = services.pipeline.wake.verification

    def lists_changed(self, users: Iterable[UserId]) -> None:
        """Look again at the keys of these users, whose devices have changed according to the homeserver."""
        if self._pinned is not None and self._pinned.lists_changed(users):
            self._awake.set()

    def looked_at(self, dialogue: Handles) -> Handles:
        """Return `dialogue`, with a look at the key of each person who asks something of it."""
        return _LookedAt({cls: self._looking(handler) for cls, handler in dialogue.handles.items()})

    def _looking(self, handler: Handler) -> Handler:
        async def handle(action: Action, txn: str) -> Done:
            self.lists_changed([UserId(str(getattr(action, "subject", "")))])
            return await handler(action, txn)

        return handle

    async def run(self) -> None:
        """Look, sleep, repeat, until cancelled."""
        while True:
            self._awake.clear()
            await self._look()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._awake.wait()

    async def _look(self) -> None:
        await self.linking.look()
        if self._pinned is None:
            return
        try:
            await self._pinned.look()
        except LoggedOut:
            raise
        except HomeserverError as error:
            log.info("keys_not_looked_at", why=str(error))


@dataclass(frozen=True, slots=True)
class _LookedAt:
    handles: Handlers
