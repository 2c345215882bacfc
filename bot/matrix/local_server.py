"""A small HTTP server in the bot's own process.

Rules kept here:
- No access log, since addresses may hold secrets.
- A port that is taken is tried again, and nothing else waits for it.
- A connection serves one request, which must begin within seconds.
- The number of open connections is limited. If one more comes, the one that has waited longest without a request is
  closed.

Left to others: what is answered, where to listen (each server has its settings).
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

log = structlog.get_logger()

MOST_CONNECTIONS = 32
HEADERS_WITHIN_S = 5.0
_AGAIN_S = 30.0

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class _Server(web.Server):
    """A server that keeps few connections, and closes those that ask for nothing."""

    def __init__(self, handler: Handler, *, longest_line: int) -> None:
        super().__init__(self._once, access_log=None, max_line_size=longest_line)
        self._answer = handler
        self._waiting: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}  # idle ones, the oldest first

    def __call__(self) -> web.RequestHandler:
        """Make the protocol of a connection that has been accepted."""
        if len(self.connections) >= MOST_CONNECTIONS and self._waiting:
            self._close(next(iter(self._waiting)))
        protocol = super().__call__()
        loop = asyncio.get_running_loop()
        self._waiting[protocol] = loop.call_later(HEADERS_WITHIN_S, self._close, protocol)
        return protocol

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Note a connection; refuse it if all others have requests that are being answered."""
        super().connection_made(handler, transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Forget a connection."""
        self._begun(handler)
        super().connection_lost(handler, exc)

    async def _once(self, request: web.BaseRequest) -> web.StreamResponse:
        self._begun(request.protocol)
        response = await self._answer(request)
        response.force_close()
        return response

    def _begun(self, protocol: asyncio.BaseProtocol) -> None:
        if (timer := self._waiting.pop(protocol, None)) is not None:
            timer.cancel()

    def _close(self, protocol: asyncio.BaseProtocol) -> None:
        self._begun(protocol)
        transport = getattr(protocol, "transport", None)
        if transport is not None:
            transport.abort()


async def serve(
    handler: Handler, address: tuple[str, int], *, name: str, listening: asyncio.Event, longest_line: int
) -> None:
    """Serve until cancelled. `name` is the prefix of the server's events in the log."""
    runner = web.ServerRunner(_Server(handler, longest_line=longest_line), shutdown_timeout=2.0)
    await runner.setup()
    try:
        await _bind(runner, address, name)
        listening.set()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def _bind(runner: web.ServerRunner, address: tuple[str, int], name: str) -> None:
    host, port = address
    while True:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            log.warning(f"{name}_not_listening", host=host, port=port, why=error.strerror or str(error))
            await asyncio.sleep(_AGAIN_S)
        else:
            log.info(f"{name}_listening", host=host, port=port)
            return
