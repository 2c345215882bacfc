"""A proxy on loopback that terminates TLS, as one stands in front of a policy server."""

import asyncio
import contextlib
import ssl
from types import TracebackType
from typing import Self

from .authority import TlsAuthority


class TlsFront:
    """Hands connections on to a port of this machine. Use it as ``async with TlsFront(authority, port) as front``."""

    def __init__(self, authority: TlsAuthority, onward: int) -> None:
        self._authority = authority
        self._onward = onward
        self._server: asyncio.Server | None = None
        self.name = ""  # among servers: `localhost:PORT`

    async def __aenter__(self) -> Self:
        tls: ssl.SSLContext = self._authority.server_context(f"front-{self._onward}", "localhost")
        self._server = await asyncio.start_server(self._hand_on, "127.0.0.1", 0, ssl=tls)
        self.name = f"localhost:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward = await asyncio.open_connection("127.0.0.1", self._onward)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pour(reader, onward[1]), _pour(onward[0], writer))


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
