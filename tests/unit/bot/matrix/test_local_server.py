"""The small server inside the bot: it accepts few connections, and none that makes no request."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from bot.matrix import local_server
from bot.matrix.local_server import MOST_CONNECTIONS, serve
from tests.fakes.ports import free_port


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async def answer(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="here")

    port, listening = free_port(), asyncio.Event()
    serving = asyncio.create_task(
        serve(answer, ("127.0.0.1", port), name="test", listening=listening, longest_line=1_000)
    )
    await listening.wait()
    yield port
    serving.cancel()
    await asyncio.wait({serving})


async def get(port: int) -> str:
    async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}/") as answer:
        return await answer.text()


async def idle(port: int, said: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    await writer.drain()
    return reader, writer


async def closed(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_idle_connections_keep_nobody_out(port: int, said: bytes) -> None:
    waiting = [await idle(port, said) for _ in range(3 * MOST_CONNECTIONS)]
    assert await get(port) == "here"
    async with asyncio.timeout(120):  # the oldest make room
        for reader, _ in waiting[:MOST_CONNECTIONS]:
            assert await closed(reader)
    for _, writer in waiting:
        writer.close()


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_request_has_to_begin_soon(port: int, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(local_server, "HEADERS_WITHIN_S", 0.05)
    reader, writer = await idle(port, said)
    async with asyncio.timeout(120):
        assert await closed(reader)
    writer.close()


async def test_a_connection_serves_one_request(port: int) -> None:
    reader, writer = await idle(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(120):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"Connection: close" in answer
    writer.close()
