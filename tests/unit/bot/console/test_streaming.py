"""Pages in pieces: each piece is there before the next is known, and the work ends when the browser goes away."""

import asyncio
from collections.abc import AsyncGenerator

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from bot.console.streaming import StreamedPage


async def test_a_piece_is_sent_before_the_next_is_known() -> None:
    go_on, ended = asyncio.Event(), asyncio.Event()

    async def pieces() -> AsyncGenerator[str]:
        try:
            yield "<p>first"
            await go_on.wait()
            for _ in range(1_000):
                yield "<p>more" * 1_000
        finally:
            ended.set()

    async def page(_request: web.Request) -> web.StreamResponse:
        answer = StreamedPage(pieces())
        answer.enable_compression()
        return answer

    app = web.Application()
    app.router.add_get("/", page)
    async with TestServer(app) as server, ClientSession() as session:
        async with session.get(server.make_url("/")) as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")
            assert await answer.content.readany() == b"<p>first"
            go_on.set()
        await asyncio.wait_for(ended.wait(), 120)  # the browser is gone
