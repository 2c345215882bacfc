"""The parts that the pages of one console share: settings, tables, records and texts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.config.config import Config
from bot.runtime.clock import Clock, wall_clock
from bot.texts.catalog import Catalog
from bot.texts.matrix_message import Speech
from moderation.judge.judge import CompiledRule
from moderation.values.ids import UserId
from storage.database.database import Database, state_of
from storage.journal.reader import Log

from .guard import Guard
from .jobs import Jobs
from .reading import Readings
from .render import Pages
from .sessions import LastUsed, Visitor


def _texts(config: Config) -> Catalog:
    return Catalog.load().with_prefix(config.bot.prefix).with_zone(config.bot.timezone).with_people_at("/people/")


class Site:
    """The parts of one console."""

    def __init__(self, config: Config, menu: Callable[[Visitor], Sequence[Any]], clock: Clock = wall_clock) -> None:
        self.config = config
        self.now_ms = clock
        self.data_dir = config.data_dir
        self.place = config.place
        self.bot: UserId = config.user
        self.policy = config.policy
        self.rules = tuple(map(CompiledRule.of, self.policy.rules))
        self.log = Log(self.data_dir / "records")
        self.catalog = _texts(config)
        self.speech = Speech(self.catalog, self.policy, config.bot.language)
        self.guard = Guard(config.console)
        self.readings = Readings(self.data_dir, clock)
        self.last_used = LastUsed()
        self.jobs = Jobs()
        self.pages = Pages(self.catalog, self.speech, menu)
        self._opened: tuple[tuple[int, ...], Database] | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection that sees the tables as they are now. Raises `Invalid` if they cannot be read."""
        database = await self._database()
        async with database.read() as db:
            yield db

    async def _database(self) -> Database:
        """Return the database; open it again if it has changed in a way that the open one does not see."""
        async with self._opening:
            there = await asyncio.to_thread(state_of, self.place)
            if self._opened is not None and self._opened[0] != there:
                await self.close()
            if self._opened is None:
                self._opened = there, await Database.open(self.place, read_only=True)
            return self._opened[1]

    async def close(self) -> None:
        """Close the database."""
        if self._opened is not None:
            opened, self._opened = self._opened, None
            await opened[1].close()
