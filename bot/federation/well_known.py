"""The file in which a server says who answers for it: `/.well-known/matrix/server`.

Rules this module keeps:
- Redirects are followed a few times, over https only.
- What the file says is kept as long as its headers say, at least five minutes and at most two days; a day by default.
- A failure is kept for a minute, twice as long after each further one, up to an hour. Meanwhile what the file said
  last counts, for two days.

Specification: server-server API v1.19, "Resolving server names", step 3; RFC 9111, 5.2.2.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

from yarl import URL

from bot.crypto.encoding import MalformedKey, parse
from bot.runtime.clock import Clock

from .connections import Connections, Destination, ServerReply
from .errors import ServerUnreachable
from .server_names import is_server_name

PATH = "/.well-known/matrix/server"
_REDIRECTS = 5
_MOST_BYTES = 51_200
_WITHIN_S = 10.0
_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
_SHORTEST_MS, _DEFAULT_MS, _LONGEST_MS = 5 * _MINUTE_MS, 24 * _HOUR_MS, 48 * _HOUR_MS
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
_NOT_KEPT = re.compile(r"(?:^|[,\s])no-(?:store|cache)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Delegation:
    """The known content of a file: the server that it names, or "" if it names none, and when to ask again."""

    server: str
    ask_again_ms: int
    said_ms: int = 0  # when the file said it
    failures: int = 0


class WellKnownFiles:
    """Reads the files of servers."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections, self._clock = connections, clock

    async def read(self, host: str, before: Delegation | None) -> Delegation:
        """Return what the file of a host says now, given what was known of it before. Never raises."""
        try:
            reply = await self._followed(host)
            server = _server_in(reply)
        except (ServerUnreachable, MalformedKey, ValueError):
            return self._failed(before)
        now = self._clock()
        return Delegation(server, now + _kept_ms(reply.headers, now), said_ms=now)

    def _failed(self, before: Delegation | None) -> Delegation:
        now, failures = self._clock(), before.failures + 1 if before else 1
        wait = min(_MINUTE_MS * 2 ** min(failures - 1, 10), _HOUR_MS)
        if before is not None and before.server and now - before.said_ms < _LONGEST_MS:
            return Delegation(before.server, now + wait, before.said_ms, failures)
        return Delegation("", now + wait, failures=failures)

    async def _followed(self, host: str) -> ServerReply:
        url = URL.build(scheme="https", host=host, path=PATH)
        for _ in range(_REDIRECTS + 1):
            if url.scheme != "https" or not url.host:
                raise ServerUnreachable("the file leads away from https")
            where = Destination(url.host, url.port or 443, url.host_port_subcomponent or url.host, url.host)
            reply = await self._connections.ask(
                where, "GET", url.raw_path_qs, most_bytes=_MOST_BYTES, within_s=_WITHIN_S
            )
            place = reply.headers.get("Location", "")
            if not (300 <= reply.status < 400 and place):
                return reply
            url = URL(urljoin(str(url), place))
        raise ServerUnreachable("the file leads in circles")


def _server_in(reply: ServerReply) -> str:
    server = parse(reply.body).get("m.server") if reply.status == 200 else None
    if not isinstance(server, str) or not is_server_name(server):
        raise MalformedKey("the file names no server")
    return server


def _kept_ms(headers: Mapping[str, str], now: int) -> int:
    control = headers.get("Cache-Control", "")
    if _NOT_KEPT.search(control):
        return _SHORTEST_MS
    age = _MAX_AGE.search(control)
    told = int(age[1]) * 1000 if age else _until_ms(headers.get("Expires", ""), now)
    return min(max(_DEFAULT_MS if told is None else told, _SHORTEST_MS), _LONGEST_MS)


def _until_ms(expires: str, now: int) -> int | None:
    try:
        return int(parsedate_to_datetime(expires).timestamp() * 1000) - now
    except (ValueError, TypeError, OverflowError):
        return None if not expires else 0
