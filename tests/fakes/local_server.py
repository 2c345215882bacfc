"""A web server on loopback: what the fakes of other people's servers share."""

import asyncio
import ssl
from types import TracebackType
from typing import Self

from aiohttp import web


class LocalServer:
    """A server while a block runs; `url` is its address, which ends in `path`. With `tls` it speaks https only."""

    def __init__(self, path: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.url = ""
        self._path = path
        self._tls = tls
        self._closing = asyncio.Event()
        self._runner: web.ServerRunner | None = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http{'s' if self._tls else ''}://{host}:{port}{self._path}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        assert self._runner is not None
        await self._runner.cleanup()
