"""A small HTTP server in the bot's own process.

Rules kept here:
- No access log, since addresses may hold secrets.
- A port that is taken is tried again, and nothing else waits for it.
- A connection serves one request, which must begin within seconds; or, for a program that asks all the time, one after
  the other.
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

    def __init__(self, handler: Handler, *, longest_line: int, most: int, keep_s: float) -> None:
        super().__init__(self._next, access_log=None, max_line_size=longest_line, keepalive_timeout=keep_s)
        self._answer = handler
        self._most = most
        self._keep_s = keep_s
        self._waiting: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}  # idle ones, the oldest first

    def __call__(self) -> web.RequestHandler:
        """Make the protocol of a connection that has been accepted."""
        if len(self.connections) >= self._most and self._waiting:
            self._close(next(iter(self._waiting)))
        protocol = super().__call__()
        self._waits(protocol, HEADERS_WITHIN_S)
        return protocol

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Note a connection; refuse it if all others have requests that are being answered."""
        super().connection_made(handler, transport)
        if len(self.connections) > self._most:
            transport.abort()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Forget a connection."""
        self._begun(handler)
        super().connection_lost(handler, exc)

    async def _next(self, request: web.BaseRequest) -> web.StreamResponse:
        self._begun(request.protocol)
        response = await self._answer(request)
        if self._keep_s:
            self._waits(request.protocol, self._keep_s)
        else:
            response.force_close()
        return response

    def _waits(self, protocol: asyncio.BaseProtocol, within_s: float) -> None:
        """Close a connection unless a request begins within this time."""
        loop = asyncio.get_running_loop()
        self._waiting[protocol] = loop.call_later(within_s, self._close, protocol)

    def _begun(self, protocol: asyncio.BaseProtocol) -> None:
        if (timer := self._waiting.pop(protocol, None)) is not None:
            timer.cancel()

    def _close(self, protocol: asyncio.BaseProtocol) -> None:
        self._begun(protocol)
        transport = getattr(protocol, "transport", None)
        if transport is not None:
            transport.abort()


async def serve(
    handler: Handler,
    address: tuple[str, int],
    *,
    name: str,
    listening: asyncio.Event,
    longest_line: int,
    most: int = MOST_CONNECTIONS,
    keep_s: float = 0,
) -> None:
    """Serve until cancelled. `name` is the prefix of the server's events in the log.

    At most `most` connections are open. Each is kept for `keep_s` after an answer; 0: it serves one request.
    """
    server = _Server(handler, longest_line=longest_line, most=most, keep_s=keep_s)
    runner = web.ServerRunner(server, shutdown_timeout=2.0)
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
