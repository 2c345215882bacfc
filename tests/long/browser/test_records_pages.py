"""The pages of the log in a real browser, without scripts: what is found comes at once, and a check tells its end."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page

from tests.door.bot.console.browsing import ServedConsole, served_console
from tests.door.offline import ANNA, offline
from tests.long.browser.visit import Screen, Visits


@pytest_asyncio.fixture(loop_scope="session")
async def console(tmp_path: Path) -> AsyncIterator[ServedConsole]:
    """Serve a console on the data of a room in which something was said."""
    async with offline(tmp_path) as bot:
        for number in range(3):
            await bot.say(ANNA, f"good morning {number}")
        await bot.pipeline.journal.use(lambda _: None, signed=True)
        async with served_console(bot) as served:
            yield served


async def entered(visits: Visits, console: ServedConsole, path: str, *, scripts: bool) -> Page:
    """Open a page as an operator."""
    page = await visits.open(Screen(scripts=scripts))
    await page.goto(console.url + console.link())
    await page.click("main button")
    await page.goto(console.url + path)
    return page


@pytest.mark.parametrize("scripts", [False, True])
async def test_a_search_asks_why_and_shows_what_it_finds(visits: Visits, console: ServedConsole, scripts: bool) -> None:
    page = await entered(visits, console, "/records", scripts=scripts)
    await page.fill("#q", "MORNING")
    await page.click("form[role=search] button")
    assert await page.locator("ol.rows li").count() == 0
    await page.fill("#reason", "Anna asked for it")
    await page.click("form.ask button")
    await page.wait_for_selector(".ended")
    assert await page.locator("ol.rows .title").all_inner_texts() == [
        f"@anna wrote a message · “good morning {number}”" for number in (2, 1, 0)
    ]
    assert not await page.locator("form.stop").is_visible()  # it has ended
    await page.click("ol.rows a >> nth=0")
    await page.get_by_role("link", name="Proof").click()
    assert await page.locator(".notice.good").is_visible()


async def test_a_check_of_the_log_shows_its_end_by_itself(visits: Visits, console: ServedConsole) -> None:
    page = await entered(visits, console, "/verify", scripts=False)
    await page.click("main form button")
    await page.wait_for_selector(".notice.good")
    assert "All in order" in await page.locator(".notice.good").inner_text()
