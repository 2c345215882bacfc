"""The page to which an issuer sends browsers back: a small server behind the operator's proxy.

Rules kept here:
- It listens only where the settings say, and only if they name a public address.
- It answers only one kind of request, a GET below ``/oidc/``, with a page that names nobody and loads nothing.
- The number of simultaneous requests is limited.
- If the port is taken, it is tried again; moderation does not wait for it.
Left to others: serving (`bot/matrix/local_server.py`), what a browser brings back and what it is worth (`oidc.py`),
deadlines for requests to the issuer.
"""

import asyncio
import html
from urllib.parse import urlsplit

from aiohttp import web

from bot.config.config import Config
from bot.config.oidc import CallbackSettings, listen_address
from bot.matrix.local_server import serve
from bot.texts.catalog import Catalog

from .oidc import LoginPage, Oidc, PageKey

_AT_A_TIME = 16
_LONGEST_QUERY = 8_000
_STATUS: dict[PageKey, int] = {"number": 200, "failed": 400, "stale": 400}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address contains what the browser brought back
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}


class CallbackServer:
    """The server; it listens while `run` runs."""

    def __init__(self, oidc: Oidc, settings: CallbackSettings, texts: Catalog) -> None:
        self._oidc = oidc
        self._listen = listen_address(settings.listen)
        # A proxy may pass on the whole path, or only the part below the public address.
        self._paths = {"/oidc/", urlsplit(settings.public_url or "").path + "/oidc/"}
        self._texts = texts
        self._free = asyncio.Semaphore(_AT_A_TIME)
        self.listening = asyncio.Event()

    @classmethod
    def of(cls, oidc: Oidc | None, config: Config, texts: Catalog) -> "CallbackServer | None":
        """Return the configured server; None if no browser is expected to come back."""
        wanted = any(each.flow != "device" for each in config.oidc)
        if oidc is None or config.callback.public_url is None or not wanted:
            return None
        return cls(oidc, config.callback, texts)

    async def run(self) -> None:
        """Serve until cancelled."""
        longest = _LONGEST_QUERY + 200
        await serve(self._handle, self._listen, name="oidc_callback", listening=self.listening, longest_line=longest)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        name = self._issuer(request.path)
        if name is None or request.method != "GET":
            return web.Response(status=404, headers=HEADERS)
        if self._free.locked():
            return self._page(request, "busy", 503)
        async with self._free:
            page = await self._arrived(name, request)
        return self._page(request, page.key, _STATUS[page.key], page.number)

    async def _arrived(self, name: str, request: web.BaseRequest) -> LoginPage:
        query = request.query
        if any(len(query.getall(key)) != 1 for key in query):  # a repeated parameter is ambiguous
            return LoginPage("stale")
        return await self._oidc.arrived(name, dict(query))

    def _issuer(self, path: str) -> str | None:
        for start in self._paths:
            if path.startswith(start) and "/" not in path[len(start) :]:
                return path[len(start) :]
        return None

    def _page(self, request: web.BaseRequest, key: str, status: int, number: str = "") -> web.Response:
        language = "zh" if request.headers.get("Accept-Language", "").strip().lower().startswith("zh") else "en"
        title = self._texts.text(language, "oidc.page.title")
        said = [f"<p>{html.escape(each)}</p>" for each in self._texts.text(language, f"oidc.page.{key}").splitlines()]
        shown = f"<h1>{html.escape(number)}</h1>" if number else ""
        text = (
            f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width"><title>{html.escape(title)}</title></head>'
            f"<body>{shown}{''.join(said)}</body></html>"
        )
        return web.Response(status=status, text=text, content_type="text/html", headers=HEADERS)
