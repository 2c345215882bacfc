"""The way from the name of a server to its address: its file and its SRV records, in the order of the specification.

Rules this module keeps:
- A name is looked up once at a time, and what was found is kept for as long as its file may be (`well_known.py`); SRV
  records for an hour.
- At most `_MOST_NAMES` names are kept; the one asked for longest ago goes.

Specification: server-server API v1.19, "Resolving server names".
"""

from dataclasses import dataclass

from bot.runtime.clock import Clock, wall_clock
from bot.runtime.newest import Newest

from . import srv
from .connections import Connections, Destination
from .errors import ServerUnreachable
from .server_names import ServerAddress, parse_server_name
from .shared_work import SharedWork
from .well_known import Delegation, WellKnownFiles

PORT = 8448
_MOST_NAMES = 10_000
_MOST_AT_A_TIME = 256
_SRV_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class _Found:
    destination: Destination
    file: Delegation
    until_ms: int


class ServerResolver:
    """Finds servers by their names."""

    def __init__(
        self, connections: Connections, *, clock: Clock = wall_clock, lookup: srv.SrvLookup = srv.look_up
    ) -> None:
        self._files = WellKnownFiles(connections, clock)
        self._clock, self._lookup = clock, lookup
        self._found: Newest[str, _Found] = Newest(_MOST_NAMES)
        self._work: SharedWork[Destination] = SharedWork(_MOST_AT_A_TIME)

    async def resolve(self, name: str) -> Destination:
        """Return where a server is reached. Raises `ServerUnreachable` if it has no server name."""
        parts = parse_server_name(name)
        if parts is None:
            raise ServerUnreachable(f"no name of a server: {name[:80]!r}")
        if parts.is_ip or parts.port is not None:  # steps 1 and 2
            return _direct(name, parts)
        found = self._found.get(name)
        if found is not None and self._clock() < found.until_ms:
            self._found.move_to_end(name)
            return found.destination
        return await self._work.result(name, lambda: self._look_up(name))

    async def close(self) -> None:
        """End the lookups that are running."""
        await self._work.close()

    async def _look_up(self, name: str) -> Destination:
        before = self._found.get(name)
        file = await self._files.read(name, before.file if before else None)
        destination, until_ms = await self._delegated(file.server or name, file.ask_again_ms)
        self._found[name] = _Found(destination, file, until_ms)
        return destination

    async def _delegated(self, server: str, until_ms: int) -> tuple[Destination, int]:
        """Return steps 3.1 to 3.5 for the server that a file names, or steps 4 to 6 for the name itself."""
        parts = parse_server_name(server)
        if parts is None:
            raise ServerUnreachable(f"no name of a server: {server[:80]!r}")
        if parts.is_ip or parts.port is not None:
            return _direct(server, parts), until_ms
        place = await srv.place_of(server, self._lookup)
        host, port = place or (server, PORT)
        return Destination(host, port, server, server), min(until_ms, self._clock() + _SRV_MS)


def _direct(name: str, parts: ServerAddress) -> Destination:
    return Destination(parts.host, parts.port or PORT, name, parts.host)
