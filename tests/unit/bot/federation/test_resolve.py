"""Servers are found as the specification says, and nobody leads us into a private network.

All names lead to one TLS server on loopback: 127.0.0.1 stands for the internet, 127.0.0.2 for a private network.
"""

import ssl
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from bot.federation.connections import Connections, Destination
from bot.federation.errors import ServerUnreachable
from bot.federation.resolve import ServerResolver
from bot.federation.srv import SrvRecord
from tests.fakes.certificate import certificate_for, shown_by
from tests.fakes.http_stub import Answer, HttpStub
from tests.fakes.names import Names

NOTHING = Answer(404, b"nothing here")
MINUTE, HOUR = 60_000, 3_600_000
DIRECT = Destination("example.org", 8448, "example.org", "example.org")


def names(server: object, **headers: str) -> Answer:
    return Answer(json={"m.server": server}, headers={name.replace("_", "-"): each for name, each in headers.items()})


class Net:
    """A resolver, the web server to which all names lead, the records of the DNS, and the time."""

    def __init__(self, server: HttpStub, tls: ssl.SSLContext) -> None:
        self.server = server
        self.names = Names(int(server.url.rpartition(":")[2]))
        self.connections = Connections(tls, may_ask=self._may_ask, resolver=self.names)
        self.records: dict[str, list[SrvRecord]] = {}
        self.looked_up: list[str] = []
        self.now = 1_800_000_000_000
        self.resolver = ServerResolver(self.connections, clock=lambda: self.now, lookup=self._records)

    async def find(self, name: str, *answers: Answer) -> Destination:
        self.server.will(*answers)
        return await self.resolver.resolve(name)

    @property
    def asked(self) -> list[str]:
        return [request.headers["Host"] + request.path for request in self.server.requests]

    async def _records(self, name: str) -> list[SrvRecord]:
        self.looked_up.append(name)
        return self.records.get(name, [])

    def _may_ask(self, address: str) -> bool:
        if not address[0].isdigit():
            raise ValueError("a name")
        return address == "127.0.0.1"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    hosts = ("example.org", "*.example.org", "private.example", "127.0.0.1", "127.0.0.2")
    return certificate_for(tmp_path_factory.mktemp("tls") / "server.pem", *hosts)


@pytest.fixture
async def net(certificate: Path) -> AsyncIterator[Net]:
    async with HttpStub(shown_by(certificate)) as server:
        net = Net(server, ssl.create_default_context(cafile=certificate))
        yield net
        await net.resolver.close()
        await net.connections.close()


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("1.2.3.4", Destination("1.2.3.4", 8448, "1.2.3.4", "1.2.3.4")),
        ("[::1]:80", Destination("::1", 80, "[::1]:80", "::1")),
        ("example.org:443", Destination("example.org", 443, "example.org:443", "example.org")),
    ],
)
async def test_an_address_or_a_port_is_taken_as_it_is(net: Net, name: str, where: Destination) -> None:
    assert await net.find(name) == where
    assert (net.asked, net.looked_up) == ([], [])


@pytest.mark.parametrize(
    ("server", "where"),
    [
        ("1.2.3.4", Destination("1.2.3.4", 8448, "1.2.3.4", "1.2.3.4")),
        ("1.2.3.4:443", Destination("1.2.3.4", 443, "1.2.3.4:443", "1.2.3.4")),
        ("m.example.org:443", Destination("m.example.org", 443, "m.example.org:443", "m.example.org")),
        ("m.example.org", Destination("m.example.org", 8448, "m.example.org", "m.example.org")),
    ],
)
async def test_a_server_is_where_its_file_says(net: Net, server: str, where: Destination) -> None:
    assert await net.find("example.org", names(server)) == where
    assert net.asked == ["example.org/.well-known/matrix/server"]
    assert set(net.looked_up) <= {"_matrix-fed._tcp.m.example.org", "_matrix._tcp.m.example.org"}


async def test_records_of_the_dns_give_host_and_port_but_no_certificate(net: Net) -> None:
    net.records["_matrix-fed._tcp.m.example.org"] = [
        SrvRecord(10, 5, 1, "light.example.org"),
        SrvRecord(10, 50, 2, "heavy.example.org"),
        SrvRecord(20, 99, 3, "later.example.org"),
    ]
    where = Destination("heavy.example.org", 2, "m.example.org", "m.example.org")
    assert await net.find("example.org", names("m.example.org")) == where


async def test_without_a_file_the_records_of_the_name_count_and_then_the_name(net: Net) -> None:
    assert await net.find("example.org", NOTHING) == DIRECT
    assert net.looked_up == ["_matrix-fed._tcp.example.org", "_matrix._tcp.example.org"]
    net.records["_matrix._tcp.example.org"] = [SrvRecord(0, 0, 443, "old.example.org")]
    net.now += 2 * HOUR
    assert await net.find("example.org", NOTHING) == Destination("old.example.org", 443, "example.org", "example.org")


@pytest.mark.parametrize("record", [SrvRecord(0, 0, 0, ""), SrvRecord(0, 0, 1, "a\\032b/"), SrvRecord(0, 0, 1, "x:1/")])
async def test_a_record_of_no_service_or_no_host_is_none(net: Net, record: SrvRecord) -> None:
    net.records["_matrix-fed._tcp.example.org"] = [record]
    assert await net.find("example.org", NOTHING) == DIRECT


@pytest.mark.parametrize(
    "bad",
    [
        Answer(body=b"<html>"),
        Answer(json=["m.server"]),
        Answer(json={}),
        names(5),
        names("m.example.org/path"),
        names("https://m.example.org"),
        names(""),
        Answer(500, b'{"m.server": "m.example.org"}'),
        Answer(body=b'{"m.server": "m.example.org", "x": "' + b"x" * 60_000 + b'"}'),
        Answer(body=b'{"m.server":', cut=True),
        Answer(302, headers={"Location": "http://www.example.org/file"}),
        Answer(302, headers={"Location": "https://private.example/file"}),
        Answer(302, headers={"Location": "https://127.0.0.2/file"}),
        Answer(302, headers={"Location": "https://[::1"}),
    ],
    ids=range(14),
)
async def test_a_bad_file_is_no_file(net: Net, bad: Answer) -> None:
    net.names.private = {"private.example"}
    assert await net.find("example.org", bad) == DIRECT
    assert len(net.asked) == 1


async def test_a_redirect_is_followed_and_a_circle_is_left(net: Net) -> None:
    moved = Answer(301, headers={"Location": "https://user:secret@www.example.org/f.json?a=1"})
    assert (await net.find("example.org", moved, names("m.example.org:1"))).host_header == "m.example.org:1"
    assert net.asked[1] == "www.example.org/f.json?a=1"  # by the name alone, whatever the redirect says we are
    name = "b.example.org"
    assert await net.find(name, *[moved] * 6) == Destination(name, 8448, name, name)
    assert len(net.asked) == 8


@pytest.mark.parametrize(
    ("headers", "kept_ms"),
    [
        ({}, 24 * HOUR),
        ({"Cache_Control": "public, max-age=7200"}, 2 * HOUR),
        ({"Cache_Control": "max-age=1"}, 5 * MINUTE),
        ({"Cache_Control": "max-age=999999999"}, 48 * HOUR),
        ({"Cache_Control": "no-store, max-age=7200"}, 5 * MINUTE),
        ({"Expires": "Fri, 15 Jan 2027 11:00:00 GMT"}, 3 * HOUR),
        ({"Expires": "0"}, 5 * MINUTE),
    ],
)
async def test_a_file_is_kept_as_long_as_it_may_be(net: Net, headers: dict[str, str], kept_ms: int) -> None:
    assert net.now == 1_800_000_000_000  # 15 January 2027, 08:00 UTC
    await net.find("example.org", names("m.example.org:1", **headers))
    net.now += kept_ms - 1
    assert (await net.find("example.org")).port == 1
    net.now += 1
    assert (await net.find("example.org", names("m.example.org:2", **headers))).port == 2
    assert len(net.asked) == 2


async def test_a_file_that_fails_is_asked_for_less_and_less_often_and_its_last_word_counts(net: Net) -> None:
    await net.find("example.org", names("m.example.org:1"))
    net.now += 24 * HOUR
    net.server.will(*[NOTHING] * 40)
    asked = []
    for minute in range(0, 24 * 60, 5):
        before = len(net.asked)
        assert (await net.find("example.org")).port == 1
        asked += [minute] * (len(net.asked) - before)
        net.now += 5 * MINUTE
    assert asked[:7] == [0, 5, 10, 15, 25, 45, 80]
    assert {later - earlier for earlier, later in pairwise(asked[7:])} == {60}
    net.now += HOUR
    assert await net.find("example.org") == DIRECT


@pytest.mark.parametrize("name", ["127.0.0.2:443", "127.0.0.2"])
async def test_a_machine_of_a_private_network_is_not_asked(net: Net, name: str) -> None:
    where = await net.find(name)
    with pytest.raises(ServerUnreachable, match="private network"):
        await net.connections.ask(where, "GET", "/")
    net.names.private = {"private.example"}
    with pytest.raises(ServerUnreachable):
        await net.connections.ask(await net.find("private.example:443"), "GET", "/")
    assert net.asked == []


async def test_a_place_that_is_no_address_is_not_asked(net: Net) -> None:
    with pytest.raises(ServerUnreachable):
        await net.connections.ask(Destination("a b", 1, "a b", "a b"), "GET", "/")


@pytest.mark.parametrize("name", ["", "a b", "a.example/..", "user@a.example"])
async def test_what_is_no_name_is_not_looked_up(net: Net, name: str) -> None:
    with pytest.raises(ServerUnreachable):
        await net.find(name)
    assert net.asked == []
