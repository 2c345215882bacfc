"""Plug-ins for tests: each behaves as the test says, on a Unix socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

SOCKET = "plugin.sock"

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def plugin(folder: Path, behaviour: Behaviour) -> AsyncIterator[Path]:
    """Run a plug-in that behaves so on each connection."""
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await behaviour(reader, writer)
        except (asyncio.CancelledError, OSError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_unix_server(serve, folder / SOCKET)
    try:
        yield folder / SOCKET
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def says(answer: bytes, seen: list[Any] | None = None) -> Behaviour:
    """Return a plug-in that reads the whole question and then says this."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = json.loads(await reader.readline())
        data = await reader.readexactly(question["size"])
        if seen is not None:
            seen.append((question, data))
        writer.write(answer)
        await writer.drain()

    return behaviour
