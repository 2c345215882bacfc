"""The keyboard alone: walking the queue, opening a case, its context and its reason, leaving."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.long.browser.visit import Visits
from tests.long.browser.world import World, world_in


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Provide a world in which nobody decides anything."""
    async with world_in(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def queue(visits: Visits, world: World) -> Page:
    """Provide the queue, as an operator sees it."""
    page = await visits.open()
    await world.console.enter(page, world.operator.user)
    return page


async def test_j_and_k_walk_the_rows_and_o_opens_one(queue: Page) -> None:
    rows = queue.locator("[data-row]")
    count = await rows.count()
    assert count > 2
    await queue.keyboard.press("j")
    await expect(rows.nth(0)).to_be_focused()
    await queue.keyboard.press("j")
    await expect(rows.nth(1)).to_be_focused()
    await queue.keyboard.press("k")
    await queue.keyboard.press("k")
    await expect(rows.nth(0)).to_be_focused()
    title = await rows.nth(0).locator(".title").inner_text()
    await queue.keyboard.press("o")
    await expect(queue.get_by_role("heading", level=2).first).to_contain_text(title.partition(" ")[0])
    await expect(queue.locator("[data-row][aria-current=true]")).to_have_count(1)


async def test_r_asks_for_the_reason_and_x_shows_what_was_said_around(queue: Page, world: World) -> None:
    await queue.goto(f"{world.console.url}/cases/{world.cases['waiting']}")
    await queue.keyboard.press("r")
    await queue.keyboard.type("jkoxr is typed, and presses nothing")
    await queue.keyboard.press("Enter")
    await expect(queue.get_by_text("forbidden 17").first).to_be_visible()
    await queue.wait_for_load_state()  # its script listens by then
    around = queue.locator("details[data-key=x]")
    for is_open in (True, False, True):
        await queue.keyboard.press("x")
        assert await around.evaluate("each => each.open") is is_open
    await queue.keyboard.press("Escape")
    assert await around.evaluate("each => each.open") is False


async def test_p_leads_to_the_person_and_a_question_mark_names_the_keys(queue: Page, world: World) -> None:
    await queue.goto(f"{world.console.url}/cases/{world.cases['waiting']}")
    keys = queue.locator("footer.keys details")
    await expect(keys.locator("kbd", has_text="j")).to_be_hidden()
    await queue.keyboard.press("?")
    await expect(keys.locator("kbd", has_text="j")).to_be_visible()
    await queue.keyboard.press("Escape")
    await expect(keys.locator("kbd", has_text="j")).to_be_hidden()
    await queue.keyboard.press("p")
    await queue.wait_for_url("**/people/**")


async def test_with_tab_alone_one_gets_to_the_words_of_a_page_at_once(queue: Page) -> None:
    await queue.keyboard.press("Tab")
    skip = queue.locator("a.skip")
    await expect(skip).to_be_focused()
    box = await skip.bounding_box()
    assert box is not None
    assert box["width"] > 20
    await queue.keyboard.press("Enter")
    await expect(queue.locator("main")).to_be_focused()
