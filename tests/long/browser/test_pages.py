"""Every page, in both languages, light and dark, on a phone and on screens: anybody can use it, and it fits.

In English each width is looked at in both schemes; in Chinese, and as a manager sees it, each of them once.
A page that is added is looked at without being told (`routes.py`).
"""

from collections.abc import AsyncIterator, Sequence
from itertools import product

import pytest
import pytest_asyncio
from playwright.async_api import Page

from tests.long.browser.checks import barriers, sideways
from tests.long.browser.routes import MANAGERS_PAGES, PAGES, PLACES, addresses
from tests.long.browser.visit import HEIGHT, SCHEMES, Scheme, Screen, Visits
from tests.long.browser.world import World, world_in

LANGUAGES = ("en", "zh")
Screens = Sequence[tuple[int, Scheme]]
SCREENS = tuple(product((390, 1280, 1600), SCHEMES))
EACH_ONCE = (SCREENS[0], SCREENS[3], SCREENS[4])  # each width, and both schemes


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Provide a world that nobody changes."""
    async with world_in(tmp_path_factory.mktemp("world")) as world:
        yield world


def test_every_page_is_looked_at() -> None:
    assert {path for path in PAGES if "{" in path} == PLACES.keys()


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", LANGUAGES)
async def test_an_operator_can_use_every_page_and_it_fits(
    visits: Visits, world: World, path: str, language: str
) -> None:
    page = await visits.open(Screen(language=language))
    await world.console.enter(page, world.operator.user)
    assert await _looked_at(page, world, path, language, SCREENS if language == "en" else EACH_ONCE) == []


@pytest.mark.parametrize("path", MANAGERS_PAGES)
async def test_a_manager_can_use_every_page_and_it_fits(visits: Visits, world: World, path: str) -> None:
    page = await visits.open(Screen(language="zh"))
    await world.console.enter_from_chat(page, world.manager)
    assert await _looked_at(page, world, path, "zh", EACH_ONCE) == []


async def _looked_at(page: Page, world: World, path: str, language: str, screens: Screens) -> list[str]:
    """Return what is wrong with a page at its addresses in a world; with what people wrote, on fewer screens."""
    found: list[str] = []
    for address in addresses(path, world):
        await world.console.show(page, address)
        assert await page.locator("html").get_attribute("lang") == language
        found += [f"{address} {each}" for each in await _wrong(page, screens)]
        if await world.console.reveal(page):
            found += [f"{address}, revealed {each}" for each in await _wrong(page, screens[1::3])]
    return found


async def _wrong(page: Page, screens: Screens) -> list[str]:
    """Return what is wrong with a page on these screens."""
    await page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    headings = await page.get_by_role("heading", level=1).count()
    found = [] if headings == 1 else [f"has {headings} headings of the first level"]
    for again, (width, scheme) in enumerate(screens):
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        wrong = [*await sideways(page), *await barriers(page, again=again > 0)]
        found += [f"{width} {scheme}: {each}" for each in wrong]
    return found
