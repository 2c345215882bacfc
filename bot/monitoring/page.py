"""The pages for monitoring, ``/health`` and ``/metrics``: on this machine alone, and only if the settings ask for it.

``/health`` is JSON: `healthy`, `role` (`report.py`) and `reasons` (codes: `health.py`, `standby_health.py`); the status
is 200, or 503 if there are any.

Rules kept here:
- Only this machine is answered; a browser on it that was led here under another name is not.
- A request changes nothing.
- One server answers as long as the process runs, so the port stays open while a standby becomes the leader.

Left to others: serving (`bot/matrix/local_server.py`), what is said (`report.py`).
"""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager

import orjson
from aiohttp import web

from bot.config.oidc import is_loopback, listen_address
from bot.matrix.local_server import serve
from bot.runtime.works import meanwhile

from .metrics import CONTENT_TYPE
from .report import Source, starting

_LONGEST_LINE = 1_000
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class WatchPage:
    """The server of both pages. Without an address it serves nothing."""

    def __init__(self, listen: str | None) -> None:
        self._address = listen_address(listen) if listen else None
        self._sources: list[Source] = [starting]
        self.listening = asyncio.Event()

    def served(self) -> AbstractAsyncContextManager[None]:
        """Serve in this block."""
        return meanwhile(self._serve())

    @contextmanager
    def showing(self, source: Source) -> Iterator[None]:
        """Show what `source` says, in this block; blocks end in reverse order."""
        self._sources.append(source)
        try:
            yield
        finally:
            self._sources.pop()

    async def _serve(self) -> None:
        if self._address is not None:
            await serve(self._handle, self._address, name="watch", listening=self.listening, longest_line=_LONGEST_LINE)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not is_loopback(_host(request)):
            return web.Response(status=421, headers=_HEADERS)  # Misdirected Request (RFC 9110, 15.5.20)
        if request.method not in ("GET", "HEAD") or request.path not in ("/health", "/metrics"):
            return web.Response(status=404, headers=_HEADERS)
        report = await self._sources[-1]()
        if request.path == "/metrics":
            return web.Response(body=report.metrics.encode(), headers={**_HEADERS, "Content-Type": CONTENT_TYPE})
        body = orjson.dumps({"healthy": not report.reasons, "role": report.role, "reasons": report.reasons})
        return web.Response(
            body=body, status=503 if report.reasons else 200, headers={**_HEADERS, "Content-Type": "application/json"}
        )


def _host(request: web.BaseRequest) -> str:
    """Return the name under which we were asked, without the port."""
    host = request.headers.get("Host", "")
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
