"""The pages for monitoring, ``/health`` and ``/metrics``: on this machine alone, and only if the settings ask for it.

``/health`` is JSON: `healthy`, and `reasons` (codes, `health.py`); status 200, or 503 if there are any.

Rules kept here:
- Only this machine is answered; a browser on it that was led here under another name is not.
- A request changes nothing, and requests share one look (`vitals.py`).

Left to others: serving (`bot/matrix/local_server.py`).
"""

import asyncio

import orjson
from aiohttp import web

from bot.config.oidc import is_loopback, listen_address
from bot.matrix.local_server import serve

from .health import reasons
from .metrics import CONTENT_TYPE, text
from .vitals import Looker

_LONGEST_LINE = 1_000
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class WatchPage:
    """The server of both pages, while `run` runs."""

    def __init__(self, looker: Looker, listen: str) -> None:
        self._looker = looker
        self._address = listen_address(listen)
        self.listening = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled."""
        await serve(self._handle, self._address, name="watch", listening=self.listening, longest_line=_LONGEST_LINE)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not is_loopback(_host(request)):
            return web.Response(status=421, headers=_HEADERS)  # Misdirected Request (RFC 9110, 15.5.20)
        if request.method not in ("GET", "HEAD") or request.path not in ("/health", "/metrics"):
            return web.Response(status=404, headers=_HEADERS)
        vitals = await self._looker.look()
        if request.path == "/metrics":
            return web.Response(body=text(vitals).encode(), headers={**_HEADERS, "Content-Type": CONTENT_TYPE})
        found = reasons(vitals)
        body = orjson.dumps({"healthy": not found, "reasons": found})
        return web.Response(
            body=body, status=503 if found else 200, headers={**_HEADERS, "Content-Type": "application/json"}
        )


def _host(request: web.BaseRequest) -> str:
    """Return the name under which we were asked, without the port."""
    host = request.headers.get("Host", "")
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
