"""A misbehaving issuer verifies nobody: people are told so in words, and there are no other consequences."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from bot.config.oidc import OidcSettings
from bot.identity import oidc_exchange
from bot.identity.method import DialogueStep, ProvedIdentity
from bot.identity.oidc import LoginPage, Oidc
from bot.identity.oidc_exchange import Issuer
from bot.matrix.other_servers import HttpReply, get
from bot.runtime.clock import wall_clock
from bot.texts.catalog import LANGUAGES, Catalog
from moderation.values.errors import Refused
from moderation.values.notices import line
from tests.fakes.hostile_issuer import CLIENT, WELL_KNOWN, HostileIssuer, Wrong
from tests.unit.bot.identity.oidc_attempts import (
    ANN,
    BEN,
    PUBLIC,
    SECRET,
    by_device,
    by_link,
    link_of,
    method,
    number_of,
    whenever,
)

OVER = ("oidc.unusable", "oidc.unreachable", "oidc.clocks", "oidc.denied", "oidc.expired")


@pytest.fixture
async def issuer() -> AsyncIterator[HostileIssuer]:
    async with HostileIssuer() as issuer:
        yield issuer


class TestToken:
    @pytest.mark.parametrize(
        "wrong",
        [
            Wrong(signing="none"),
            Wrong(signing="none", header={"alg": "NONE"}),
            Wrong(signing="none", header={"alg": "RS256"}),
            Wrong(signing="none", header={"alg": None}),
            Wrong(signing="hmac"),
            Wrong(signing="hmac", header={"alg": "RS256"}),
            Wrong(signing="other"),
            Wrong(signing="cut"),
            Wrong(header={"alg": "PS256"}),
            Wrong(header={"alg": "RS512"}),
            Wrong(header={"crit": ["b64"], "b64": False}),
            Wrong(header={"kid": "another"}),
            Wrong(published="other"),
            Wrong(published="none"),
            Wrong(claims={"iss": "https://evil.example"}),
            Wrong(claims={"iss": None}),
            Wrong(claims={"aud": "somebody-else"}),
            Wrong(claims={"aud": ["somebody-else"]}),
            Wrong(claims={"aud": [CLIENT, "somebody-else"]}),
            Wrong(claims={"aud": [CLIENT, "somebody-else"], "azp": "somebody-else"}),
            Wrong(claims={"azp": "somebody-else"}),
            Wrong(claims={"aud": []}),
            Wrong(claims={"aud": {CLIENT: 1}}),
            Wrong(claims={"aud": None}),
            Wrong(claims={"sub": None}),
            Wrong(claims={"sub": ""}),
            Wrong(claims={"sub": " "}),
            Wrong(claims={"sub": 7}),
            Wrong(claims={"sub": "x" * 256}),
            Wrong(claims={"sub": "\ud800"}),
            Wrong(claims={"exp": None}),
            Wrong(claims={"exp": "tomorrow"}),
            Wrong(claims={"exp": True}),
            Wrong(claims={"iat": None}),
            Wrong(claims={"at_hash": "b3RoZXI"}),
            Wrong(claims={"at_hash": 7}),
            Wrong(userinfo={"sub": "ben"}),
            Wrong(userinfo={"sub": None}),
            Wrong(tokens={"id_token": None}),
            Wrong(tokens={"id_token": "a.b"}),
            Wrong(tokens={"id_token": "ä.ö.ü"}),
            Wrong(tokens={"id_token": 7}),
            Wrong(tokens={"access_token": "another"}),
            Wrong(tokens={"access_token": "a\r\nb"}),
        ],
        ids=str,
    )
    async def test_that_does_not_hold_verifies_nobody(self, issuer: HostileIssuer, wrong: Wrong) -> None:
        assert await by_device(issuer, wrong) == DialogueStep(lines=(line("oidc.unusable", issuer="The club"),))

    @pytest.mark.parametrize(
        ("claims", "key"),
        [
            ({"exp": 1_000}, "oidc.clocks"),
            ({"iat": 32_000_000_000, "exp": 32_000_000_300}, "oidc.clocks"),
            ({"nbf": 32_000_000_000}, "oidc.clocks"),
        ],
    )
    async def test_from_another_time_reports_different_clocks(
        self, issuer: HostileIssuer, claims: dict[str, Any], key: str
    ) -> None:
        assert (await by_device(issuer, Wrong(claims=claims))).lines == (line(key, issuer="The club"),)

    @pytest.mark.parametrize(
        "wrong",
        [
            Wrong(),
            Wrong(claims={"aud": [CLIENT]}),
            Wrong(claims={"aud": [CLIENT, "another"], "azp": CLIENT}),
            Wrong(claims={"at_hash": None}),
            Wrong(header={"kid": None}),
            Wrong(header={"typ": "JWT", "unheard-of": 1}),
            Wrong(published="strange"),
        ],
        ids=str,
    )
    async def test_that_holds_verifies(self, issuer: HostileIssuer, wrong: Wrong) -> None:
        claims = {"name": "Ann Example", "email": "ann@example.org", "subject": "ann"}
        assert whenever(await by_device(issuer, wrong)) == DialogueStep(proof=ProvedIdentity(issuer.url, "ann", claims))

    async def test_a_clock_that_is_a_little_off_does_no_harm(self, issuer: HostileIssuer) -> None:
        now = wall_clock() // 1000
        for claims in ({"exp": now - 30}, {"iat": now + 30, "exp": now + 60}):
            assert (await by_device(issuer, Wrong(claims=claims))).proof is not None

    async def test_without_a_nonce_or_with_another_is_not_the_answer_to_a_link(self, issuer: HostileIssuer) -> None:
        for nonce in (None, "another", "", 7):
            issuer.wrong = Wrong(claims={"nonce": nonce})
            oidc = method(issuer, public=PUBLIC)
            begun, page = await by_link(oidc, issuer)
            assert page == LoginPage("failed")
            assert begun.state is not None
            after = await oidc.poll(ANN, begun.state, wall_clock())
            assert after == DialogueStep(lines=(line("oidc.unusable", issuer="The club"),))


class TestClient:
    @pytest.mark.parametrize(
        ("ways", "secret", "form", "header"),
        [
            (None, True, {}, "Basic YW5zd2VyYWJsZTprZXB0K3RvK291cnNlbHZlcw=="),
            (["client_secret_post"], True, {"client_id": CLIENT, "client_secret": SECRET}, None),
            (["client_secret_post", "client_secret_basic"], True, {}, "Basic YW5zd2VyYWJsZTprZXB0K3RvK291cnNlbHZlcw=="),
            (None, False, {"client_id": CLIENT}, None),
        ],
    )
    async def test_shows_itself_as_the_issuer_wants(
        self, issuer: HostileIssuer, ways: Any, secret: bool, form: dict[str, str], header: str | None
    ) -> None:
        issuer.wrong = Wrong(document={"token_endpoint_auth_methods_supported": ways})
        settings = OidcSettings(name="club", issuer=issuer.url, client_id=CLIENT)
        made = Issuer(settings, SecretStr(SECRET) if secret else None)
        await Oidc([made], wall_clock).begin(ANN, "", wall_clock())
        asked = issuer.asked[-1]
        assert (asked.form, asked.headers.get("Authorization")) == ({"scope": "openid profile email", **form}, header)


class TestClaims:
    async def test_only_configured_claims_are_kept(self, issuer: HostileIssuer) -> None:
        step = await by_device(issuer, Wrong(), claims=("phone", "subject"))
        assert whenever(step).proof == ProvedIdentity(issuer.url, "ann", {"subject": "ann"})

    async def test_it_holds_for_as_long_as_the_operator_says(self, issuer: HostileIssuer) -> None:
        began_ms = wall_clock()
        step = await by_device(issuer, Wrong(), lasts=90_000)
        assert step.proof is not None
        assert began_ms - 1_000 + 90_000 <= step.proof.until_ms <= wall_clock() + 90_000

    async def test_no_more_claims_are_requested_than_kept(self, issuer: HostileIssuer) -> None:
        await by_device(issuer, Wrong(), claims=("subject",))
        assert "/userinfo" not in issuer.paths()

    @pytest.mark.parametrize(
        "userinfo", [{"email_verified": False}, {"email": None}, {"email": 7}, {"email": " "}, {"email": "\ud800"}]
    )
    async def test_an_invalid_or_unconfirmed_address_is_not_kept(
        self, issuer: HostileIssuer, userinfo: dict[str, Any]
    ) -> None:
        step = await by_device(issuer, Wrong(userinfo=userinfo))
        assert whenever(step).proof == ProvedIdentity(issuer.url, "ann", {"name": "Ann Example", "subject": "ann"})


class TestIssuer:
    @pytest.mark.parametrize(
        "wrong",
        [
            Wrong(document={"issuer": "https://evil.example"}),
            Wrong(document={"issuer": None}),
            Wrong(document={"jwks_uri": None}),
            Wrong(document={"jwks_uri": "http://169.254.169.254/latest"}),
            Wrong(document={"token_endpoint": "file:///etc/passwd"}),
            Wrong(document={"token_endpoint": "http://example.org/token"}),
            Wrong(document={"device_authorization_endpoint": "https://user:word@example.org/"}),
            Wrong(document={"userinfo_endpoint": ["https://example.org"]}),
            Wrong(document={"id_token_signing_alg_values_supported": ["HS256", "none"]}),
            Wrong(document={"id_token_signing_alg_values_supported": None}),
            Wrong(document={"device_authorization_endpoint": None}),
            Wrong(document={"token_endpoint_auth_methods_supported": ["private_key_jwt"]}),
            *(Wrong(answers={WELL_KNOWN: each}) for each in ("html", "list", "redirect", "gone", "deep")),
            *(Wrong(answers={"/device": each}) for each in ("html", "list", "redirect", "gone", "deep")),
            Wrong(device={"user_code": "a\nb"}),
            Wrong(device={"user_code": None}),
            Wrong(device={"device_code": None}),
            Wrong(device={"verification_uri": "javascript:alert(1)"}),
            Wrong(device={"verification_uri": "http://evil.example/"}),
        ],
        ids=str,
    )
    async def test_that_answers_wrongly_is_not_relied_on(self, issuer: HostileIssuer, wrong: Wrong) -> None:
        issuer.wrong = wrong
        with pytest.raises(Refused) as refused:
            await method(issuer).begin(ANN, "", wall_clock())
        assert (refused.value.key, refused.value.fields) == ("oidc.unusable", {"issuer": "The club"})
        assert "/elsewhere" not in issuer.paths()

    @pytest.mark.parametrize("path", [WELL_KNOWN, "/device"])
    @pytest.mark.parametrize("answer", ["error", "hang", "endless"])
    async def test_that_gives_no_answer_is_reported_as_unreachable(
        self, issuer: HostileIssuer, path: str, answer: Any
    ) -> None:
        issuer.wrong = Wrong(answers={path: answer})
        with pytest.raises(Refused) as refused:
            await method(issuer, timeout_s=0.3).begin(ANN, "", wall_clock())
        assert (refused.value.key, refused.value.fields) == ("oidc.unreachable", {"issuer": "The club"})

    async def test_that_does_not_exist_is_unreachable(self) -> None:
        async with HostileIssuer() as gone:
            oidc = method(gone)
        with pytest.raises(Refused) as refused:
            await oidc.begin(ANN, "", wall_clock())
        assert refused.value.key == "oidc.unreachable"

    @pytest.mark.parametrize("path", ["/jwks", "/userinfo"])
    @pytest.mark.parametrize(
        ("answer", "key"),
        [
            ("html", "oidc.unusable"),
            ("redirect", "oidc.unusable"),
            ("error", "oidc.unreachable"),
            ("hang", "oidc.unreachable"),
            ("endless", "oidc.unreachable"),
        ],
    )
    async def test_that_fails_half_way_leaves_nothing(
        self, issuer: HostileIssuer, path: str, answer: Any, key: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def impatient(url: str, timeout_s: float, headers: Mapping[str, str]) -> HttpReply:
            waits_in_vain = url.endswith(path) and answer in ("hang", "endless")
            return await get(url, 0.3 if waits_in_vain else timeout_s, headers)

        monkeypatch.setattr(oidc_exchange, "get", impatient)
        step = await by_device(issuer, Wrong(answers={path: answer}))
        assert step == DialogueStep(lines=(line(key, issuer="The club"),))

    async def test_its_words_and_our_secret_stay_out_of_the_log(self, issuer: HostileIssuer) -> None:
        with capture_logs() as logged:
            await by_device(issuer, Wrong(signing="other"))
            await by_device(issuer, Wrong(claims={"nonce": "told"}, tokens={"id_token": "a-token"}))
            issuer.errors.append("invalid_client\nforged line")
            await by_device(issuer, Wrong())
        assert [entry["event"] for entry in logged] == ["oidc_failed"] * 3
        written = str(logged)
        assert not [secret for secret in (SECRET, "a-token", "AB-CD", "\\n", "ann") if secret in written]

    async def test_nothing_of_a_login_stands_in_a_repr(self, issuer: HostileIssuer) -> None:
        oidc = method(issuer, public=PUBLIC)
        begun, page = await by_link(oidc, issuer)
        asked = link_of(begun)
        shown = repr(oidc._logins._logins)
        assert not [each for each in (asked["state"], asked["nonce"], number_of(page), SECRET, "Ann") if each in shown]


class TestDeviceFlow:
    async def test_it_is_polled_as_the_issuer_asks(self, issuer: HostileIssuer) -> None:
        oidc = method(issuer)
        begun = await oidc.begin(ANN, "", wall_clock())
        assert begun.state is not None
        assert begun.poll_ms == 1_000
        issuer.errors += ["authorization_pending", "slow_down", "authorization_pending"]
        waits, state = [], begun.state
        for _ in range(3):
            step = await oidc.poll(ANN, state, wall_clock())
            assert step.state is not None
            state = step.state
            waits.append(step.poll_ms)
        issuer.wrong = Wrong(answers={"/token": "error"})
        step = await oidc.poll(ANN, state, wall_clock())
        assert (waits, step.poll_ms, step.lines) == ([1_000, 6_000, 6_000], 12_000, ())
        issuer.wrong = Wrong()
        assert (await oidc.poll(ANN, step.state or {}, wall_clock())).proof is not None
        (asked, *_) = [each for each in issuer.asked if each.path == "/token"]
        assert asked.form == {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "d"}

    @pytest.mark.parametrize(
        ("error", "key"),
        [
            ("access_denied", "oidc.denied"),
            ("expired_token", "oidc.expired"),
            ("invalid_grant", "oidc.expired"),
            ("invalid_client", "oidc.unusable"),
            ("", "oidc.unusable"),
        ],
    )
    async def test_a_refusal_at_the_issuer_ends_the_login(self, issuer: HostileIssuer, error: str, key: str) -> None:
        issuer.errors.append(error)
        assert await by_device(issuer, Wrong()) == DialogueStep(lines=(line(key, issuer="The club"),))

    async def test_another_process_goes_on_with_it(self, issuer: HostileIssuer) -> None:
        begun = await method(issuer).begin(ANN, "", wall_clock())
        assert begun.state is not None
        assert (await method(issuer).poll(ANN, begun.state, wall_clock())).proof is not None

    async def test_an_issuer_that_is_no_longer_in_the_settings_is_over(self, issuer: HostileIssuer) -> None:
        begun = await method(issuer).begin(ANN, "", wall_clock())
        other = method(issuer, name="other")
        assert await other.poll(ANN, begun.state or {}, wall_clock()) == DialogueStep(lines=(line("oidc.gone"),))

    async def test_there_is_nothing_to_type_in_the_chat(self, issuer: HostileIssuer) -> None:
        oidc = method(issuer)
        begun = await oidc.begin(ANN, "", wall_clock())
        with pytest.raises(Refused, match=r"oidc\.enter-there"):
            await oidc.answer(ANN, "AB-CD", begun.state or {}, wall_clock())

    @pytest.mark.parametrize(("said", "lasts_s"), [(1_000_000, 1_800), (0, 1), (-5, 1), (None, 600), ("x", 600)])
    async def test_it_lasts_no_longer_than_is_sensible(self, issuer: HostileIssuer, said: Any, lasts_s: int) -> None:
        issuer.wrong = Wrong(device={"expires_in": said})
        assert (await method(issuer).begin(ANN, "", 5_000)).until_ms == 5_000 + lasts_s * 1000


async def test_a_hanging_issuer_delays_nobody_else(issuer: HostileIssuer) -> None:
    async with HostileIssuer() as slow:
        slow.wrong = Wrong(answers={WELL_KNOWN: "hang"})
        oidc = method(slow, issuer, timeout_s=30.0)
        hanging = asyncio.create_task(oidc.begin(ANN, "club-0", wall_clock()))
        assert (await oidc.begin(BEN, "club-1", wall_clock())).state is not None
        assert not hanging.done()
        hanging.cancel()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_names_the_issuer_and_fits(language: str) -> None:
    texts = Catalog.load()
    for key in OVER:
        assert "The club" in texts.text(language, key, issuer="The club")
