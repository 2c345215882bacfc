"""One story in a real browser; `tests/long/browser` opens all pages, on all screens, in both languages."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from moderation.model.facts import CaseDecided
from tests.long.browser.visit import Visits
from tests.long.browser.world import world_in

pytestmark = pytest.mark.asyncio(loop_scope="session")  # the browser's


async def test_a_manager_decides_by_keys_alone(visits: Visits, tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        page = await visits.open()
        await world.console.enter_from_chat(page, world.manager)
        await page.goto(f"{world.console.url}/cases")
        await page.keyboard.press("j")
        await page.keyboard.press("o")
        await expect(page.get_by_role("article")).to_contain_text("forbidden 17")
        await page.wait_for_load_state()  # its script listens by then
        await page.keyboard.press("w")
        await page.keyboard.type("no ticket is forbidden here, and u is a letter")
        await page.keyboard.press("Escape")
        await page.keyboard.press("u")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("the rule was broken?")
        await page.wait_for_load_state()
        assert [fact for fact in world.bot.facts(CaseDecided) if fact.n == world.cases["waiting"]] == []
        await page.keyboard.press("u")
        await page.wait_for_url("**/cases/*")
        (decided,) = [fact for fact in world.bot.facts(CaseDecided) if fact.n == world.cases["waiting"]]
        told = "no ticket is forbidden here, and u is a letter"
        assert (decided.what, decided.by, decided.reason) == ("upheld", world.manager.user, told)
