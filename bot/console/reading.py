"""Reading what people wrote: with a reason, and on record before anything is shown.

An operator says why, once for a case, a person or a search and session. Managers read the evidence of cases that they
answer for without a reason; it is noted as well, once a day however often they come in.

Rules kept here:
- The note is durable before the page is answered (`storage/journal/access.py`); the bot makes a record of it, and the
  person whom it is about finds it in what `!mydata` brings.
- What cannot be noted is not shown.
"""

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path

from bot.runtime.budget import Budget
from bot.runtime.clock import Clock
from bot.runtime.newest import Newest
from moderation.values.access_reasons import says_why
from moderation.values.durations import DAY_MS
from moderation.values.errors import Refused
from moderation.values.events import Json
from moderation.values.ids import UserId
from storage.journal.access import note_access

from .sessions import Visitor

MOST_NOTES = 600  # of one session in an hour
MOST_REMEMBERED = 10_000  # readings of all sessions; the oldest are asked about again


class Unrecorded(Exception):
    """A reading could not be noted."""


class Readings:
    """The readings of the sessions of this process: after a restart, the reason is asked again."""

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        self._data_dir = data_dir
        self._clock = clock
        self._known: Newest[tuple[str, str], str] = Newest(MOST_REMEMBERED)  # whose and what -> the reason
        self._notes = Budget(MOST_NOTES)

    def is_open(self, visitor: Visitor, what: str) -> bool:
        """Tell whether this session has given its reason to read `what`, such as ``case 12``."""
        return (self._whose(visitor), what) in self._known

    async def open(
        self, visitor: Visitor, what: str, now_ms: int, *, reason: str = "", about: Mapping[str, Json]
    ) -> None:
        """Note that somebody reads `what`, once a session.

        `about` says what kind of reading it is (`what`), and whom it is about (`person`, `case`). Raises `Refused` if
        an operator gives no reason, `Unrecorded` if the note cannot be kept.
        """
        if self.is_open(visitor, what):
            return
        if visitor.kind == "operator" and not says_why(reason):
            raise Refused("console.reason.none")
        await self.note(visitor, now_ms, reason=reason, about=about)
        self._remember(visitor, what, reason)

    async def also(
        self, visitor: Visitor, what: str, now_ms: int, people: Collection[str], about: Mapping[str, Json]
    ) -> None:
        """Note whom it names that somebody reads on in `what`, before it is shown: each person once a session.

        Raises `Unrecorded`, and `LookupError` unless it is open.
        """
        reason = self._known.pop((self._whose(visitor), what))
        self._remember(visitor, what, reason)  # among the newest again
        fresh = sorted(each for each in people if not self.is_open(visitor, f"{what} {each}"))
        if fresh:
            await self.note(visitor, now_ms, reason=reason, about={**about, "person": [*fresh]})
        for each in fresh:
            self._remember(visitor, f"{what} {each}", reason)

    def _whose(self, visitor: Visitor) -> str:
        """Return the session of an operator, who gave a reason in it; of other people, who they are and the day."""
        return visitor.key if visitor.kind == "operator" else f"{visitor.user} {self._clock() // DAY_MS}"

    def _remember(self, visitor: Visitor, what: str, reason: str = "") -> None:
        self._known[self._whose(visitor), what] = reason

    async def glance(self, visitor: Visitor, what: str, now_ms: int, **about: Json) -> None:
        """Note a look at somebody's status, without their words: once a session, without a reason. Raises `Unrecorded`.

        `what` is one of `moderation/values/access_reasons.py`; `about` names the `person` or the `case`.
        """
        key = " ".join(map(str, ("a look:", what, *about.values())))
        if not self.is_open(visitor, key):
            await self.note(visitor, now_ms, about={"what": what, **about})
            self._remember(visitor, key)

    async def note(self, visitor: Visitor, now_ms: int, *, reason: str = "", about: Mapping[str, Json]) -> None:
        """Note a reading. Raises `Unrecorded`, or `Refused` if a session reads more than anybody could."""
        if self._notes.take(UserId(visitor.key), now_ms) != "granted":
            raise Refused("console.problem.much")
        user = visitor.user if visitor.kind == "person" else ""
        try:
            await asyncio.to_thread(
                note_access,
                self._data_dir,
                at_ms=now_ms,
                by=visitor.by,
                user=user,
                reason=reason.strip(),
                filters=about,
            )
        except OSError as error:
            raise Unrecorded(error.strerror or str(error)) from error
