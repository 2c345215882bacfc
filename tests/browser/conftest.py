"""The fixtures of `tests/long/browser`."""

from tests.long.browser.conftest import browser, visits  # noqa: F401
