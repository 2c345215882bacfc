"""A console on the data of a bot in whose room a case waits."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.door.bot.console.browsing import ServedConsole, served_console
from tests.door.offline import ANNA, offline

WORDS = "it is forbidden here"


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[ServedConsole]:
    """Serve a console where case 1 waits: Anna said something that a rule forbids."""
    async with offline(tmp_path) as bot:
        await bot.say(ANNA, "good morning")
        await bot.say(ANNA, WORDS)
        async with served_console(bot) as served:
            yield served
