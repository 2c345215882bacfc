"""Draw the pictures of the console for the documentation: `python -m tests.long.browser.pictures`.

They show the world of the browser's tests, drawn by the browser of the tests with the font that it brings, so they look
the same wherever they are made.
"""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import Browser

from tests.long.browser.chromium import running
from tests.long.browser.visit import Screen, Visits
from tests.long.browser.world import World, world_in

FOLDER = Path(__file__).parents[3] / "docs" / "pictures" / "console"
# Name -> the page, with what it is looked at.
PICTURES = {
    "overview": ("/", Screen()),
    "case": ("/cases/{waiting}", Screen()),
    "phone": ("/cases/{waiting}", Screen(width=390, scheme="dark")),
}
# Names of a run are told from those of others by numbers, which say nothing to a reader.
_PLAIN = """() => {
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walk.nextNode()) walk.currentNode.data = walk.currentNode.data
    .replace(/@(\\w+)-[0-9a-f]{4}-(\\d+)(:localhost)?/g, "@$1$2:example.org")
    .replace(/room-[0-9a-f]{4}-\\d+/g, "Harbour").replaceAll("localhost", "example.org")
  document.querySelector("button[lang=zh]").remove()  // our font has squares in the place of its letters
}"""


async def draw(browser: Browser, world: World, folder: Path) -> None:
    """Draw all pictures into a folder."""
    visits = Visits(browser)
    for name, (address, screen) in PICTURES.items():
        page = await visits.open(screen)
        await world.console.enter(page, world.operator.user)
        await page.goto(world.console.url + address.format(**world.cases))
        await world.console.reveal(page)
        await page.evaluate(_PLAIN)
        await page.screenshot(path=folder / f"{name}.png")
    await visits.close()


async def main() -> None:
    """Draw the pictures of the documentation."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with running(Path(folder)) as browser, world_in(Path(folder)) as world:
            await draw(browser, world, FOLDER)


if __name__ == "__main__":
    asyncio.run(main())
