"""Keeps the text of verification messages out of the records: addresses, codes and names are nobody's business.

In a direct room, a message that begins with our command, and every message during a verification, is recorded without
its text.
Left to others: messages in groups (`said_aloud.py`), writing the record (`storage/record_mapping.py`, through
`bot/pipeline/pipeline.py`), the command (`bot/commands/verify.py`).
"""

import re

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.texts.command_prefix import prefix_pattern
from moderation.model.actions.base import PROOF
from moderation.model.actions.people import Verify
from moderation.values.events import MessagePosted, Received
from moderation.values.ids import UserId
from storage import outbox
from storage.state import verification_dialogues

from .said_aloud import SaidAloud

NAME = "verify"
ALIASES = ("验证", "核实")
LOOK_MS = 15 * 60_000  # how long a begun verification counts as in progress until its own end is known
_CODE = re.compile(r"[0-9]{4}[ -]?[0-9]{4}\Z")


class Hush:
    """Knows whose verification is in progress."""

    def __init__(self, prefix: str) -> None:
        names = "|".join(map(re.escape, (NAME, *ALIASES)))
        self._command = re.compile(
            rf"(?:\* )?{prefix_pattern(prefix)}\s*(?:{names})(?![a-z])(.*)", re.IGNORECASE | re.DOTALL
        )
        self._aloud = SaidAloud(prefix, NAME, ALIASES)
        self._open: dict[UserId, int] = {}

    async def begin(self, db: AsyncConnection) -> None:
        """Load the verifications in progress, before the first message."""
        self._open = await verification_dialogues.going_on(db)
        for row in await outbox.due_rows(db, 2**62, 1000, only=PROOF):
            if isinstance(row.action, Verify):
                self._open[row.action.subject] = 2**62

    def covers(self, event: Received) -> bool:
        """Tell whether the text of this event, from a direct room, stays out of the records.

        A verification that it begins takes effect from the next message.
        """
        if not isinstance(event, MessagePosted):
            return False
        words = self._said(event)
        if words:
            self._open[event.sender] = max(self._open.get(event.sender, 0), event.received_ms + LOOK_MS)
        return words is not None or event.received_ms < self._open.get(event.sender, 0)

    def without_token(self, event: Received) -> MessagePosted | None:
        """Return a code or address sent in a group without the code or address; None if the event is neither."""
        return self._aloud.without_token(event)

    def words(self, event: MessagePosted, *, direct: bool) -> str | None:
        """Return the words for the command, also if only the code was typed; None if the message is not for it."""
        if event.is_notice or event.replaces is not None:
            return None
        bare = event.body.strip()
        if direct and _CODE.match(bare) and event.received_ms < self._open.get(event.sender, 0):
            return bare
        return self._said(event)

    def asks(self, event: MessagePosted) -> bool:
        """Tell whether a message that is not a command may be a code."""
        return event.received_ms < self._open.get(event.sender, 0) and bool(_CODE.match(event.body.strip()))

    def is_open(self, event: MessagePosted) -> bool:
        """Tell whether a verification of the sender is in progress, so that what they write may belong to it."""
        return event.received_ms < self._open.get(event.sender, 0)

    def opened(self, user: UserId, until_ms: int) -> None:
        """Note that a verification is in progress until then."""
        self._open[user] = until_ms

    def closed(self, user: UserId) -> None:
        """Note that a verification is over."""
        self._open.pop(user, None)

    def _said(self, event: MessagePosted) -> str | None:
        found = self._command.match(event.body)
        return found[1].strip(" \t\n:") if found else None
