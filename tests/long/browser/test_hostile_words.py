"""Words of strangers stay text: a hostile world's pages have the elements of a tame one's, and nothing more.

Markup, templates, characters that turn or hide text, NUL, and 50,000 letters stand wherever a stranger can write.
"""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from storage.export.markup import HIDDEN
from tests.long.browser.checks import sideways
from tests.long.browser.routes import PAGES, addresses
from tests.long.browser.visit import Screen, Visits
from tests.long.browser.world import HOSTILE, NASTY, TAME, World, world_in

# What addresses ask of pages.
ASKED = ("after", "before", "case", "days", "grade", "kind", "person", "q", "room", "since", "tab", "until")
GROWING = ("/reads", "/records")  # how many lines they have depends on when the bot records what these tests read
SAYS_NOTHING_YET = ("p", "class")  # in the place of the lines, while there are none
# Elements with the names of their attributes, without those that show a hidden character by its number, and without the
# list of reads on the page of a person: it grows like `/reads`, which has the same lines.
_SHAPE = """() => {
  const of = e => [e.localName, [...e.attributes].map(a => a.name).sort().join(" "),
    [...e.children].filter(c => !c.matches(".char, [aria-labelledby=reads]")).map(of)]
  return JSON.stringify(of(document.documentElement))
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[World, World]]:
    """Provide a tame and a hostile world."""
    async with AsyncExitStack() as stack:
        made = [
            await stack.enter_async_context(world_in(tmp_path_factory.mktemp("world"), words))
            for words in (TAME, NASTY)
        ]
        yield made[0], made[1]


@pytest.mark.parametrize("path", PAGES)
async def test_hostile_words_make_no_elements(visits: Visits, worlds: tuple[World, World], path: str) -> None:
    tame, nasty = [await _pages(visits, world, path) for world in worlds]
    if path in GROWING:
        assert _kinds(nasty) <= _kinds(tame) | {SAYS_NOTHING_YET}
    else:
        assert [shape for shape, _ in nasty] == [shape for shape, _ in tame]
    assert [HIDDEN.findall(text) for _, text in nasty] == [[]] * len(nasty)
    if path == "/cases/{n}":  # they are there to be seen
        assert [text for _, text in nasty if not ("{{7*7}}" in text and "U+202E" in text and "U+0000" in text)] == []


@pytest.mark.parametrize("path", PAGES)
async def test_hostile_addresses_make_no_elements(visits: Visits, worlds: tuple[World, World], path: str) -> None:
    world, _ = worlds
    page = await visits.open(Screen(width=390))
    visits.expected = ["status of 4"]  # a page may say that this cannot be asked
    await world.console.enter(page, world.operator.user)
    for name in ASKED:
        asked = urlencode({name: HOSTILE})
        answer = await page.goto(f"{world.console.url}{addresses(path, world)[0].partition('?')[0]}?{asked}")
        assert answer is not None
        assert (name, answer.status < 500) == (name, True)
        assert (name, _foreign(await page.evaluate(_SHAPE))) == (name, [1, 0])
        assert (name, await sideways(page)) == (name, [])


def _kinds(pages: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the elements of pages, each with the names of its attributes."""

    def each(element: Sequence[Any]) -> Iterator[tuple[str, str]]:
        name, attributes, children = element
        yield name, attributes
        for child in children:
            yield from each(child)

    return {kind for shape, _ in pages for kind in each(json.loads(shape))}


def _foreign(shape: str) -> list[int]:
    """Return how many elements there are of the kinds that hostile words ask for."""
    return [shape.count(f'["{name}"') for name in ("script", "img")]


async def _pages(visits: Visits, world: World, path: str) -> list[tuple[str, str]]:
    """Return the shapes and the texts of a page at all its addresses, with what people wrote."""
    page = await visits.open(Screen(width=390))
    await world.console.enter(page, world.operator.user)
    found = []
    for address in addresses(path, world):
        await world.console.show(page, address)
        await world.console.reveal(page)
        assert await sideways(page) == []
        found.append((await page.evaluate(_SHAPE), await page.locator("html").inner_text()))
    return found
