"""A look at a policy server from outside finds itself, something else, or nobody."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from bot.crypto.signing import SigningKey
from bot.demo.authority import TlsAuthority
from bot.federation.client import KEYS, ServerIdentity
from bot.federation.connections import Connections, tls_context
from bot.federation.policy_server_seen import POLICY_WELL_KNOWN, PolicyServerSeen, look_from_outside
from bot.federation.published import published_keys
from bot.runtime.clock import wall_clock
from bot.sync.policy_watch import OutsideLook

HEALTH, FIGURES = "/health", "/metrics"
EVENT_KEY = "the key"


@dataclass
class Pages:
    """A server under some name, and what it answers."""

    name: str = ""
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def be_right(self) -> None:
        us = ServerIdentity(self.name, "ed25519:1", SigningKey.new())
        self.answers = {
            HEALTH: (200, b'{"healthy":true}'),
            KEYS: (200, orjson.dumps(published_keys(us, wall_clock()))),
            POLICY_WELL_KNOWN: (200, orjson.dumps({"public_keys": {"ed25519": EVENT_KEY}})),
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        status, body = self.answers.get(request.path, (404, b"<html>nothing here</html>"))
        return web.Response(status=status, body=body)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[Pages, Connections]]:
    authority, pages = TlsAuthority(folder), Pages()
    runner = web.ServerRunner(web.Server(pages.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=authority.server_context("here", "localhost")).start()
    pages.name = f"localhost:{runner.addresses[0][1]}"
    pages.be_right()
    connections = Connections(tls_context(authority.file), may_ask=lambda _: True)
    yield pages, connections
    await connections.close()
    await runner.cleanup()


@pytest.mark.parametrize(
    ("path", "answer", "found"),
    (
        ("/other", (200, b""), PolicyServerSeen("", event_key=EVENT_KEY)),
        (HEALTH, (503, b'{"healthy":false}'), PolicyServerSeen("unwell", "503")),
        (HEALTH, (200, b"<html>Welcome to nginx!</html>"), PolicyServerSeen("wrong_page", "200")),
        (HEALTH, (200, b'{"healthy":"yes"}'), PolicyServerSeen("wrong_page", "200")),
        (FIGURES, (200, b"answerable_policy_refused_total 7"), PolicyServerSeen("open_figures")),
        (KEYS, (200, b"<html>"), PolicyServerSeen("wrong_server", "not JSON: JSONDecodeError")),
        (POLICY_WELL_KNOWN, (404, b"<html>"), PolicyServerSeen("no_key", "404")),
        (
            POLICY_WELL_KNOWN,
            (200, b'{"public_keys":{"ed25519":"another"}}'),
            PolicyServerSeen("other_key", event_key="another"),
        ),
    ),
)
async def test_each_fault_is_told_apart(
    tmp_path: Path, path: str, answer: tuple[int, bytes], found: PolicyServerSeen
) -> None:
    async with served(tmp_path) as (pages, connections):
        pages.answers[path] = answer
        assert await look_from_outside(pages.name, HEALTH, FIGURES, EVENT_KEY, connections) == found


async def test_keys_of_another_name_are_those_of_another_server(tmp_path: Path) -> None:
    async with served(tmp_path) as (pages, connections):
        us = ServerIdentity("elsewhere.example", "ed25519:1", SigningKey.new())
        pages.answers[KEYS] = (200, orjson.dumps(published_keys(us, wall_clock())))
        seen = await look_from_outside(pages.name, HEALTH, FIGURES, EVENT_KEY, connections)
        assert (seen.problem, seen.why) == ("wrong_server", "not the keys of this server")


async def test_nobody_there(tmp_path: Path) -> None:
    async with served(tmp_path) as (pages, connections):
        name = pages.name
    connections = Connections(tls_context(), may_ask=lambda _: True)
    seen = await look_from_outside(name, HEALTH, FIGURES, EVENT_KEY, connections)
    await connections.close()
    assert seen.problem == "unreachable"


@pytest.mark.parametrize(
    ("path", "answer", "reached"),
    (
        ("/other", (200, b""), True),
        (POLICY_WELL_KNOWN, (404, b"<html>"), True),  # for clients
        (HEALTH, (503, b'{"healthy":false}'), False),
        (HEALTH, (200, b"<html>Welcome to nginx!</html>"), False),
        (KEYS, (200, b"<html>"), False),
    ),
)
async def test_the_watch_counts_as_reached_only_what_homeservers_can_use(
    tmp_path: Path, path: str, answer: tuple[int, bytes], reached: bool
) -> None:
    async with served(tmp_path) as (pages, connections):
        pages.answers[path] = answer
        look = OutsideLook(pages.name, HEALTH, connections)
        assert await look() is reached
        await look.close()
