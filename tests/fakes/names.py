"""Names of hosts that all lead to one port of this machine."""

import socket

from aiohttp.abc import AbstractResolver, ResolveResult


class Names(AbstractResolver):
    """Sends every host to one port; those in `private` to an address that counts as private."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.private: set[str] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del port, family
        if host.endswith(".invalid"):
            raise OSError("Name or service not known")
        address = "127.0.0.2" if host in self.private else "127.0.0.1"
        return [ResolveResult(hostname=host, host=address, port=self._port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        pass
