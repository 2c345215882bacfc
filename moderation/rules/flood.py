"""Too many messages in a short time.

Rules kept here:
- Only the times in `View` count, this event's among them, so what was said at leisure while the bot was away is no
  flood when it is read.
- Edits, reactions, joins and new names count like messages, unless a rule says otherwise.
- The first join or new name is free, since everybody comes in once.

Left to others: keeping those times, and making one incident of the hits that follow each other
(`moderation/judge/judge.py`).
"""

from bisect import bisect_right
from typing import ClassVar, Literal

from pydantic import Field

from moderation.values.durations import Duration
from moderation.values.events import MembershipChanged, MessagePosted, ReactionGiven

from .base import InChat, RuleBase, StrictSettings
from .check import Hit, Judged, View


class FloodSettings(StrictSettings):
    """Settings of a flood rule: more than `messages` within `within` breaks it."""

    messages: int = Field(default=10, ge=1, le=1000, description="so many messages by one person are fine")
    within: Duration = Field(default=10_000, description="in this time", examples=["10s"])
    of: tuple[Literal["messages", "edits", "reactions", "joins"], ...] = Field(
        default=("messages", "edits", "reactions", "joins"),
        min_length=1,
        description="what is counted; joins are new names, too",
    )


class Flood:
    """Counter of one sender's messages in one room."""

    def __init__(self, settings: FloodSettings) -> None:  # a message counts wherever its text stands
        self._settings = settings

    def check(self, event: Judged, view: View) -> Hit | None:
        """Return a hit if the window that ends at this message holds more than the limit."""
        if _kind(event) not in self._settings.of:
            return None
        count = self._count(view.recent_ms, event.counted_ms)
        others = [(at, kind) for at, kind in view.recent_others if kind in self._settings.of]
        count += self._count(tuple(at for at, kind in others if kind == "reactions"), event.counted_ms)
        joins = self._count(tuple(at for at, kind in others if kind == "joins"), event.counted_ms)
        count += max(0, joins - 1)
        if count <= self._settings.messages:
            return None
        limits = {"limit": self._settings.messages, "within_ms": self._settings.within}
        return Hit(numbers={"count": count, **limits})

    def _count(self, times_ms: tuple[int, ...], now_ms: int) -> int:
        # Half open: a message exactly `within` ago has left the window.
        return bisect_right(times_ms, now_ms) - bisect_right(times_ms, now_ms - self._settings.within)


class FloodRule(RuleBase, FloodSettings):
    """A rule about too many messages."""

    IN_CHAT: ClassVar = InChat(values=("messages", "within"))
    IN_WORDS: ClassVar = False

    kind: Literal["flood"]

    def compiled(self, *, own: bool = False) -> Flood:
        """Return its counter."""
        del own
        return Flood(self)

    def window_ms(self) -> int:
        """Return the time in which it counts."""
        return self.within


def _kind(event: Judged) -> str:
    if isinstance(event, MessagePosted):
        return "edits" if event.replaces is not None else "messages"
    if isinstance(event, ReactionGiven):
        return "reactions"
    return "joins" if isinstance(event, MembershipChanged) and event.membership == "join" else ""
