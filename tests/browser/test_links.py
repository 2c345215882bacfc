"""Every page is reached by links from the first one, without scripts, and no link leads nowhere."""

import re
from collections import Counter
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

from playwright.async_api import APIRequestContext

from tests.browser.routes import PAGES
from tests.browser.visit import Screen, Visits
from tests.browser.world import world_in

MOST = 12  # addresses of one page that are followed

_PATTERNS = {path: re.compile(re.sub(r"\{\w+[^}]*\}", "[^/]+", path)) for path in PAGES}


class _Links(HTMLParser):
    """Collects where a page leads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take in an element."""
        href = dict(attrs).get("href") or ""
        if tag == "a" and not href.startswith("#"):
            self.found.append(href)


async def test_every_page_is_reached_by_links_and_no_link_is_dead(visits: Visits, tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        page = await visits.open(Screen(scripts=False))
        await world.console.enter(page, world.operator.user)
        followed = {address: status async for address, status in _follow(page.request, world.console.url)}
    assert {address: status for address, status in followed.items() if status != 200} == {}
    reached = {_page_of(address) for address in followed}
    assert [path for path in PAGES if path not in reached] == []


async def _follow(request: APIRequestContext, url: str) -> AsyncIterator[tuple[str, int]]:
    waiting, seen, times = ["/"], {"/"}, Counter[str]()
    while waiting:
        address = waiting.pop(0)
        times[_page_of(address)] += 1
        if times[_page_of(address)] > MOST:
            continue
        answer = await request.get(f"{url}{address}")
        yield address, answer.status
        if answer.headers["content-type"].startswith("text/html"):
            fresh = [link for link in _Links(await answer.text()).found if link not in seen]
            seen |= {*fresh}
            waiting += fresh


def _page_of(address: str) -> str:
    path = address.partition("?")[0].partition("#")[0]
    return next((page for page, pattern in _PATTERNS.items() if pattern.fullmatch(path)), path)
