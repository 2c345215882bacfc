"""HTTPS to other servers: connections, and one request with bounds.

Rules this module keeps:
- TLS always, with a certificate for the name that the specification wants; an authority of one's own can be added.
- Nobody can make us ask a machine of a private network by naming it, unless `may_ask` allows it.
- A request has a deadline and follows no redirects; there are no cookies; an answer is of bounded length.
- What gives no usable answer raises `ServerUnreachable`.

Left to others: which server to ask (`resolve.py`), what is asked and what the answer means (`client.py`).
"""

import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL

from bot.matrix.find_homeserver import is_public
from bot.matrix.http import read_up_to
from bot.outside.gate import may_send
from bot.outside.http import http_session

from .errors import ServerUnreachable

_CONNECT_S = 10.0
_MOST_CONNECTIONS, _MOST_PER_SERVER = 256, 4


@dataclass(frozen=True, slots=True)
class Destination:
    """An address at which a server is reached, its `Host` header, and the name that its certificate must have."""

    host: str
    port: int
    host_header: str
    tls_name: str


@dataclass(frozen=True, slots=True)
class ServerReply:
    """The answer to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def tls_context(authority: Path | None = None) -> ssl.SSLContext:
    """Return the TLS settings: the system's authorities, and those of a PEM file. Raises `OSError` (`ssl.SSLError`)."""
    context = ssl.create_default_context()
    if authority is not None:
        context.load_verify_locations(authority)
    return context


class Connections:
    """The connections to all servers. The first request opens the session, inside the running loop."""

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        may_ask: Callable[[str], bool] = is_public,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._tls = tls or tls_context()
        self._may_ask = may_ask
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        where: Destination,
        method: str,
        target: str,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        most_bytes: int = 65_536,
        within_s: float = 20.0,
    ) -> ServerReply:
        """Send a request; `target` is path and query, quoted already. Raises `ServerUnreachable`."""
        self._refuse_private(where.host)
        shown = f"[{where.host}]" if ":" in where.host else where.host
        sent = {"User-Agent": "Answerable", "Host": where.host_header, **(headers or {})}
        await may_send()
        try:
            url = URL(f"https://{shown}:{where.port}{target}", encoded=True)
            async with self._opened().request(
                method,
                url,
                data=data,
                headers=sent,
                allow_redirects=False,
                server_hostname=where.tls_name,
                timeout=aiohttp.ClientTimeout(total=within_s, connect=min(_CONNECT_S, within_s)),
            ) as response:
                body = await read_up_to(response, most_bytes)
                if len(body) > most_bytes:
                    raise ServerUnreachable(f"an answer of more than {most_bytes} bytes")
                return ServerReply(response.status, response.headers.copy(), body)
        except TimeoutError:
            raise ServerUnreachable(f"no answer within {within_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ServerUnreachable(str(error) or type(error).__name__) from None

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = http_session(
                tls=self._tls,
                resolver=_PublicNames(self._resolver or DefaultResolver(), self._may_ask),
                most=_MOST_CONNECTIONS,
                most_per_host=_MOST_PER_SERVER,
            )
        return self._session

    def _refuse_private(self, host: str) -> None:
        try:
            allowed = self._may_ask(host)
        except ValueError:  # a name: it is looked up by `_PublicNames`
            return
        if not allowed:
            raise ServerUnreachable(f"{host} is in a private network")


class _PublicNames(AbstractResolver):
    """Looks hosts up, and refuses those that lead into a private network."""

    def __init__(self, inner: AbstractResolver, may_ask: Callable[[str], bool]) -> None:
        self._inner, self._may_ask = inner, may_ask

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raises `OSError`."""
        found = await self._inner.resolve(host, port, family)
        if not all(self._may_ask(each["host"]) for each in found):
            raise OSError(f"{host} is in a private network")
        return found

    async def close(self) -> None:
        """Close the resolver."""
        await self._inner.close()
