"""A person with a browser, whom a test lets look at pages; and what no page may do while somebody looks.

Rules this module keeps:
- A fault fails the test at its end, where it is not among those that the test expects: an error or warning in the
  browser's console (it tells there what the content security policy stopped), an error of a script, a dialog that opens
  by itself, and a request to anything but this machine.
- A visit is a fresh context: no cookies, storage or cache of another.
- Nothing waits for a time; what waits for the page does so for minutes, as a machine may be slow.
- Without scripts a page cannot be asked for more than its elements: axe would never answer there.
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page

WITHIN_MS = 120_000
HERE = ("localhost", "127.0.0.1", "::1")
HEIGHT = 800

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


@dataclass(frozen=True)
class Screen:
    """The screen, language and abilities of a browser."""

    width: int = 1280
    scheme: Scheme = "light"
    language: str = "en"
    scripts: bool = True


class Visits:
    """All visits of one test, and the faults that were seen in them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.expected: list[str] = []  # patterns of faults that the test causes

    async def open(self, screen: Screen = Screen()) -> Page:
        """Return the page of a new visit; nothing is opened in it yet."""
        context = await self._browser.new_context(
            viewport={"width": screen.width, "height": HEIGHT},
            color_scheme=screen.scheme,
            reduced_motion="reduce",  # what moves would be seen half-way
            locale={"zh": "zh-CN"}.get(screen.language, screen.language),
            java_script_enabled=screen.scripts,
            service_workers="block",
            accept_downloads=True,
        )
        context.set_default_timeout(WITHIN_MS)
        self._contexts.append(context)
        self._watch(context)
        return await context.new_page()

    async def close(self) -> None:
        """End all visits. Raises an `AssertionError` with the faults that nobody expected."""
        for context in self._contexts:
            await context.close()
        assert [fault for fault in self.faults if not any(re.search(each, fault) for each in self.expected)] == []

    def _watch(self, context: BrowserContext) -> None:
        context.on("request", lambda request: self._requested(request.url))
        context.on("console", self._said)
        context.on("weberror", lambda error: self.faults.append(f"script: {error.error}"))
        context.on("dialog", self._opened)

    def _requested(self, url: str) -> None:
        self.requests.append(url)
        if urlsplit(url).hostname not in HERE:
            self.faults.append(f"request: {url}")

    def _said(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            self.faults.append(f"console: {said.text} ({said.location['url']})")

    async def _opened(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        await dialog.dismiss()
