"""Every page is reached by links from the first one, without scripts, and no link leads nowhere."""

import re
from collections import Counter
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

from playwright.async_api import APIRequestContext

from tests.long.browser.routes import FILES, PAGES
from tests.long.browser.visit import Screen, Visits
from tests.long.browser.world import world_in

MOST = 12  # addresses of one page that are followed
OUTSIDE = "https://matrix.to/"  # where links to people, rooms and messages lead

_PATTERNS = {path: re.compile(re.sub(r"\{\w+[^}]*\}", "[^/]+", path)) for path in (*PAGES, *FILES)}


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
        followed = [each async for each in _follow(page.request, world.console.url)]
    unsigned = "/records/{index}/proof"  # of what the log was not signed for yet; the page says so
    assert [each for each in followed if each[2] != 200 and (_page_of(each[1]), each[2]) != (unsigned, 409)] == []
    reached = {_page_of(address) for _, address, _ in followed}
    assert [path for path in PAGES if path not in reached] == []


async def _follow(request: APIRequestContext, url: str) -> AsyncIterator[tuple[str, str, int]]:
    """Yield on which page a link stands, where it leads, and what is answered there."""
    waiting, seen, times = [("", "/")], {"/"}, Counter[str]()
    while waiting:
        before, address = waiting.pop(0)
        times[_page_of(address)] += 1
        if times[_page_of(address)] > MOST:
            continue
        assert address.startswith("/"), f"{address} leads elsewhere"
        answer = await request.get(f"{url}{address}")
        yield before, address, answer.status
        if answer.headers["content-type"].startswith("text/html"):
            links = [urljoin(address, link) for link in _Links(await answer.text()).found]
            fresh = [link for link in dict.fromkeys(links) if link not in seen and not link.startswith(OUTSIDE)]
            seen |= {*fresh}
            waiting += [(address, link) for link in fresh]


def _page_of(address: str) -> str:
    path = address.partition("?")[0].partition("#")[0]
    return next((page for page, pattern in _PATTERNS.items() if pattern.fullmatch(path)), path)
