"""The sessions of the web console that people open by a link from a chat.

Rules kept here:
- The bot alone makes these sessions, so nobody who can only read the data directory acts in a person's name.
- A link opens one session, until it is late, and only while its person is in the direct room where they got it.
- Of links and sessions only the SHA-256 is kept.

Left to others: giving links (`bot/effects/console_link.py`), operators' sessions (`bot/console/sessions.py`).
"""

from collections.abc import AsyncIterator
from typing import Any, get_args

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.pipeline.pipeline import Pipeline
from bot.runtime.clock import Clock
from bot.runtime.tokens import hashed, new_token
from moderation.model.facts import ConsoleEnded, ConsoleOpened, Fact, WhyConsoleEnded
from moderation.values.durations import HOUR_MS
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from storage import queries

from .request import ByName, Request

LONGEST_MS = 12 * HOUR_MS  # of a session


class ConsoleOperations:
    """Operations of the web console."""

    def __init__(self, pipeline: Pipeline, clock: Clock) -> None:
        self._pipeline = pipeline
        self._clock = clock

    def by_name(self) -> ByName:
        """Return the operations by the names that `Control` uses."""
        return {"console-login": self._do_login, "console-end": self._do_end}

    async def _do_login(self, asked: Request) -> dict[str, Any]:
        session, opened = new_token(), list[ConsoleOpened]()

        async def make(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            opened.append(await self._opened(db, hashed(asked.string("ticket")), hashed(session)))
            yield (opened[0],)

        await self._pipeline.commit_with(make)
        return {"session": session, "user": opened[0].subject, "until": opened[0].until}

    async def _opened(self, db: AsyncConnection, ticket: str, session: str) -> ConsoleOpened:
        now_ms = self._clock()
        link = await queries.console_link(db, ticket)
        is_good = link is not None and not link.used and link.at <= now_ms < link.until
        if link is None or not is_good or not await queries.are_alone(db, link.room, link.user, self._bot):
            raise Refused("console.link-over")
        until = now_ms + LONGEST_MS
        return ConsoleOpened(room=link.room, link=link.record, until=until, subject=link.user, session=session)

    async def _do_end(self, asked: Request) -> dict[str, Any]:
        """End a session, named by its token or by the SHA-256 of it."""
        why = asked.string("why") or "left"
        if why not in get_args(WhyConsoleEnded):
            raise Refused("cli.operate.unreadable")
        ended: WhyConsoleEnded = next(each for each in get_args(WhyConsoleEnded) if each == why)
        done: dict[str, Any] = {"ended": False}

        async def make(db: AsyncConnection) -> AsyncIterator[tuple[Fact, ...]]:
            key = hashed(asked.string("session")) or asked.string("key")
            session = await queries.console_session(db, key)
            if session is None or not session.is_open(self._clock()):
                return
            done["ended"] = True
            reader = asked.reader if ended == "operator" else ""
            yield (
                ConsoleEnded(room=session.room, start=session.record, why=ended, subject=session.user, reader=reader),
            )

        await self._pipeline.commit_with(make)
        return done

    @property
    def _bot(self) -> UserId:
        return self._pipeline.settings.bot
