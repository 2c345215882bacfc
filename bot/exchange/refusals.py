"""What operators are told of messages that are refused.

Rules kept here:
- Each is told once, and of one log only so many in an hour; then one line says that there are more.
- What was told is remembered of so many messages of a log: a shard without end of wrong ones takes no memory without
  end.

Left to others: why a message is refused (`checking.py`).
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from moderation.model.actions.base import NO_ROOM
from moderation.model.actions.telling import TellAbove
from moderation.values.notices import Code, Line, line

from .allowance import HOUR_S
from .checking import NotProved
from .port import Message

log = structlog.get_logger()

MOST_TOLD = 10  # of one log in an hour
MOST_REMEMBERED = 1_000  # of one log


def tell(said: Line) -> TellAbove:
    """Return what tells operators something about another log."""
    return TellAbove(room=NO_ROOM, lines=(said,))


@dataclass(slots=True)
class _OfLog:
    began_s: float
    count: int = 0
    told: deque[tuple[str, int, str]] = field(default_factory=lambda: deque(maxlen=MOST_REMEMBERED))


class Refusals:
    """What was told of each log."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        """Set up; `now_s` is a clock that never goes back."""
        self._now_s = now_s
        self._logs: dict[str, _OfLog] = {}

    def note(self, message: Message, refused: NotProved) -> Sequence[TellAbove]:
        """Return what is to be told of a refused message: nothing if it was told before, or enough was."""
        now, what = self._now_s(), (message.era, message.index, refused.code)
        known = self._logs.setdefault(message.origin, _OfLog(now))
        if now - known.began_s >= HOUR_S:
            known.began_s, known.count = now, 0
        if what in known.told or known.count > MOST_TOLD:
            return ()
        known.count += 1
        if known.count > MOST_TOLD:
            log.error("exchange_refused_many", origin=message.origin, told=MOST_TOLD)
            return (tell(line("shards.refused-many", origin=Code(message.origin), n=message.index)),)
        known.told.append(what)
        log.error("exchange_refused", origin=message.origin, index=message.index, why=refused.code)
        return (tell(line(f"shards.refused-{refused.code}", origin=Code(message.origin), n=message.index)),)
