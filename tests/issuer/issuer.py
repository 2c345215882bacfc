"""Somebody else's issuer: `oidc-provider` in a Node.js process of its own, and a browser that logs in there.

Rules this module keeps: the process is started without a shell, writes its log to a file, and ends when its stdin is
closed, by force when it does not; the browser speaks plain HTTP and keeps cookies, as the pages of the issuer want it.
Left to others: the program (`issuer.mjs`), its packages (`tests/clients/packages.py`).
"""

import asyncio
import contextlib
import html
import json
import re
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urljoin

import aiohttp

from tests.clients import packages

T = TypeVar("T")

HERE = Path(__file__).parent
SECRET = "a secret + with %/:signs"
_STOP_S = 5.0
_FORM = re.compile(r"<form[^>]*?action=\"([^\"]+)\"[^>]*>(.*?)</form>", re.DOTALL)
_HIDDEN = re.compile(r"<input type=\"hidden\" name=\"([^\"]+)\" value=\"([^\"]*)\"")


def client(name: str, back_to: str = "http://127.0.0.1:1/oidc/club", **more: Any) -> dict[str, Any]:
    """Return a client that may do both flows."""
    return {
        "client_id": name,
        "client_secret": SECRET,
        "redirect_uris": [back_to],
        "response_types": ["code"],
        "grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
        **more,
    }


class RealIssuer:
    """A running issuer; `RealIssuer.start(...)` makes one."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self._process = process
        self.url = url

    @classmethod
    def start(cls, folder: Path, *clients: dict[str, Any], device_s: int = 600) -> Self:
        """Start it with these clients; its log goes into `folder`."""
        settings = {"clients": list(clients), "deviceSeconds": device_s}
        program = [str(packages.node()), str(HERE / "issuer.mjs"), str(packages.installed(HERE)), json.dumps(settings)]
        with (folder / "issuer.log").open("w") as log:
            process = subprocess.Popen(
                program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        try:
            return cls(process, _answer(process))
        except EOFError:
            process.wait()
            raise AssertionError((folder / "issuer.log").read_text("utf-8", "replace")[-4000:]) from None

    def rotate(self) -> None:
        """From now on it signs with other keys, and publishes only these."""
        assert self._process.stdin is not None
        self._process.stdin.write("rotate\n")
        self._process.stdin.flush()
        assert _answer(self._process) == "done"

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def _answer(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("> "):
            return line[2:].strip()
    raise EOFError


class Browser:
    """Somebody's browser; use as ``async with Browser() as browser``."""

    def __init__(self) -> None:
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def enter_code(self, link: str, code: str, who: str) -> str:
        """Enter a code at the issuer, and log in; the last page."""
        url, page = await self.open(link)
        url, page = await self._send(url, page, user_code=code)
        url, page = await self._send(url, page)  # is it this code?
        return (await self._sign_in(url, page, who))[1]

    async def refuse_code(self, link: str, code: str) -> None:
        """Enter a code, and say that it is not ours."""
        url, page = await self.open(link)
        url, page = await self._send(url, page, user_code=code)
        await self._send(url, page, abort="yes")

    async def log_in(self, link: str, who: str) -> tuple[str, str]:
        """Follow a link to the issuer, log in and agree; the last address and page: where it sends us back to."""
        return await self._sign_in(*await self.open(link), who)

    async def cancel(self, link: str) -> tuple[str, str]:
        """Follow a link to the issuer, and turn round there."""
        url, page = await self.open(link)
        found = re.search(r"href=\"([^\"]+/abort)\"", page)
        assert found is not None, page
        return await self.open(urljoin(url, html.unescape(found[1])))

    async def open(self, link: str) -> tuple[str, str]:
        """One page, after all that it redirects to."""
        async with self._http.get(link) as response:
            return str(response.url), await response.text()

    async def _sign_in(self, url: str, page: str, who: str) -> tuple[str, str]:
        url, page = await self._send(url, page, login=who, password="any")
        return await self._send(url, page)  # agree to what is asked for

    async def _send(self, url: str, page: str, **fields: str) -> tuple[str, str]:
        found = _FORM.search(page)
        assert found is not None, page
        hidden = {name: html.unescape(value) for name, value in _HIDDEN.findall(found[2])}
        async with self._http.post(urljoin(url, html.unescape(found[1])), data={**hidden, **fields}) as response:
            return str(response.url), await response.text()


async def soon(look: Callable[[], Awaitable[T | None]], within_s: float = 15.0) -> T:
    """Return what `look` gives, as soon as it gives something."""
    async with asyncio.timeout(within_s):
        while not (found := await look()):  # noqa: ASYNC110 - an issuer tells nobody that something changed
            await asyncio.sleep(0.02)
        return found
