"""The homeserver is found from a server's name, and nobody else can lead the bot to a machine in a private network.

The hosts of these tests are on loopback: 127.0.0.1 stands for the internet, 127.0.0.2 for a private network.
"""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.matrix.find_homeserver import FoundHomeserver, HomeserverFinder, NoHomeserver, is_public
from tests.fakes.certificate import certificate_for, shown_by
from tests.fakes.http_stub import Answer, HttpStub
from tests.fakes.names import Names

FILE = "https://example.org/.well-known/matrix/client"
MATRIX = "https://matrix.example.org"
VERSIONS = Answer(json={"versions": ["v1.11"]})
NOTHING = Answer(404, b"nothing here")


def names(url: str) -> Answer:
    return Answer(json={"m.homeserver": {"base_url": url}})


class Net:
    """A finder, and the one server that all names lead to."""

    def __init__(self, server: HttpStub, tls: ssl.SSLContext) -> None:
        self.server = server
        self.names = Names(int(server.url.rpartition(":")[2]))
        self.internet = {"127.0.0.1"}
        self._finder = HomeserverFinder(tls=tls, resolver=self.names, public=lambda address: address in self.internet)

    async def find(self, typed: str, *answers: Answer) -> FoundHomeserver | tuple[str, str, str]:
        """Return what was found, else the fault, the address and what led there."""
        self.server.will(*answers)
        try:
            return await self._finder.find(typed)
        except NoHomeserver as error:
            return error.fault, error.url, error.named_by

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(request.headers["Host"], request.path) for request in self.server.requests]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    hosts = ("example.org", "*.example.org", "private.example", "127.0.0.1")
    return certificate_for(tmp_path_factory.mktemp("tls") / "server.pem", *hosts)


@pytest.fixture
async def net(certificate: Path) -> AsyncIterator[Net]:
    async with HttpStub(shown_by(certificate)) as server:
        yield Net(server, ssl.create_default_context(cafile=certificate))


async def test_a_name_is_looked_up(net: Net) -> None:
    found = await net.find("example.org", names(f"{MATRIX}/"), VERSIONS)
    assert found == FoundHomeserver(MATRIX, FILE)
    assert net.asked == [
        ("example.org", "/.well-known/matrix/client"),
        ("matrix.example.org", "/_matrix/client/versions"),
    ]


@pytest.mark.parametrize("nothing", [NOTHING, Answer(body=b"<html>"), names("not an address"), Answer(json=["no"])])
async def test_a_server_that_names_none_may_be_one_itself(net: Net, nothing: Answer) -> None:
    assert await net.find("example.org", nothing, VERSIONS) == FoundHomeserver("https://example.org")
    assert await net.find("example.org", nothing, NOTHING) == ("not_matrix", "https://example.org", "")


async def test_an_address_is_taken_as_it_is_typed_and_else_its_host_looked_up(net: Net) -> None:
    assert await net.find(f"{MATRIX}/", VERSIONS) == FoundHomeserver(MATRIX)
    found = await net.find("https://example.org", NOTHING, names(MATRIX), VERSIONS)
    assert found == FoundHomeserver(MATRIX, FILE)
    assert await net.find("https://example.org", NOTHING, NOTHING) == ("not_matrix", "https://example.org", "")


async def test_a_redirect_of_the_file_is_followed_but_none_of_a_homeserver(net: Net) -> None:
    moved = Answer(301, headers={"Location": "https://www.example.org/matrix.json"})
    assert await net.find("example.org", moved, names(MATRIX), VERSIONS) == FoundHomeserver(MATRIX, FILE)
    assert net.asked[1] == ("www.example.org", "/matrix.json")
    assert await net.find(MATRIX, moved, NOTHING) == ("not_matrix", MATRIX, "")


@pytest.mark.parametrize("bad", ["http://matrix.example.org", "https://127.0.0.2", "https://private.example"])
class TestAPlainOrPrivateAddress:
    async def test_is_not_asked_because_a_server_names_it(self, net: Net, bad: str) -> None:
        net.names.private = {"private.example"}
        assert await net.find("example.org", names(bad)) == ("unsafe", bad, FILE)
        assert len(net.asked) == 1

    async def test_is_not_asked_because_of_a_redirect(self, net: Net, bad: str) -> None:
        net.names.private = {"private.example"}
        moved = Answer(302, headers={"Location": f"{bad}/file"})
        assert await net.find("example.org", moved) == ("unsafe", f"{bad}/file", FILE)
        assert len(net.asked) == 1


async def test_a_private_server_is_asked_if_the_operator_named_it(net: Net) -> None:
    net.internet = set()
    assert await net.find("example.org", names("https://example.org"), VERSIONS) == FoundHomeserver(
        "https://example.org", FILE
    )
    assert await net.find("example.org", names(MATRIX)) == ("unsafe", MATRIX, FILE)


async def test_redirects_without_end_are_given_up(net: Net) -> None:
    again = Answer(302, headers={"Location": "/.well-known/matrix/client"})
    assert await net.find("example.org", *[again] * 5, VERSIONS) == FoundHomeserver("https://example.org")


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ("two words", "address"),
        ("https://a:b@example.org", "address"),
        ("nobody.invalid", "name"),
        ("other.test", "certificate"),
    ],
)
async def test_the_fault_is_told(net: Net, typed: str, fault: str) -> None:
    found = await net.find(typed)
    assert isinstance(found, tuple)
    assert found[0] == fault


async def test_a_port_where_nothing_listens_is_told() -> None:
    with pytest.raises(NoHomeserver) as raised:
        await HomeserverFinder().find("http://127.0.0.1:1")
    assert (raised.value.fault, raised.value.url) == ("refused", "http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("address", "public"),
    {
        "8.8.8.8": True,
        "2606:4700::1111": True,
        "127.0.0.1": False,
        "10.1.2.3": False,
        "172.16.0.1": False,
        "192.168.1.1": False,
        "169.254.169.254": False,
        "100.64.0.1": False,
        "0.0.0.0": False,
        "::1": False,
        "fe80::1": False,
        "fd00::1": False,
        "::ffff:10.0.0.1": False,
        "64:ff9b::a00:1": False,
        "2002:a00:1::": False,
        "::10.0.0.1": False,
        "224.0.0.1": False,
    }.items(),
)
def test_addresses_of_the_internet_are_known(address: str, public: bool) -> None:
    assert is_public(address) is public
