"""A person's web browser in the story: it follows a link, presses buttons of forms, and keeps cookies.

Rules kept here:
- It does what a page offers and nothing else: fields that a form hides are sent as they are.
- It runs no script.
"""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import aiohttp

Attributes = list[tuple[str, str | None]]


class NoSuchPage(Exception):
    """A page, or a button on it, is not there."""


@dataclass(slots=True)
class Form:
    """The fields that a form sends, and its address."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: set[tuple[str, str]] = field(default_factory=set)


class _Forms(HTMLParser):
    """Collects the forms of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        """Take in the beginning of an element."""
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(said.get("action", "")))
        elif self.found and tag == "input" and said.get("type") == "hidden":
            self.found[-1].fields[said["name"]] = said["value"]
        elif self.found and tag == "button":
            self.found[-1].buttons.add((said.get("name", ""), said.get("value", "")))


class WebBrowser:
    """A browser; use as ``async with WebBrowser() as browser``."""

    def __init__(self) -> None:
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        self._url = ""
        self.page = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def open(self, link: str) -> None:
        """Open a page. Raises `NoSuchPage`."""
        await self._go("GET", urljoin(self._url, link), {})

    async def press(self, button: tuple[str, str] = ("", ""), **typed: str) -> None:
        """Press the first button of this name and value that is not for all pages, after filling in what is typed."""
        forms = [form for form in _Forms(self.page).found if button in form.buttons and form.action not in _EVERYWHERE]
        if not forms:
            raise NoSuchPage(f"no button {button} at {self._url}")
        sent = {**forms[0].fields, **typed, **({button[0]: button[1]} if button[0] else {})}
        await self._go("POST", urljoin(self._url, forms[0].action), sent)

    async def _go(self, method: str, url: str, sent: dict[str, str]) -> None:
        headers = {"Sec-Fetch-Site": "same-origin"} if method == "POST" else {}
        async with self._http.request(method, url, data=sent or None, headers=headers) as answer:
            self._url, self.page = str(answer.url), await answer.text()
            if answer.status != 200:
                raise NoSuchPage(f"{answer.status} at {self._url}")


_EVERYWHERE = ("/language", "/leave")
