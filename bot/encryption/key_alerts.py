"""Tells people when the bot's keys were lost, locked, or replaced by somebody else.

Rules kept here:
- Each alert is sent once, to the operators and to the desk of each encrypted group.
- It is sent as soon as people can read it. Nobody can read what a device with lost keys writes, so the next device
  reports the loss; until then the log, `answerable keys` and `answerable check` show it.
Left to others: examining the keys (`service.py`), repairing them (`bot/admin/keys.py`).
"""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.crypto.cross_signing import KeyStanding, KeyState
from bot.matrix.errors import Answered, LoggedOut
from bot.outbox.handler import BotPart, Services
from moderation.model.actions.base import Action
from moderation.model.actions.telling import Tell, TellDesk
from moderation.policy import Policy
from moderation.values.ids import RoomId, UserId
from moderation.values.notices import Line, Moment, Phrase, line
from storage import queries
from storage.projections import set_meta

from .late_events import UnreadQueue

_STOOD, _LOST = "keys_stood", "keys_lost_ms"  # the device and its state; the time since when it is useless
Stood = Callable[[KeyStanding], Awaitable[None]]
_TROUBLE = (KeyState.LOCKED, KeyState.REPLACED)


class KeysWatch(BotPart):
    """Called with the state of the keys, at the start and whenever it may have changed.

    Once they are in order again, more may be readable: everything `unread` is asked for.
    """

    def __init__(self, services: Services, unread: UnreadQueue) -> None:
        super().__init__(services)
        self._unread = unread

    async def __call__(self, standing: KeyStanding) -> None:
        """Store the state of the keys, and tell the operators and desks about trouble."""
        device, now = self._homeserver.session.device, self._clock()
        stood_before, lost_ms = await self._database.fetch(queries.get_metas, _STOOD, _LOST)
        before, _, state = (stood_before or "").partition(" ")
        lost = int(lost_ms or 0)
        if standing.state is KeyState.LOST:
            await self._note(_LOST, str(lost or now))
            return
        lines: list[Line] = []
        if before and (lost or before != device):
            lines.append(line("desk.keys.new-device", since=Moment(lost or now)))
        if standing.state in _TROUBLE and (before, state) != (device, standing.state.value):
            lines.append(line("desk.keys.state", state=Phrase(f"crypto.state.{standing.state.value}")))
        stood = f"{device} {standing.state.value}"
        if lines or stood != f"{before} {state}":
            await self._tell(tuple(lines), stood)
        if before and standing.state is KeyState.READY and stood != f"{before} {state}":
            self._unread.add_all()

    async def _note(self, name: str, value: str) -> None:
        async def note(db: AsyncConnection) -> None:
            await set_meta(db, name, value)

        await self._pipeline.commit(also=note)

    async def _tell(self, lines: tuple[Line, ...], stood: str) -> None:
        actions: list[Action] = []
        if lines:
            groups = await self._database.fetch(queries.active_groups)
            actions += [TellDesk(room=group, lines=lines) for group in await self._encrypted(groups)]
            actions += to_operators(self._policy, groups, lines)

        async def note(db: AsyncConnection) -> None:
            await set_meta(db, _STOOD, stood)
            await set_meta(db, _LOST, "0")

        await self._pipeline.commit(actions=actions, also=note)

    async def _encrypted(self, groups: Sequence[RoomId]) -> list[RoomId]:
        found = []
        for group in groups:
            try:
                if await self._homeserver.is_encrypted(group):
                    found.append(group)
            except LoggedOut:
                raise
            except Answered:
                continue  # a room that the bot has left
        return found


def to_operators(policy: Policy, groups: Sequence[RoomId], lines: tuple[Line, ...]) -> list[Action]:
    """Return a message to each operator alone. It names a group, as every action must, but is not sent there."""
    if not groups:
        return []
    return [Tell(room=groups[0], subject=UserId(each), lines=lines, alone=True) for each in policy.operators]
