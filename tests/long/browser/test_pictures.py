"""The pictures of the documentation can still be drawn."""

from pathlib import Path

from playwright.async_api import Browser

from tests.long.browser.pictures import FOLDER, draw
from tests.long.browser.world import world_in


async def test_the_pictures_can_be_drawn(browser: Browser, tmp_path: Path) -> None:
    async with world_in(tmp_path) as world:
        (tmp_path / "pictures").mkdir()
        await draw(browser, world, tmp_path / "pictures")
    assert {file.name for file in (tmp_path / "pictures").iterdir()} == {file.name for file in FOLDER.iterdir()}
