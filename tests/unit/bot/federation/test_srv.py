"""SRV records are read from a real DNS server, and one that fails is as if it had none."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import cast

import dns.asyncresolver
import dns.message
import dns.rcode
import dns.rrset

from bot.federation.srv import SrvRecord, look_up, place_of

RECORDS = {"_matrix-fed._tcp.example.org.": ["10 5 443 m.example.org.", "20 0 8448 other.example.org."]}


class Dns(asyncio.DatagramProtocol):
    """A DNS server that knows some SRV records."""

    def __init__(self, records: Mapping[str, list[str]], *, broken: bool = False) -> None:
        self._records, self._broken = records, broken
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # not a subclass before Python 3.12

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        asked = dns.message.from_wire(data)
        answer = dns.message.make_response(asked)
        name = asked.question[0].name.to_text()
        if self._broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif name in self._records:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "SRV", *self._records[name]))
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(answer.to_wire(), addr)


@asynccontextmanager
async def resolver_of(server: Dns) -> AsyncIterator[dns.asyncresolver.Resolver]:
    """Run a DNS server on loopback."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: server, ("127.0.0.1", 0))
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]
    yield resolver
    transport.close()


async def test_records_are_read() -> None:
    async with resolver_of(Dns(RECORDS)) as resolver:
        assert sorted(await look_up("_matrix-fed._tcp.example.org", resolver)) == [
            SrvRecord(10, 5, 443, "m.example.org"),
            SrvRecord(20, 0, 8448, "other.example.org"),
        ]
        assert await look_up("_matrix._tcp.example.org", resolver) == []
        assert await place_of("example.org", lambda name: look_up(name, resolver)) == ("m.example.org", 443)
        assert await place_of("other.example", lambda name: look_up(name, resolver)) is None


async def test_a_service_that_is_said_not_to_be_there_is_not_there() -> None:
    async with resolver_of(Dns({"_matrix-fed._tcp.example.org.": ["0 0 0 ."]})) as resolver:
        assert await place_of("example.org", lambda name: look_up(name, resolver)) is None


async def test_a_lookup_that_fails_finds_nothing() -> None:
    async with resolver_of(Dns(RECORDS, broken=True)) as resolver:
        assert await look_up("_matrix-fed._tcp.example.org", resolver) == []
        assert await look_up("no name" * 50, resolver) == []
