"""Our requests arrive as they were signed, and an answer is an answer, a refusal, or none."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.federation.client import FEDERATION_V1, FederationClient, ServerIdentity
from bot.federation.connections import Connections
from bot.federation.errors import ServerRefused, ServerUnreachable
from bot.federation.resolve import ServerResolver
from bot.federation.x_matrix import origin_of
from moderation.values.errors import Invalid
from tests.fakes.certificate import certificate_for, shown_by
from tests.fakes.http_stub import Answer, HttpStub, Request
from tests.fakes.names import Names
from tests.unit.bot.federation.events import KEY, KEY_ID

US = ServerIdentity("policy.example.org", KEY_ID, KEY)
THEM = "example.org:8448"


class OurKey:
    async def for_request(self, server: str, key_id: str) -> str | None:
        return KEY.public if (server, key_id) == (US.server, KEY_ID) else None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate_for(tmp_path_factory.mktemp("tls") / "server.pem", "example.org")


class Other:
    """Another server, and our client that asks it."""

    def __init__(self, server: HttpStub, tls: ssl.SSLContext) -> None:
        self.server = server
        port = int(server.url.rpartition(":")[2])
        self.connections = Connections(tls, may_ask=lambda _: True, resolver=Names(port))
        self.client = FederationClient(US, self.connections, ServerResolver(self.connections))

    async def get(self, *answers: Answer, **options: Any) -> dict[str, Any]:
        self.server.will(*answers)
        return await self.client.get(THEM, FEDERATION_V1, ("make_join", "!a/b", "@u:x"), (("ver", "1"),), **options)


@pytest.fixture
async def other(certificate: Path) -> AsyncIterator[Other]:
    async with HttpStub(shown_by(certificate)) as server:
        other = Other(server, ssl.create_default_context(cafile=certificate))
        yield other
        await other.connections.close()


async def origin(request: Request, content: object) -> str:
    header = request.headers["Authorization"]
    return await origin_of([header], request.method, request.path, content, ours=THEM, keys=OurKey())


async def test_a_get_arrives_as_it_was_signed(other: Other) -> None:
    assert await other.get(Answer(json={"event": {}})) == {"event": {}}
    (request,) = other.server.requests
    assert request.path == "/_matrix/federation/v1/make_join/%21a%2Fb/%40u%3Ax?ver=1"
    assert request.headers["Host"] == THEM
    assert await origin(request, None) == US.server


async def test_a_put_arrives_as_it_was_signed(other: Other) -> None:
    other.server.will(Answer(json={}))
    assert await other.client.put(THEM, FEDERATION_V1, ("send", "1"), {"b": "日本", "a": [1]}) == {}
    (request,) = other.server.requests
    assert (request.method, request.body) == ("PUT", '{"a":[1],"b":"日本"}'.encode())
    assert request.headers["Content-Type"] == "application/json"
    assert await origin(request, {"a": [1], "b": "日本"}) == US.server


async def test_a_refusal_has_the_words_of_the_other_server_on_one_line(other: Other) -> None:
    said = {"errcode": "M_FORBIDDEN", "error": "You are not\r\ninvited \x1b[31m"}
    with pytest.raises(ServerRefused) as refused:
        await other.get(Answer(403, json=said))
    assert (refused.value.status, refused.value.errcode) == (403, "M_FORBIDDEN")
    assert refused.value.error == "You are not invited [31m"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b"<html>"),
        Answer(json=["no object"]),
        Answer(502, b"<html>"),
        Answer(404, json={"error": "no code"}),
        Answer(404, json={"errcode": 5}),
        Answer(302, headers={"Location": "https://other.example.org/"}),
        Answer(json={"a": "x" * 2000}),
        Answer(body=b'{"a":', cut=True),
    ],
    ids=range(8),
)
async def test_anything_else_is_no_answer(other: Other, answer: Answer) -> None:
    with pytest.raises(ServerUnreachable):
        await other.get(answer, most_bytes=1000)
    assert len(other.server.requests) == 1


async def test_a_server_with_the_certificate_of_another_is_not_asked(other: Other) -> None:
    with pytest.raises(ServerUnreachable):
        await other.client.get("other.example:8448", FEDERATION_V1, ("version",))
    assert other.server.requests == []


async def test_no_id_breaks_out_of_its_place_in_the_path(other: Other) -> None:
    with pytest.raises(Invalid):
        await other.client.get(THEM, FEDERATION_V1, ("make_join", "..", "@u:x"))
    other.server.will(Answer(json={}))
    await other.client.get(THEM, FEDERATION_V1, ("make_join", "!a?b#c\r\nX: y", "@u:x"))
    assert other.server.requests[0].path == "/_matrix/federation/v1/make_join/%21a%3Fb%23c%0D%0AX%3A%20y/%40u%3Ax"


async def test_what_has_no_canonical_form_is_not_sent(other: Other) -> None:
    with pytest.raises(ServerUnreachable):
        await other.client.put(THEM, FEDERATION_V1, ("send", "1"), {"a": "\ud800"})
    assert other.server.requests == []
