"""SRV records: on which host and port a server says in DNS that it is.

Rules this module keeps:
- A lookup that fails for any reason is as if there were no record; the next step of the specification follows.
- Of several records the one of the lowest priority counts, and of those the heaviest. (Spreading load over a server's
  machines is not our task.)

Specification: server-server API v1.19, "Resolving server names"; RFC 2782.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver

from .server_names import is_server_name

_WITHIN_S = 5.0
SERVICES = ("_matrix-fed._tcp", "_matrix._tcp")  # the second is deprecated, and still in use


class SrvRecord(NamedTuple):
    """One record."""

    priority: int
    weight: int
    port: int
    host: str


SrvLookup = Callable[[str], Awaitable[list[SrvRecord]]]  # never raises


async def look_up(name: str, resolver: dns.asyncresolver.Resolver | None = None) -> list[SrvRecord]:
    """Return the SRV records of a name, or none. `resolver` is that of the system unless it is given."""
    try:
        asked = resolver or dns.asyncresolver.get_default_resolver()
        found = await asked.resolve(name, dns.rdatatype.SRV, search=False, lifetime=_WITHIN_S)
    except (dns.exception.DNSException, OSError):
        return []
    return [SrvRecord(each.priority, each.weight, each.port, str(each.target).rstrip(".")) for each in found]


async def place_of(host: str, lookup: SrvLookup) -> tuple[str, int] | None:
    """Return host and port by the SRV records of a host, or None if it has none."""
    for service in SERVICES:
        records = [each for each in await lookup(f"{service}.{host}") if each.port and is_server_name(each.host)]
        if records:
            best = min(records, key=lambda each: (each.priority, -each.weight, each.host))
            return best.host, best.port
    return None
