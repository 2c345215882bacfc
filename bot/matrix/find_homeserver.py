"""The address of a homeserver, found from what an operator typed: its address, or only the server's name.

Rules kept here:
- A name is looked up in `https://NAME/.well-known/matrix/client`. If that names no homeserver, NAME itself is asked.
- An address is taken as it was typed. If no homeserver is there, the same file of its host is looked up.
- An address that a server names (a redirect of the file, the homeserver in it) is followed over https only, and never
  to a machine in a private network, unless that is the host that the operator typed.
- A homeserver is one that answers `/versions`.

Left to others: asking the operator (`bot/cli/init/ask_homeserver.py`).

Specification: Matrix client-server API v1.19, "Server Discovery", "Well-known URIs".
"""

import os
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Literal
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL

from bot.outside.http import http_session
from moderation.values.errors import AnswerableError, Invalid

from .errors import one_line
from .http import clean_url, decode, read_up_to

Fault = Literal["address", "name", "refused", "time", "certificate", "not_matrix", "unsafe"]

_TIMEOUT = aiohttp.ClientTimeout(total=15, connect=10)
_MOST_BYTES = 65_536
_REDIRECTS = 5
_NAT64, _COMPATIBLE = IPv6Network("64:ff9b::/96"), IPv6Network("::/96")


@dataclass(frozen=True, slots=True)
class FoundHomeserver:
    """The address of a homeserver; `named_by` is the address of the file that names it, or "" if it was typed."""

    url: str
    named_by: str = ""


class NoHomeserver(AnswerableError):
    """There is no homeserver at `url`. `named_by` is what led there, if it was not typed."""

    def __init__(self, fault: Fault, url: str, detail: str = "", named_by: str = "") -> None:
        super().__init__(f"{url}: {fault}: {detail}")
        self.fault: Fault = fault
        self.url = url
        self.detail = one_line(detail)
        self.named_by = named_by


class _PrivateAddress(OSError):
    """The name of a host leads into a private network."""


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the internet, and not of this machine or a private network."""
    ip = ip_address(address)
    inner = _inner(ip) if isinstance(ip, IPv6Address) else None
    return ip.is_global and not ip.is_multicast and (inner is None or inner.is_global)


def _inner(ip: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address to which an IPv6 address is translated on the way, if it is of that kind."""
    if ip in _NAT64 or ip in _COMPATIBLE:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour


class HomeserverFinder:
    """Finds homeservers. `tls`, `resolver` and `public` are those of the system unless they are given."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        public: Callable[[str], bool] = is_public,
    ) -> None:
        self._tls, self._resolver, self._public = tls, resolver, public

    async def find(self, typed: str) -> FoundHomeserver:
        """Return the homeserver of a name or address. Raises `NoHomeserver`."""
        text = typed.strip()
        try:
            url = URL(clean_url(text if "://" in text else f"https://{text}"))
        except Invalid:
            raise NoHomeserver("address", text) from None
        guard = _Guard(self._resolver or DefaultResolver(), url.host or "", self._public)
        async with http_session(timeout=_TIMEOUT, tls=self._tls or True, resolver=guard, keeps=False) as http:
            search = _Search(http, guard)
            return await (search.by_address(url) if "://" in text else search.by_name(url))


class _Guard(AbstractResolver):
    """Looks up hosts, and refuses those of private networks, except the host that was typed."""

    def __init__(self, inner: AbstractResolver, typed: str, public: Callable[[str], bool]) -> None:
        self._inner, self._typed, self._public = inner, typed, public

    def refuses(self, url: URL) -> bool:
        """Tell whether an address that a server named may not be followed; names of hosts are looked up later."""
        if url.scheme != "https":
            return True
        return url.host != self._typed and _is_ip(url.host or "") and not self._public(url.host or "")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Look up a host. Raises `_PrivateAddress` if one of its addresses may not be asked."""
        found = await self._inner.resolve(host, port, family)
        if host != self._typed and not all(self._public(each["host"]) for each in found):
            raise _PrivateAddress(f"{host} is in a private network")
        return found

    async def close(self) -> None:
        """Close the resolver."""
        await self._inner.close()


@dataclass(frozen=True, slots=True)
class _Search:
    """The requests of one search."""

    http: aiohttp.ClientSession
    guard: _Guard

    async def by_address(self, url: URL) -> FoundHomeserver:
        try:
            await self._must_be_homeserver(url)
        except NoHomeserver:
            named = await self._named(url) if url.scheme == "https" else None
            if named is None:
                raise
            return await self._checked(*named)
        return FoundHomeserver(_plain(url))

    async def by_name(self, url: URL) -> FoundHomeserver:
        named = await self._named(url)
        if named is not None:
            return await self._checked(*named)
        await self._must_be_homeserver(url)
        return FoundHomeserver(_plain(url))

    async def _checked(self, url: URL, named_by: str) -> FoundHomeserver:
        if self.guard.refuses(url):
            raise NoHomeserver("unsafe", _plain(url), named_by=named_by)
        await self._must_be_homeserver(url, named_by)
        return FoundHomeserver(_plain(url), named_by)

    async def _named(self, url: URL) -> tuple[URL, str] | None:
        """Return the homeserver that the file of a server names, and the file's address; None if it names none."""
        first = file = url.origin() / ".well-known" / "matrix" / "client"
        for _ in range(_REDIRECTS):
            try:
                status, place, answer = await self._get(file, str(first) if file != first else "")
            except NoHomeserver as error:
                if error.fault == "unsafe":
                    raise
                return None
            if 300 <= status < 400 and place:
                file = URL(urljoin(str(file), place))
                if self.guard.refuses(file):
                    raise NoHomeserver("unsafe", str(file), named_by=str(first))
                continue
            return _base_url(answer, str(first)) if status == 200 else None
        return None

    async def _must_be_homeserver(self, url: URL, named_by: str = "") -> None:
        asked = URL(f"{_plain(url)}/_matrix/client/versions")
        status, place, answer = await self._get(asked, named_by)
        if status != 200 or not isinstance(answer.get("versions"), list):
            raise NoHomeserver("not_matrix", _plain(url), f"{status} {place}".strip(), named_by)

    async def _get(self, url: URL, named_by: str) -> tuple[int, str, Mapping[str, Any]]:
        """Return the status, the place of a redirect, and the answer if it is a JSON object."""
        shown = str(url.origin()) if url.path.endswith("/versions") else str(url)
        try:
            async with self.http.get(url, allow_redirects=False) as response:
                body = await read_up_to(response, _MOST_BYTES)
                return response.status, response.headers.get("Location", ""), _json(body)
        except TimeoutError:
            raise NoHomeserver("time", shown, named_by=named_by) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            fault = _fault_of(error)
            raise NoHomeserver(fault, url.host or "" if fault == "name" else shown, _why(error), named_by) from None


def _fault_of(error: Exception) -> Fault:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "unsafe" if isinstance(error.os_error, _PrivateAddress) else "name"
    if isinstance(error, aiohttp.ClientSSLError):
        return "certificate"
    return "refused" if isinstance(error, aiohttp.ClientConnectorError | OSError) else "not_matrix"


def _why(error: Exception) -> str:
    """Return what the system or the TLS library says, without aiohttp's words around it."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorDNSError) or not isinstance(error, aiohttp.ClientConnectorError):
        return str(getattr(error, "strerror", "") or error)
    number = error.os_error.errno
    return os.strerror(number) if isinstance(number, int) and number > 0 else str(error.os_error)


def _base_url(answer: Mapping[str, Any], named_by: str) -> tuple[URL, str] | None:
    named = answer.get("m.homeserver")
    base = named.get("base_url") if isinstance(named, dict) else None
    try:
        return (URL(clean_url(base)), named_by) if isinstance(base, str) else None
    except Invalid:
        return None


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        answer = decode(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _plain(url: URL) -> str:
    return str(url).rstrip("/")
