"""Names of servers.

Specification: appendices v1.19, "Server Name".
"""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

_LONGEST = 230  # "The length of the complete server name should not exceed 230 characters"
_NAME = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z.-]{1,255})(?::(?P<port>[0-9]{1,5}))?\Z")
_MOST_PORT = 65_535


class ServerAddress(NamedTuple):
    """The parts of a server name. `host` of an IPv6 address has no brackets; `port` is None if none is given."""

    host: str
    port: int | None
    is_ip: bool


def is_server_name(text: object) -> bool:
    """Tell whether `text` has the form of a server name."""
    return isinstance(text, str) and parse_server_name(text) is not None


def parse_server_name(text: str) -> ServerAddress | None:
    """Return the parts of a server name, or None if it is none."""
    found = _NAME.match(text) if len(text) <= _LONGEST else None
    if found is None:
        return None
    host, digits = found["host"], found["port"]
    port = int(digits) if digits else None
    if port is not None and not 0 < port <= _MOST_PORT:
        return None
    if host.startswith("["):
        return ServerAddress(host[1:-1], port, is_ip=True) if _is_ip(host[1:-1], IPv6Address) else None
    if host.replace(".", "").isdigit():
        return ServerAddress(host, port, is_ip=True) if _is_ip(host, IPv4Address) else None
    return ServerAddress(host, port, is_ip=False) if _has_labels(host) else None


def _has_labels(host: str) -> bool:
    return all(0 < len(label) <= 63 for label in host.split("."))


def _is_ip(host: str, kind: type[IPv4Address] | type[IPv6Address]) -> bool:
    try:
        kind(host)
    except ValueError:
        return False
    return True
