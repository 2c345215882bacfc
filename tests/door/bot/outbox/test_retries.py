"""Retries happen on time, whatever is done to the machine's clock."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.homeserver import Fault
from tests.theatre.garden import Garden, garden_in

HOUR_MS = 3_600_000


@pytest.fixture
async def garden(tmp_path: Path) -> AsyncIterator[Garden]:
    async with garden_in(tmp_path) as garden:
        yield garden


async def _failing(garden: Garden) -> str:
    """Send a message whose redaction fails at the homeserver. Returns its id."""
    garden.server.faults.append(Fault("rooms/redact", times=1_000))
    said = garden.say("ann", "a purple elephant")
    await garden.bot.until(lambda: garden.bot.rows("SELECT 1 FROM outbox WHERE attempts > 0"), "a try")
    return said


@pytest.mark.parametrize("ahead_ms", [-HOUR_MS, HOUR_MS])
async def test_while_the_bot_runs(garden: Garden, ahead_ms: int) -> None:
    said = await _failing(garden)
    garden.bot.ahead_ms = ahead_ms
    garden.server.faults.clear()
    await garden.bot.until(lambda: garden.server.world.by_id[said][1].gone, "the redaction")
    await garden.bot.idle()


async def test_after_a_start_with_a_clock_that_was_set_back(garden: Garden) -> None:
    garden.bot.ahead_ms = HOUR_MS
    await garden.bot.restart()
    await garden.quiet()
    said = await _failing(garden)
    await garden.bot.stop()
    garden.bot.ahead_ms = 0
    garden.server.faults.clear()
    garden.bot.start()
    await garden.bot.until(lambda: garden.server.world.by_id[said][1].gone, "the redaction")
    await garden.bot.idle()
