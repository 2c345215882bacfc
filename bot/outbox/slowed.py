"""The waits that the homeserver's rate limit orders: logged, told in the desks that wait, and kept for the next start.

Rules kept here:
- A wait is logged once, however many requests were refused in it.
- A desk is told once an hour at most, and only if a card or a removal waits for longer than `LONG_MS`.
- That the homeserver limits the bot is kept once; `answerable check` reports it.

Left to others: the order of what waits (`selection.py`), the waiting (`dispatcher.py`).
"""

from collections.abc import Callable, Sequence

import structlog

from bot.matrix.rate_limit import Limit
from moderation.model.actions.cards import PostCard
from moderation.model.actions.removal import Kick, Redact, Sweep
from moderation.model.actions.telling import TellDesk
from moderation.values.ids import RoomId
from moderation.values.notices import line
from storage.outbox import OutboxRow

log = structlog.get_logger()

LONG_MS = 20_000
AGAIN_MS = 3_600_000
_SAME_MS = 500  # answers that come in turn name the same moment, more or less


class Slowed:
    """Tells of the waits. `known`: that there is a limit was known before; `found` is called when it is first met."""

    def __init__(self, *, known: bool = False, found: Callable[[], None] = lambda: None) -> None:
        self.known = known
        self._found = found
        self._until = 0
        self._told: dict[RoomId, int] = {}  # the time at which a room's managers were told

    def learn(self, limit: Limit) -> None:
        """Note what was found out about the limit by other means than a refusal."""
        self.known = limit == "limited"

    def refused(self, waiting: Sequence[OutboxRow], wait_ms: int, now: int) -> tuple[TellDesk, ...]:
        """Note a refusal. Returns what the desks are to be told."""
        if now + wait_ms > self._until + _SAME_MS:
            self._until = now + wait_ms
            log.warning("rate_limited", wait_s=round(wait_ms / 1000, 1))
        if not self.known:
            self.known = True
            self._found()
        late = [row for row in waiting if now - row.queued >= LONG_MS]
        rooms = dict.fromkeys(
            row.action.room for row in late if isinstance(row.action, Redact | Sweep | Kick | PostCard)
        )
        return tuple(self._tell(room, now) for room in rooms if now - self._told.get(room, -AGAIN_MS) >= AGAIN_MS)

    def _tell(self, room: RoomId, now: int) -> TellDesk:
        self._told[room] = now
        return TellDesk(room=room, lines=(line("desk.slowed"),), once="slowed")
