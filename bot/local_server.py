"""A small HTTP server in the bot's own process.

Rules kept here: no access log, since addresses may hold what is secret; a port that is taken is tried again, and
nothing else waits for it; requests are short, and so is the time for which a connection is kept.
Left to others: what is answered, where to listen (each has its settings).
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

log = structlog.get_logger()

_AGAIN_S = 30.0

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


async def serve(
    handler: Handler, address: tuple[str, int], *, name: str, listening: asyncio.Event, longest_line: int
) -> None:
    """Serve until cancelled. `name` is what the events in the log begin with."""
    server = web.Server(handler, access_log=None, keepalive_timeout=5.0, max_line_size=longest_line)
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
