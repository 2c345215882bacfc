"""A browser for each worker, and visits for each test; they share an event loop with all that the tests start.

The tests of this folder stay together on one worker (`tests/conftest.py`), so there is seldom a second browser.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from pytest_asyncio import is_async_test

from tests.long.browser.chromium import missing, running
from tests.long.browser.visit import WITHIN_MS, Visits


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of this folder in one event loop, that of the browser."""
    here = f"{Path(__file__).parent}{os.sep}"
    for item in items:
        if str(item.path).startswith(here) and is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """Provide a running browser, or skip: see `missing`."""
    if why := missing():
        pytest.skip(why)
    expect.set_options(timeout=WITHIN_MS)
    async with running(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def visits(browser: Browser) -> AsyncIterator[Visits]:
    """Provide somebody with a browser; the test fails at its end if a page did what none may."""
    visits = Visits(browser)
    yield visits
    await visits.close()
