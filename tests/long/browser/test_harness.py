"""The browser of these tests notices what it shall notice, on a page with the console's own headers."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from tests.long.browser.checks import barriers, sideways
from tests.long.browser.chromium import missing
from tests.long.browser.visit import Scheme, Screen, Visits
from tests.theatre.served import until

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
PAGE = """<!doctype html><html lang="{language}"><meta charset="utf-8"><title>Cases</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="/icon"><link rel="stylesheet" href="/style">
<main><h1>{title}</h1><p id="said">one</p>{more}</main><script src="/script"></script>"""
STYLE = """:root { color-scheme: light dark } p { color: light-dark(#000, #fff); width: max-content }
.pale { color: #ccc; background: #fff } .wide { width: 700px }"""
SCRIPT = "document.getElementById('said').textContent = 'two'"


@pytest_asyncio.fixture(loop_scope="session")
async def site() -> AsyncIterator[URL]:
    """Serve one page: `title` and `more` of the query are put into it as they are."""

    async def page(request: web.Request) -> web.Response:
        words = {"language": "en", "title": "Cases", "more": "", **request.query}
        headers = {"Content-Security-Policy": POLICY}
        return web.Response(text=PAGE.format(**words), content_type="text/html", headers=headers)

    def file(text: str, kind: str) -> web.RouteDef:
        async def answer(request: web.Request) -> web.Response:
            return web.Response(text=text, content_type=kind)

        return web.get("/" + {"text/css": "style", "text/javascript": "script"}.get(kind, "icon"), answer)

    app = web.Application()
    app.add_routes([web.get("/", page), file(STYLE, "text/css"), file(SCRIPT, "text/javascript"), file("", "image/x")])
    async with TestServer(app, host="127.0.0.1") as server:
        yield server.make_url("/")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_good_page_is_shown_in_both_languages(visits: Visits, site: URL, scheme: Scheme, width: int) -> None:
    shown = []
    for language, title in (("en", "Waiting"), ("zh", "等待处理")):
        page = await visits.open(Screen(width, scheme, language))
        await page.goto(str(site.with_query(language=language, title=title)))
        assert (await barriers(page), await sideways(page)) == ([], [])
        assert await page.get_by_role("heading", name=title).is_visible()
        dark, wide = await page.evaluate("[matchMedia('(prefers-color-scheme: dark)').matches, innerWidth]")
        shown.append((dark, wide, await page.locator("#said").inner_text()))
    assert shown == [(scheme == "dark", width, "two")] * 2


async def test_a_chinese_character_is_as_wide_as_its_letters_are_high(visits: Visits, site: URL) -> None:
    page = await visits.open()
    await page.goto(str(site.with_query(more="<p>" + "案" * 40)))
    box = await page.locator("p").last.bounding_box()
    assert box is not None
    assert round(box["width"]) == 40 * 16


async def test_barriers_are_found(visits: Visits, site: URL) -> None:
    page = await visits.open()
    await page.goto(str(site.with_query(more="<p class='pale'>pale</p><input>")))
    assert [found.partition(":")[0] for found in await barriers(page)] == ["color-contrast", "label"]


async def test_a_page_wider_than_the_screen_is_found(visits: Visits, site: URL) -> None:
    page = await visits.open(Screen(width=390))
    await page.goto(str(site.with_query(more="<p class='wide'>wide</p>")))
    assert [found.partition(">")[0] for found in await sideways(page)] == ['<p class="wide"']


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ("<img src='http://203.0.113.5/x.png' alt='a'>", "request: http://203.0.113.5/x.png"),
        ("<p style='color: red'>a</p>", "console: Applying inline style violates"),
        ("<script>1</script>", "console: Executing inline script violates"),
        ("<img src='/missing' alt='a'>", "console: Failed to load resource"),
    ],
)
async def test_what_no_page_may_do_fails_the_test(visits: Visits, site: URL, more: str, fault: str) -> None:
    page = await visits.open()
    await page.goto(str(site.with_query(more=more)))

    async def is_seen() -> bool:
        return any(found.startswith(fault) for found in visits.faults)

    await until(is_seen, fault)
    with pytest.raises(AssertionError):
        await visits.close()
    visits.expected = [""]


async def test_nothing_outside_is_reached(visits: Visits) -> None:
    page = await visits.open()
    with pytest.raises(Exception, match="ERR_PROXY_CONNECTION_FAILED"):
        await page.goto("http://example.org/")
    visits.expected = ["example.org"]


def test_a_machine_for_which_there_is_no_browser_is_told_what_to_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    monkeypatch.delenv("ANSWERABLE_CHROMIUM", raising=False)
    assert "ANSWERABLE_CHROMIUM" in missing()
    monkeypatch.setenv("ANSWERABLE_CHROMIUM", "/usr/bin/chromium")
    assert missing() == ""


async def test_without_scripts_a_page_runs_none(visits: Visits, site: URL) -> None:
    page = await visits.open(Screen(scripts=False))
    await page.goto(str(site))
    assert await page.locator("#said").inner_text() == "one"
