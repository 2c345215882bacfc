"""Remembers refused messages, and tells operators of them.

Rules kept here:
- Each refused message is told once, and at most `MOST_TOLD` of one log in an hour; then one line says that there are
  more.
- A refused message is read again at each look, since it may be mended. It is checked again only if it, its key, or what
  is known of its log has changed.
- Memory has a bound for each log.

Left to others: why a message is refused (`checking.py`).
"""

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from bot.runtime.newest import Newest
from moderation.model.actions.base import NO_ROOM
from moderation.model.actions.telling import TellAbove
from moderation.values.notices import Code, Line, line
from storage.journal.transparency.signed_note import NoteVerifier

from .allowance import HOUR_S
from .checking import Code as Why
from .checking import KnownLog, NotProved
from .port import Message

log = structlog.get_logger()

MOST_TOLD = 10  # of one log in an hour
MOST_REMEMBERED = 1_000  # told messages of one log
MOST_CHECKED = 5_000  # refused messages of one log that are not checked again, some 500 bytes each


def tell(said: Line) -> TellAbove:
    """Return what tells operators something about another log."""
    return TellAbove(room=NO_ROOM, lines=(said,))


@dataclass(slots=True)
class _OfLog:
    began_s: float
    count: int = 0
    told: deque[tuple[str, int, str]] = field(default_factory=lambda: deque(maxlen=MOST_REMEMBERED))
    checked: Newest[bytes, tuple[Why, KnownLog | None]] = field(default_factory=lambda: Newest(MOST_CHECKED))  # digests


class Refusals:
    """The refused messages of each log."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        """Set up; `now_s` is a clock that never goes back."""
        self._now_s = now_s
        self._logs: dict[str, _OfLog] = {}

    def before(self, message: Message, verifier: NoteVerifier | None, known: KnownLog) -> NotProved | None:
        """Return why this message was refused before, by the same key and at the same state of its log."""
        of_log = self._logs.get(message.origin)
        found = of_log.checked.get(_digest(message, verifier, known)) if of_log is not None and of_log.checked else None
        return NotProved(*found) if found is not None else None

    def remember(self, message: Message, verifier: NoteVerifier | None, known: KnownLog, refused: NotProved) -> None:
        """Remember why a message was refused, so that it is not checked again while nothing changes."""
        checked = self._logs.setdefault(message.origin, _OfLog(self._now_s())).checked
        checked[_digest(message, verifier, known)] = (refused.code, refused.known)

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


def _digest(message: Message, verifier: NoteVerifier | None, known: KnownLog) -> bytes:
    key = verifier.text if verifier is not None else ""
    return hashlib.sha256(repr((key, known, message)).encode()).digest()
