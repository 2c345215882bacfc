"""A bot that serves two rooms with one desk."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from moderation.model.facts import DeskChosen
from moderation.values.ids import GroupCode, RoomId
from tests.door.offline import ANNA, LEVELS, MARK, MINA, OLGA, Offline, offline

KITCHEN = RoomId("!kitchen:example.org")


@asynccontextmanager
async def of_two_rooms(folder: Path) -> AsyncIterator[Offline]:
    """Open it, with the same people in both rooms."""
    async with offline(folder) as bot:
        await bot.enter_room(KITCHEN, GroupCode("G-2222"), "group", LEVELS, "11", (OLGA, MARK, MINA, ANNA))
        await bot.pipeline.commit((DeskChosen(room=KITCHEN, desk=GroupCode("G-DE5K"), why="same"),))
        yield bot
