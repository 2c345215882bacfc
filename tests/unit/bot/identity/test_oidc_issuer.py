"""With an issuer written by others (`tests/issuer`): both flows, its pages and keys, and our own page."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from bot.config.oidc import CallbackSettings, OidcSettings
from bot.identity.method import DialogueStep, ProvedIdentity
from bot.identity.oidc import Oidc
from bot.identity.oidc_callback import HEADERS, CallbackServer
from bot.identity.oidc_exchange import Issuer
from bot.runtime.clock import wall_clock
from bot.texts.catalog import Catalog
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from moderation.values.notices import Code, line
from tests.fakes.ports import free_port
from tests.issuer.issuer import SECRET, Browser, RealIssuer, client, soon

ANN = UserId("@ann:example.org")
CLAIMS = {"name": "ann Example", "email": "ann@example.org", "phone": "+4912345", "subject": "ann"}


PORT = free_port()
PUBLIC = f"http://127.0.0.1:{PORT}/answerable"
BACK = f"{PUBLIC}/oidc/club"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealIssuer]:
    public = {"token_endpoint_auth_method": "none"}
    issuer = RealIssuer.start(
        tmp_path_factory.mktemp("issuer"),
        client("basic", BACK),
        {name: value for name, value in client("public", BACK, **public).items() if name != "client_secret"},
        client("curves", BACK, id_token_signed_response_alg="ES256"),
    )
    yield issuer
    issuer.stop()


def method(issuer: RealIssuer, name: str = "basic", public: str | None = None, **more: Any) -> Oidc:
    settings: dict[str, Any] = {"title": "The club", "scopes": ("openid", "profile", "email", "phone"), **more}
    settings["claims"] = ("name", "email", "phone", "subject")
    secret = None if name == "public" else SecretStr(SECRET)
    made = Issuer(OidcSettings(name="club", issuer=issuer.url, client_id=name, **settings), secret)
    return Oidc([made], wall_clock, public)


@contextlib.asynccontextmanager
async def page(oidc: Oidc, port: int = PORT) -> AsyncIterator[CallbackServer]:
    server = CallbackServer(oidc, CallbackSettings(public_url=PUBLIC, listen=f"127.0.0.1:{port}"), Catalog.load())
    task = asyncio.create_task(server.run())
    try:
        async with asyncio.timeout(120):
            await server.listening.wait()
        yield server
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def whenever(step: DialogueStep) -> DialogueStep:
    """Return the step without the time until which its proof is valid."""
    return replace(step, proof=replace(step.proof, until_ms=0)) if step.proof is not None else step


def told(step: DialogueStep) -> tuple[str, str]:
    """Return the link and the code that the person is told."""
    link, code = step.lines[0].fields["link"], step.lines[0].fields.get("code", Code(""))
    assert isinstance(link, str)
    assert isinstance(code, Code)
    return link, code.text


def number(page: str) -> str:
    found = re.search(r"<h1>([0-9]{4} [0-9]{4})</h1>", page)
    assert found is not None, page
    return found[1]


class TestDeviceFlow:
    @pytest.mark.parametrize("name", ["basic", "public", "curves"])
    async def test_a_code_entered_at_the_issuer_verifies(self, issuer: RealIssuer, name: str) -> None:
        oidc = method(issuer, name)
        begun = await oidc.begin(ANN, "", wall_clock())
        assert begun.state is not None
        before = await oidc.poll(ANN, begun.state, wall_clock())
        assert (before.lines, before.proof, before.poll_ms) == ((), None, 5_000)
        async with Browser() as browser:
            assert "successful" in await browser.enter_code(*told(begun), "ann")
        assert whenever(await oidc.poll(ANN, begun.state, wall_clock())) == DialogueStep(
            proof=ProvedIdentity(issuer.url, "ann", CLAIMS)
        )
        again = await oidc.poll(ANN, begun.state, wall_clock())
        assert again == DialogueStep(lines=(line("oidc.expired", issuer="The club"),))

    async def test_a_code_that_is_refused_ends_it(self, issuer: RealIssuer) -> None:
        oidc = method(issuer)
        begun = await oidc.begin(ANN, "", wall_clock())
        async with Browser() as browser:
            await browser.refuse_code(*told(begun))
        after = await oidc.poll(ANN, begun.state or {}, wall_clock())
        assert after == DialogueStep(lines=(line("oidc.denied", issuer="The club"),))

    async def test_keys_may_change_while_somebody_logs_in(self, issuer: RealIssuer) -> None:
        oidc = method(issuer)
        begun = await oidc.begin(ANN, "", wall_clock())
        async with Browser() as browser:
            await browser.enter_code(*told(begun), "ann")
        issuer.rotate()
        assert (await oidc.poll(ANN, begun.state or {}, wall_clock())).proof is not None

    async def test_a_device_code_ends_at_its_deadline(self, tmp_path: Path) -> None:
        short = RealIssuer.start(tmp_path, client("basic"), device_s=1)
        try:
            oidc = method(short)
            begun = await oidc.begin(ANN, "", wall_clock())

            async def over() -> DialogueStep | None:
                step = await oidc.poll(ANN, begun.state or {}, wall_clock())
                return step if step.lines else None

            after = await soon(over)
        finally:
            short.stop()
        assert after == DialogueStep(lines=(line("oidc.expired", issuer="The club"),))


class TestCodeFlow:
    @pytest.mark.parametrize("name", ["basic", "public", "curves"])
    async def test_a_link_a_login_and_a_number_verify(self, issuer: RealIssuer, name: str) -> None:
        oidc = method(issuer, name, PUBLIC)
        async with page(oidc), Browser() as browser:
            begun = await oidc.begin(ANN, "", wall_clock())
            assert begun.state is not None
            address, shown = await browser.log_in(told(begun)[0], "ann")
            assert address.startswith(BACK + "?")
            step = await oidc.answer(ANN, number(shown), begun.state, wall_clock())
            assert whenever(step) == DialogueStep(proof=ProvedIdentity(issuer.url, "ann", CLAIMS))
            assert "ann" not in shown
            assert "not known" in (await browser.open(address))[1]

    async def test_cancelling_at_the_issuer_ends_the_login(self, issuer: RealIssuer) -> None:
        oidc = method(issuer, public=PUBLIC)
        async with page(oidc), Browser() as browser:
            begun = await oidc.begin(ANN, "", wall_clock())
            _, shown = await browser.cancel(told(begun)[0])
            assert "did not work" in shown
            after = await oidc.poll(ANN, begun.state or {}, wall_clock())
        assert after == DialogueStep(lines=(line("oidc.denied", issuer="The club"),))

    async def test_a_code_is_worthless_without_the_verifier(self, issuer: RealIssuer) -> None:
        """PKCE: somebody who gets hold of a code and of the client cannot redeem it."""
        oidc = method(issuer, public=PUBLIC)
        begun = await oidc.begin(ANN, "", wall_clock())
        (login,) = oidc._logins._by_state.values()
        login.challenge = type(login.challenge)(login.challenge.state, login.challenge.nonce, "x" * 64)
        async with page(oidc), Browser() as browser:
            _, shown = await browser.log_in(told(begun)[0], "ann")
            assert "did not work" in shown
        after = await oidc.poll(ANN, begun.state or {}, wall_clock())
        assert after == DialogueStep(lines=(line("oidc.unusable", issuer="The club"),))


async def test_a_client_that_the_issuer_does_not_know_is_said_to_be_unusable(issuer: RealIssuer) -> None:
    with capture_logs() as logged, pytest.raises(Refused, match=r"oidc\.unusable"):
        await method(issuer, "unheard-of").begin(ANN, "", wall_clock())
    assert [entry["why"] for entry in logged] == ["answer: invalid_client"]


class TestPage:
    async def test_the_page_is_short_and_loads_nothing(self, issuer: RealIssuer) -> None:
        oidc = method(issuer, public=PUBLIC)
        async with page(oidc), aiohttp.ClientSession() as http:
            for language, words in (("en", "not known"), ("zh-CN,zh", "无法识别")):
                answer = await http.get(f"{BACK}?state=x&code=y", headers={"Accept-Language": language})
                assert (answer.status, words in await answer.text()) == (400, True)
                assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS

    @pytest.mark.parametrize(
        ("verb", "path", "status"),
        [
            ("GET", "/answerable/oidc/club?state=x", 400),
            ("GET", "/oidc/club?state=x", 400),  # a proxy that passes on only the path below the public address
            ("GET", "/oidc/club", 400),
            ("GET", "/oidc/club?state=x&state=y", 400),
            ("GET", "/oidc/club?state=%00%ff&code=<script>", 400),
            ("GET", "/oidc/other?state=x", 400),
            ("GET", "/oidc/a/b", 404),
            ("GET", "/", 404),
            ("GET", "/oidc/../etc/passwd", 404),
            ("POST", "/oidc/club", 404),
            ("PUT", "/oidc/club", 404),
        ],
    )
    async def test_the_page_answers_one_path(self, issuer: RealIssuer, verb: str, path: str, status: int) -> None:
        async with page(method(issuer, public=PUBLIC)), aiohttp.ClientSession() as http:
            answer = await http.request(verb, f"http://127.0.0.1:{PORT}{path}")
            assert (answer.status, "<script>" in await answer.text()) == (status, False)

    async def test_an_endless_address_is_cut_off(self, issuer: RealIssuer) -> None:
        async with page(method(issuer, public=PUBLIC)), aiohttp.ClientSession() as http:
            assert (await http.get(f"{BACK}?state={'x' * 20_000}")).status == 400

    async def test_a_port_that_is_taken_is_said_and_tried_again(
        self, issuer: RealIssuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.matrix.local_server._AGAIN_S", 0.05)
        oidc = method(issuer, public=PUBLIC)
        with capture_logs() as logged, socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = int(other.getsockname()[1])
            settings = CallbackSettings(public_url=PUBLIC, listen=f"127.0.0.1:{port}")
            server = CallbackServer(oidc, settings, Catalog.load())
            task = asyncio.create_task(server.run())

            async def said() -> bool:
                return bool(logged)

            await soon(said)
            other.close()
            async with asyncio.timeout(120):
                await server.listening.wait()
            task.cancel()
            await asyncio.wait({task})
        assert {entry["event"] for entry in logged} == {"oidc_callback_not_listening", "oidc_callback_listening"}
