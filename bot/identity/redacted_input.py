"""What is said while somebody verifies is recorded without its words: addresses, codes, names are nobody's business.

Rules kept here: in a direct room a message that begins with our command, and everything that is said there while a
verification goes on, is noted without its text. Left to others: what is said before others (`said_aloud.py`), writing
it so (`storage/record_mapping.py`, by way of `bot/pipeline/pipeline.py`), the command (`bot/commands/verify.py`).
"""

import re

from sqlalchemy.ext.asyncio import AsyncConnection

from moderation.model.actions import PROOF, Verify
from moderation.values.events import MessagePosted, Received
from moderation.values.ids import UserId
from storage import outbox
from storage.state import verification_dialogues

from .said_aloud import SaidAloud

NAME = "verify"
ALIASES = ("验证", "核实")
LOOK_MS = 15 * 60_000  # how long it is heeded that somebody has begun, until it is known how long it goes on
_CODE = re.compile(r"[0-9]{4}[ -]?[0-9]{4}\Z")


class Hush:
    """Knows whose verification goes on."""

    def __init__(self, prefix: str) -> None:
        names = "|".join(map(re.escape, (NAME, *ALIASES)))
        self._command = re.compile(
            rf"(?:\* )?{re.escape(prefix)}\s*(?:{names})(?![a-z])(.*)", re.IGNORECASE | re.DOTALL
        )
        self._aloud = SaidAloud(prefix, NAME, ALIASES)
        self._open: dict[UserId, int] = {}

    async def begin(self, db: AsyncConnection) -> None:
        """Read what must be known before the first message."""
        self._open = await verification_dialogues.going_on(db)
        for row in await outbox.waiting(db, 2**62, 1000, only=PROOF):
            if isinstance(row.action, Verify):
                self._open[row.action.subject] = 2**62

    def covers(self, event: Received) -> bool:
        """Whether the words of this, said alone to the bot, stay out of the records.

        What begins by it is heeded from the next message on.
        """
        if not isinstance(event, MessagePosted):
            return False
        words = self._said(event)
        if words:
            self._open[event.sender] = max(self._open.get(event.sender, 0), event.received_ms + LOOK_MS)
        return words is not None or event.received_ms < self._open.get(event.sender, 0)

    def without_token(self, event: Received) -> MessagePosted | None:
        """A code or an address that was said before others, without it; None: it is nothing of the kind."""
        return self._aloud.without_token(event)

    def words(self, event: MessagePosted, *, direct: bool) -> str | None:
        """What was said to the command, also where only the code was typed; None: it is none."""
        if event.is_notice or event.replaces is not None:
            return None
        bare = event.body.strip()
        if direct and _CODE.match(bare) and event.received_ms < self._open.get(event.sender, 0):
            return bare
        return self._said(event)

    def asks(self, event: MessagePosted) -> bool:
        """Whether a message that is no command may be a code."""
        return event.received_ms < self._open.get(event.sender, 0) and bool(_CODE.match(event.body.strip()))

    def opened(self, user: UserId, until_ms: int) -> None:
        """A verification goes on until then."""
        self._open[user] = until_ms

    def closed(self, user: UserId) -> None:
        """It is over."""
        self._open.pop(user, None)

    def _said(self, event: MessagePosted) -> str | None:
        found = self._command.match(event.body)
        return found[1].strip(" \t\n:") if found else None
