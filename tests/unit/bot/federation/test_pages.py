"""Our pages: others count us as a server, and nothing but our own invitation is signed."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from bot.crypto.signing import SigningKey, is_signed
from bot.federation import pages as federation_pages
from bot.federation.client import ServerIdentity
from bot.federation.errors import ServerUnreachable
from bot.federation.pages import FederationPages
from bot.federation.pdu import Pdu, hashed_and_signed
from bot.federation.room_versions import room_version
from bot.federation.server_keys import ServerKey, ServerKeys, keys_in
from bot.federation.x_matrix import RequestAuthorization, authorization, header_of
from moderation.values.ids import UserId
from tests.unit.bot.federation.events import KEY, KEY_ID, event

NOW = 1_800_000_000_000
THEM, THEIR_ID, THEIRS = "domain", "ed25519:theirs", SigningKey.new()
US = ServerIdentity("policy.example.org", KEY_ID, KEY)
USER = UserId("@policy:policy.example.org")
INVITE = {
    "type": "m.room.member",
    "state_key": USER,
    "content": {"membership": "invite"},
    "origin_server_ts": NOW,
}


class Pages:
    """Our pages on loopback, and another server that asks for them."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.http = http
        self.url = ""
        self.takes = True
        self.invited: list[tuple[str, str]] = []
        retired = {"ed25519:old": ServerKey(SigningKey.new().public, NOW - 1, retired=True)}
        keys = ServerKeys(self._key_answer, clock=lambda: NOW)
        self._pages = FederationPages(
            US, USER, "policy.example.org:443", keys, self._take, clock=lambda: NOW, retired=retired
        )

    async def respond(self, request: web.BaseRequest) -> web.Response:
        return await self._pages.answer(request) or web.Response(status=404, text="not ours")

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.http.get(self.url + path) as response:
            return response.status, await response.json() if response.status == 200 else await response.text()

    async def invite(
        self, made: Mapping[str, Any], version: str = "11", *, path: str = "", signer: SigningKey = THEIRS
    ) -> tuple[int, Any]:
        """Send an invitation as another server does; `signer` signs the request."""
        pdu = Pdu.of(made, room_version(version))
        target = path or f"/_matrix/federation/v2/invite/{quote(pdu.room, safe='')}/{quote(pdu.event_id, safe='')}"
        body = {"room_version": version, "event": dict(made), "invite_room_state": []}
        unsigned = RequestAuthorization(THEM, US.server, THEIR_ID, "")
        header = header_of(authorization(unsigned, "PUT", target, body, signer))
        url = URL(self.url + target, encoded=True)
        async with self.http.put(url, data=json.dumps(body), headers={"Authorization": header}) as got:
            return got.status, await got.json()

    async def _key_answer(self, server: str) -> bytes:
        if server != THEM:
            raise ServerUnreachable(server)
        keys = {"verify_keys": {THEIR_ID: {"key": THEIRS.public}}, "old_verify_keys": {}}
        return json.dumps(
            THEIRS.signed({"server_name": THEM, "valid_until_ts": NOW + 1, **keys}, THEM, "theirs")
        ).encode()

    async def _take(self, pdu: Pdu, origin: str) -> bool:
        self.invited.append((pdu.event_id, origin))
        return self.takes


@pytest.fixture
async def pages() -> AsyncIterator[Pages]:
    async with aiohttp.ClientSession() as http:
        pages = Pages(http)
        runner = web.ServerRunner(web.Server(pages.respond))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        pages.url = f"http://{host}:{port}"
        yield pages
        await runner.cleanup()


def an_invite(version: str = "11", **changed: Any) -> dict[str, Any]:
    """Return an invitation of our user that its sender's server has signed."""
    made = event(version, **{**INVITE, **changed})
    return hashed_and_signed(made, room_version(version), THEM, THEIR_ID, THEIRS)


async def test_our_keys_are_published_so_that_others_can_check_them(pages: Pages) -> None:
    status, said = await pages.get("/_matrix/key/v2/server")
    assert status == 200
    assert is_signed(said, US.server, KEY_ID.removeprefix("ed25519:"), KEY.public)
    found = keys_in(json.dumps(said).encode(), US.server, NOW)
    assert found[KEY_ID] == ServerKey(KEY.public, NOW + 24 * 3_600_000)
    assert (found["ed25519:old"].retired, found["ed25519:old"].until_ms) == (True, NOW - 1)
    assert await pages.get(f"/_matrix/key/v2/server/{quote(KEY_ID)}") == (status, said)


async def test_others_see_a_server_with_one_user_without_devices(pages: Pages) -> None:
    assert await pages.get("/.well-known/matrix/server") == (200, {"m.server": "policy.example.org:443"})
    status, said = await pages.get("/_matrix/federation/v1/version")
    assert (status, said["server"]["name"]) == (200, "Answerable")
    devices = f"/_matrix/federation/v1/user/devices/{quote(USER)}"
    assert await pages.get(devices) == (200, {"user_id": USER, "stream_id": 1, "devices": []})
    profile = "/_matrix/federation/v1/query/profile?user_id="
    assert await pages.get(profile + quote(USER)) == (200, {"displayname": "Answerable"})
    for path in (devices + "x", profile + "%40other%3Ax", profile):
        status, said = await pages.get(path)
        assert (status, json.loads(said)["errcode"]) == (404, "M_NOT_FOUND")


async def test_transactions_are_taken_and_thrown_away(pages: Pages) -> None:
    for body in (b'{"pdus": []}', b"no json"):
        async with pages.http.put(f"{pages.url}/_matrix/federation/v1/send/1", data=body) as response:
            assert (response.status, await response.json()) == (200, {"pdus": {}})
    async with pages.http.put(f"{pages.url}/_matrix/federation/v1/send/1", data=b"x" * 9_000_000) as response:
        assert response.status == 413


async def test_nothing_of_a_transaction_is_kept_while_it_comes(pages: Pages) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 2**17

    tracemalloc.start()
    try:
        async with pages.http.put(f"{pages.url}/_matrix/federation/v1/send/1", data=parts()) as response:
            assert response.status == 200
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("path", ["send/1", "invite/a/b"], ids=str)
async def test_a_body_that_does_not_come_is_not_waited_for(
    pages: Pages, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(federation_pages, "_BODY_WITHIN_S", 0.01)
    version = "v2" if path.startswith("invite") else "v1"
    url = URL(pages.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"PUT /_matrix/federation/{version}/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx".encode())
    assert (await reader.readline()).split()[1] == b"408"
    writer.close()


@pytest.mark.parametrize(
    "path", ["/", "/_matrix/federation/v1/state/!a", "/_matrix/federation/v1/invite/a/b", "/_matrix/key/v2/query"]
)
async def test_other_paths_are_left_to_others(pages: Pages, path: str) -> None:
    assert await pages.get(path) == (404, "not ours")
    async with pages.http.put(pages.url + path) as response:
        assert await response.text() == "not ours"
    async with pages.http.put(f"{pages.url}/_matrix/federation/v2/invite/a/b/c") as response:
        assert await response.text() == "not ours"


@pytest.mark.parametrize("version", ["1", "3", "10", "11", "12"])
async def test_an_invitation_of_our_user_is_signed_and_nothing_else_changed(pages: Pages, version: str) -> None:
    made = an_invite(version)
    status, said = await pages.invite(made, version)
    assert status == 200
    pdu = Pdu.of(said["event"], room_version(version))
    assert pdu.is_signed(US.server, KEY_ID, KEY.public)
    assert pdu.is_signed(THEM, THEIR_ID, THEIRS.public)
    assert {**said["event"], "signatures": made["signatures"]} == made
    assert pages.invited == [(pdu.event_id, THEM)]


@pytest.mark.parametrize(
    "changed",
    [
        {"content": {"membership": "join"}},
        {"type": "m.room.message"},
        {"state_key": "@other:policy.example.org"},
        {"state_key": None},
        {"sender": "@u:other"},
    ],
    ids=str,
)
async def test_what_is_no_invitation_of_our_user_by_that_server_is_not_signed(
    pages: Pages, changed: dict[str, Any]
) -> None:
    status, said = await pages.invite(an_invite(**changed))
    assert (status, said["errcode"], pages.invited) == (400, "M_INVALID_PARAM", [])


async def test_an_invitation_must_be_signed_and_be_what_was_signed(pages: Pages) -> None:
    unsigned = hashed_and_signed(event("11", **INVITE), room_version("11"), THEM, THEIR_ID, SigningKey.new())
    changed = {**an_invite(), "content": {"membership": "invite", "reason": "something else"}}
    for made in (unsigned, changed, {**an_invite(), "signatures": {}}):
        status, said = await pages.invite(made)
        assert (status, said["errcode"]) == (400, "M_INVALID_PARAM")
    path = "/_matrix/federation/v2/invite/"
    for other in (path + "%21other%3Adomain/%24x", path + quote("!room:domain", safe="") + "/%24x"):
        status, said = await pages.invite(an_invite(), path=other)
        assert (status, said["errcode"]) == (400, "M_INVALID_PARAM")
    assert pages.invited == []


async def test_a_request_must_be_signed_by_the_server_it_comes_from(pages: Pages) -> None:
    status, said = await pages.invite(an_invite(), signer=SigningKey.new())
    assert (status, said["errcode"], pages.invited) == (401, "M_UNAUTHORIZED", [])


async def test_a_room_that_is_none_of_ours_is_refused(pages: Pages) -> None:
    pages.takes = False
    status, said = await pages.invite(an_invite())
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")
