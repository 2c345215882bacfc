"""From the list of people to one of them, by keys, and from a mark in their course to its case."""

from pathlib import Path

from tests.door.bot.console.browsing import served_console
from tests.door.offline import ANNA, OLGA, offline
from tests.long.browser.visit import Visits


async def test_a_mark_in_the_course_leads_to_its_case_and_keys_walk_the_cases(visits: Visits, tmp_path: Path) -> None:
    async with offline(tmp_path) as bot:
        await bot.say(ANNA, "forbidden")
        await bot.say(OLGA, "!uphold 1 as agreed")
        async with served_console(bot) as console:
            page = await visits.open()
            await page.goto(console.url + console.link())
            await page.locator("main button").click()
            await page.goto(f"{console.url}/people?q=anna")
            await page.keyboard.press("o")
            await page.wait_for_url("**/people/*anna*")
            await page.locator(".chips a").last.click()
            await page.locator("#credit svg a").click()
            await page.wait_for_url("**/cases/1")
