"""The sessions and commands of people in the web console who came by a link from a chat.

Rules kept here:
- The bot alone makes these sessions, so nobody who can only read the data directory acts in a person's name.
- A link opens one session, until it is late. It and the session work only while their person is in the direct room
  where they got the link, and nobody else is.
- Of links and sessions only the SHA-256 is kept.
- A command counts as said in that direct room: it may do what its person may do in chat, and is answered in their
  language.
- A command about a case that has changed since its form was made is refused.

Left to others: giving links (`bot/effects/console_link.py`), operators' sessions (`bot/console/sessions.py`), what a
command does and to whom it is allowed (`bot/commands/`).
"""

from collections.abc import AsyncIterator
from typing import Any, get_args

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.commands.parse import MAX_LENGTH, case_number, spoken_in
from bot.pipeline.pipeline import Pipeline
from bot.pipeline.unit_of_work import Answer
from bot.runtime.clock import Clock
from bot.runtime.tokens import hashed, new_token
from bot.texts.matrix_message import Speech
from bot.texts.names import names_in
from moderation.model.facts import ConsoleCommand, ConsoleEnded, ConsoleOpened, Fact, NotSeen, WhyConsoleEnded
from moderation.values.durations import HOUR_MS
from moderation.values.errors import Refused
from moderation.values.ids import RoomId, UserId, is_group_code
from storage import queries
from storage.database.database import Database

from .request import ByName, Request

LONGEST_MS = 12 * HOUR_MS  # of a session


class ConsoleEndings:
    """The ending of sessions, which needs no running bot."""

    def __init__(self, pipeline: Pipeline, clock: Clock) -> None:
        self._pipeline = pipeline
        self._clock = clock

    def by_name(self) -> ByName:
        """Return the operations by the names that `Control` uses."""
        return {"console-end": self._do_end}

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


class ConsoleOperations:
    """Operations of the web console on a running bot."""

    def __init__(self, pipeline: Pipeline, database: Database, speech: Speech, clock: Clock) -> None:
        self._pipeline = pipeline
        self._database = database
        self._speech = speech
        self._clock = clock

    def by_name(self) -> ByName:
        """Return the operations by the names that `Control` uses."""
        return {"console-login": self._do_login, "command": self._do_command}

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
        if link is None or not is_good or not await self._are_alone(db, link.room, link.user):
            raise Refused("console.link-over")
        until = now_ms + LONGEST_MS
        return ConsoleOpened(room=link.room, link=link.record, until=until, subject=link.user, session=session)

    async def _do_command(self, asked: Request) -> dict[str, Any]:
        """Carry out a command; `seen` is the last record of the case that it names first, when its form was made."""
        key, words = hashed(asked.string("session")), _words(asked)
        who = list[UserId]()

        async def check(db: AsyncConnection) -> ConsoleCommand:
            session = await queries.console_session(db, key)
            is_open = session is not None and session.is_open(self._clock())
            if session is None or not is_open or not await self._are_alone(db, session.room, session.user):
                raise Refused("console.session-over")
            if asked.arguments.get("seen") is not None:
                await _must_be_as_seen(db, words, asked.number("seen"))
            who.append(session.user)
            return ConsoleCommand(room=session.room, start=session.record, subject=session.user, words=words)

        answer = await self._pipeline.carry_out(check)
        if any(isinstance(fact, NotSeen) for fact in answer.facts):
            raise Refused("console.failed")
        lines = await self._in_words(answer, who[0])
        return {"lines": lines, "refused": answer.refused, "facts": len(answer.facts)}

    async def _in_words(self, answer: Answer, user: UserId) -> list[str]:
        async with self._database.read() as db:
            language = self._speech.language(await queries.language_of(db, user))
            names = await names_in(db, answer.told, language, about=[user], to=user)
        return [self._speech.text((each,), language, names).plain for each in answer.told]

    async def _are_alone(self, db: AsyncConnection, room: RoomId, user: UserId) -> bool:
        return await queries.are_alone(db, room, user, self._pipeline.settings.bot)


def _words(asked: Request) -> str:
    """Return the command as it would be written in chat, without the prefix. Raises `Refused`."""
    words, group = asked.string("words").strip(), asked.string("group").strip().upper()
    if not words[:1].isalpha() or (group and not is_group_code(group)):
        raise Refused("cli.operate.unreadable")
    if len(words) > MAX_LENGTH:
        raise Refused("error.too-long")
    name, _, rest = words.partition(" ")
    return f"{name} {group} {rest}".strip() if group else words


async def _must_be_as_seen(db: AsyncConnection, words: str, seen: int) -> None:
    """Raise `Refused` unless `seen` is the last record of the case that the command names."""
    first = spoken_in(words).words[:1]
    n = case_number(first[0]) if first else None
    if n is None or await queries.last_record_of(db, n) != seen:
        raise Refused("console.moved")
