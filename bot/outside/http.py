"""Sessions for HTTP requests to the outside; no other module makes any.

Rules kept here:
- A request goes out only while the gate is open: it is asked once more when the connection stands, since opening one
  can take seconds.
- Sessions keep no cookies: none of our protocols has any, and one set by a proxy must not tie two accounts together.

Left to others: what is asked, deadlines, redirects, errors. Code with a deadline of its own
waits at the gate (`gate.may_send`) before the deadline begins.
"""

import ssl
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.abc import AbstractResolver

from .gate import may_send

if TYPE_CHECKING:
    from aiohttp.client import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_NO_DEADLINE = aiohttp.ClientTimeout()


class _Connector(aiohttp.TCPConnector):
    """Hands out a connection, new or kept, only while the gate is open."""

    async def connect(
        self,
        req: "ClientRequest",
        traces: "list[Trace]",
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's
    ) -> "Connection":
        connection = await super().connect(req, traces, timeout)
        try:
            await may_send()
        except BaseException:
            connection.close()
            raise
        return connection


def http_session(
    *,
    timeout: aiohttp.ClientTimeout = _NO_DEADLINE,
    tls: ssl.SSLContext | bool = True,
    resolver: AbstractResolver | None = None,
    keeps: bool = True,
    most: int = 100,
    most_per_host: int = 0,
) -> aiohttp.ClientSession:
    """Return a session for HTTP requests; must be made inside the running loop.

    `keeps`: connections are used again. `most` connections at a time, `most_per_host` of them to one host (0: any).
    """
    connector = _Connector(ssl=tls, resolver=resolver, force_close=not keeps, limit=most, limit_per_host=most_per_host)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout)
