"""The style sheet, the drawings and the keys of the console, in a real browser under the console's own policy."""

from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page
from yarl import URL

from tests.long.browser.checks import barriers, sideways
from tests.long.browser.test_harness import POLICY
from tests.long.browser.visit import HEIGHT, SCHEMES, Screen, Visits
from tests.unit.bot.console.draw.samples import SAMPLES

STATIC = Path(__file__).parents[3] / "bot" / "console" / "static"
PARTS = (Path(__file__).parent / "parts.html").read_text("utf-8")
HEAD, _, BODY = PARTS.partition("<main")


@pytest_asyncio.fixture(loop_scope="session")
async def site() -> AsyncIterator[URL]:
    """Serve the parts of pages, and all drawings."""

    async def page(request: web.Request) -> web.Response:
        language = request.query.get("language", "en")
        drawings = f'<main id="main"><h1>Drawings</h1>{"".join(draw(language) for draw in SAMPLES.values())}</main>'
        body = {"/": f"<main{BODY}", "/drawings": drawings}.get(request.path, "<main><h1>Done</h1></main>")
        headers = {"Content-Security-Policy": POLICY}
        text = HEAD.replace("LANGUAGE", language) + body
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def static(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name == "icon":
            return web.Response(content_type="image/x")
        kind = "text/css" if name.endswith("css") else "text/javascript"
        return web.Response(text=(STATIC / name).read_text("utf-8"), content_type=kind)

    app = web.Application()
    app.add_routes([web.get("/static/{name}", static), web.get("/{any:.*}", page)])
    async with TestServer(app, host="127.0.0.1") as server:
        yield server.make_url("/")


@pytest.mark.parametrize(("path", "language"), [("/", "en"), ("/drawings", "en"), ("/drawings", "zh")])
async def test_everybody_can_use_the_parts_of_pages_and_the_drawings(
    visits: Visits, site: URL, path: str, language: str
) -> None:
    page = await visits.open(Screen(language=language))
    await page.goto(str(site.with_path(path).with_query(language=language)))
    for details in await page.locator("details").all():
        await details.evaluate("each => { each.open = true }")
    for again, (width, scheme) in enumerate(product((390, 1600), SCHEMES)):
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        assert [*await sideways(page), *await barriers(page, again=again > 0)] == [], (width, scheme)


async def test_a_drawing_is_seen_and_its_words_stay_as_large_on_a_small_screen(visits: Visits, site: URL) -> None:
    heights = []
    for width in (390, 1600):
        page = await visits.open(Screen(width))
        await page.goto(str(site.with_path("/drawings")))
        plot = await page.locator("#course svg").first.bounding_box()
        label = await page.locator("#course text", has_text="80").bounding_box()
        assert plot is not None
        assert label is not None
        assert plot["width"] > width * 0.7
        heights.append(round(label["height"]))
    assert heights[0] == heights[1]


async def _opened(visits: Visits, site: URL) -> Page:
    page = await visits.open()
    await page.goto(str(site.with_path("/")))
    return page


async def test_the_first_press_arms_a_button_and_the_second_presses_it(visits: Visits, site: URL) -> None:
    page = await _opened(visits, site)
    await page.keyboard.press("u")
    assert await page.locator(".armed").inner_text() == "Uphold u"
    assert await page.locator("#armed").inner_text() == "u again: uphold"
    await page.keyboard.press("u")
    await page.wait_for_url("**/done?reason=&what=upheld")


async def test_what_is_armed_is_let_go_by_anything_else(visits: Visits, site: URL) -> None:
    page = await _opened(visits, site)
    for other in ("Escape", "d", "z", "j"):
        await page.keyboard.press("u")
        await page.keyboard.press(other)
        assert await page.locator("button[value=upheld].armed").count() == 0, other
    await page.keyboard.press("Escape")
    await page.keyboard.down("u")
    await page.keyboard.down("u")  # a key that is held down comes again and again
    assert await page.locator(".armed").count() == 1
    await page.keyboard.up("u")
    await page.mouse.click(5, 5)
    assert await page.locator(".armed").count() == 0
    assert page.url == str(site.with_path("/"))


async def test_letters_in_a_field_are_letters(visits: Visits, site: URL) -> None:
    page = await _opened(visits, site)
    await page.keyboard.press("/")
    await page.keyboard.type("uud/j?")
    assert await page.locator("#find").input_value() == "uud/j?"
    assert await page.locator(".armed").count() == 0
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    assert await page.locator("details[open]").count() == 1
    await page.keyboard.press("Escape")
    assert await page.locator("details[open]").count() == 0
    await page.keyboard.press("Control+u")
    assert await page.locator(".armed").count() == 0


async def test_keys_walk_the_rows_and_open_one(visits: Visits, site: URL) -> None:
    page = await _opened(visits, site)

    async def focused() -> str:
        return str(await page.evaluate("document.activeElement.getAttribute('href')"))

    seen = []
    for key in ("j", "j", "j", "k", "k", "k"):
        await page.keyboard.press(key)
        seen.append(await focused())
    assert seen == ["#two", "#three", "#three", "#two", "#one", "#one"]
    await page.keyboard.press("j")
    await page.keyboard.press("o")
    await page.wait_for_url("**/#two")
