"""The inbox of emoji comparisons: what concerns them waits here until the bot has time for it.

Rules kept here:
- Only what concerns a comparison is kept, and no more than `AT_MOST` messages: more than that is a flood.
- Putting something in never waits.
Left to others: answering (`emoji_dialogue.py`).
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from bot.crypto.sas import PREFIX, SasStage, ShortString
from bot.crypto.to_device import ToDevice
from moderation.values.events import MessagePosted, OtherEvent, ReactionGiven, Received
from moderation.values.ids import EventId, RoomId, UserId

AT_MOST = 1_000


@dataclass(slots=True)
class Talk:
    """One comparison, as people see it. `code` identifies it at the command line."""

    code: str
    id: str
    user: UserId
    since_ms: int
    stage: SasStage = SasStage.ASKED
    shown: ShortString | None = None
    messages: dict[EventId, tuple[RoomId, str]] = field(default_factory=dict)  # where it is shown, and the language


class ComparisonInbox:
    """Received messages for the emoji comparisons of the bot (`me`), and the comparisons in progress."""

    def __init__(self, me: UserId) -> None:
        self.talks: dict[str, Talk] = {}  # by the id of the verification
        self._me = me
        self._waiting: asyncio.Queue[ToDevice | Received] = asyncio.Queue(AT_MOST)

    def heard(self, messages: Sequence[ToDevice]) -> None:
        """Put in messages from other devices to ours."""
        for message in messages:
            self._put(message)

    def recorded(self, events: Sequence[Received]) -> None:
        """Put in those of the events just recorded that concern a comparison."""
        for event in events:
            if self._concerns(event):
                self._put(event)

    async def next(self, within_s: float) -> ToDevice | Received | None:
        """Return the next message, or None if none comes within this time."""
        try:
            async with asyncio.timeout(within_s):
                return await self._waiting.get()
        except TimeoutError:
            return None

    def _concerns(self, event: Received) -> bool:
        if event.sender == self._me:
            return False
        if isinstance(event, ReactionGiven):
            return any(event.target in talk.messages for talk in self.talks.values())
        if isinstance(event, MessagePosted):
            return event.asks_to_verify == self._me
        return isinstance(event, OtherEvent) and event.type.startswith(PREFIX)

    def _put(self, item: ToDevice | Received) -> None:
        with suppress(asyncio.QueueFull):
            self._waiting.put_nowait(item)
