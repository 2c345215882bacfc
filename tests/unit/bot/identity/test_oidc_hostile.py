"""A misbehaving issuer verifies nobody: people are told so in words, and there are no other consequences."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from bot.config.oidc import OidcSettings
from bot.identity.method import DialogueStep, ProvedIdentity
from bot.identity.oidc import LoginPage, Oidc
from bot.identity.oidc_exchange import Issuer
from bot.runtime.clock import wall_clock
from bot.texts.catalog import LANGUAGES, Catalog
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from moderation.values.notices import line
from tests.fakes.hostile_issuer import CLIENT, WELL_KNOWN, HostileIssuer, Wrong

ANN, BEN = UserId("@ann:example.org"), UserId("@ben:example.org")
PUBLIC = "https://bot.example.org"
SECRET = "kept to ourselves"
OVER = ("oidc.unusable", "oidc.unreachable", "oidc.clocks", "oidc.denied", "oidc.expired")


@pytest.fixture
async def issuer() -> AsyncIterator[HostileIssuer]:
    async with HostileIssuer() as issuer:
        yield issuer


def method(*issuers: HostileIssuer, public: str | None = None, timeout_s: float = 5.0, **more: Any) -> Oidc:
    made = []
    for number, each in enumerate(issuers):
        settings: dict[str, Any] = {"name": f"club-{number}", "title": "The club", "client_id": CLIENT, **more}
        made.append(Issuer(OidcSettings(issuer=each.url, **settings), SecretStr(SECRET), timeout_s))
    return Oidc(made, wall_clock, public)


async def by_device(issuer: HostileIssuer, wrong: Wrong, **more: Any) -> DialogueStep:
    """Return the result of a login by device code whose answers are `wrong`."""
    oidc = method(issuer, **more)
    begun = await oidc.begin(ANN, "", wall_clock())
    assert begun.state is not None
    issuer.wrong = wrong
    return await oidc.poll(ANN, begun.state, wall_clock())


async def by_link(oidc: Oidc, issuer: HostileIssuer, **query: str) -> tuple[DialogueStep, LoginPage]:
    """Begin, and come back as if a browser had logged in; `query` overrides its parameters."""
    begun = await oidc.begin(ANN, "", wall_clock())
    asked = link_of(begun)
    issuer.nonce = asked["nonce"]
    return begun, await oidc.arrived("club-0", {"code": "c", "state": asked["state"], **query})


def whenever(step: DialogueStep) -> DialogueStep:
    """Return the step without the time until which its proof is valid."""
    return replace(step, proof=replace(step.proof, until_ms=0)) if step.proof is not None else step


def link_of(step: DialogueStep) -> dict[str, str]:
    query = parse_qs(urlsplit(str(step.lines[0].fields["link"])).query)
    return {name: value for name, (value,) in query.items()}


def number_of(page: LoginPage) -> str:
    assert re.fullmatch(r"[0-9]{4} [0-9]{4}", page.number)
    return page.number


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
        self, issuer: HostileIssuer, path: str, answer: Any, key: str
    ) -> None:
        step = await by_device(issuer, Wrong(answers={path: answer}), timeout_s=0.3)
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


class TestCodeFlow:
    async def test_the_number_on_the_page_makes_the_proof(self, issuer: HostileIssuer) -> None:
        oidc = method(issuer, public=PUBLIC)
        begun, page = await by_link(oidc, issuer)
        state = begun.state or {}
        asked = link_of(begun)
        assert asked == {
            "response_type": "code",
            "client_id": CLIENT,
            "redirect_uri": f"{PUBLIC}/oidc/club-0",
            "scope": "openid profile email",
            "state": asked["state"],
            "nonce": asked["nonce"],
            "code_challenge": asked["code_challenge"],
            "code_challenge_method": "S256",
        }
        told = await oidc.poll(ANN, state, wall_clock())
        assert (told.lines, told.poll_ms) == ((line("oidc.number", issuer="The club"),), 0)
        proof = (await oidc.answer(ANN, number_of(page).replace(" ", "-"), state, wall_clock())).proof
        assert proof is not None
        assert (proof.issuer, proof.identifier) == (issuer.url, "ann")
        assert (await oidc.answer(ANN, page.number, state, wall_clock())).lines == (line("oidc.gone"),)

    async def test_state_is_used_once(self, issuer: HostileIssuer) -> None:
        oidc = method(issuer, public=PUBLIC)
        begun, page = await by_link(oidc, issuer)
        state = link_of(begun)["state"]
        assert await oidc.arrived("club-0", {"code": "another", "state": state}) == LoginPage("stale")
        assert (await oidc.answer(ANN, page.number, begun.state or {}, wall_clock())).proof is not None

    @pytest.mark.parametrize("query", [{"state": "guessed"}, {"state": ""}])
    async def test_a_state_that_nobody_began_is_refused(self, issuer: HostileIssuer, query: dict[str, str]) -> None:
        oidc = method(issuer, public=PUBLIC)
        begun, page = await by_link(oidc, issuer, **query)
        assert page == LoginPage("stale")
        assert "/token" not in issuer.paths()
        with pytest.raises(Refused, match=r"oidc\.login-first"):
            await oidc.answer(ANN, "00000000", begun.state or {}, wall_clock())

    @pytest.mark.parametrize(
        ("query", "key"),
        [
            ({"iss": "https://evil.example"}, "oidc.unusable"),
            ({"error": "access_denied"}, "oidc.denied"),
            ({"error": "server_error"}, "oidc.unusable"),
            ({"code": ""}, "oidc.unusable"),
        ],
    )
    async def test_a_wrong_response_ends_the_login(
        self, issuer: HostileIssuer, query: dict[str, str], key: str
    ) -> None:
        oidc = method(issuer, public=PUBLIC)
        begun, page = await by_link(oidc, issuer, **query)
        assert page == LoginPage("failed")
        assert "/token" not in issuer.paths()
        assert (await oidc.answer(ANN, "1", begun.state or {}, wall_clock())).lines == (line(key, issuer="The club"),)

    async def test_an_issuer_that_promises_its_name_in_answers_must_send_it(self, issuer: HostileIssuer) -> None:
        issuer.wrong = Wrong(document={"authorization_response_iss_parameter_supported": True})
        oidc = method(issuer, public=PUBLIC)
        assert (await by_link(oidc, issuer))[1] == LoginPage("failed")
        assert (await by_link(oidc, issuer, iss=issuer.url))[1].key == "number"

    async def test_the_answer_of_one_issuer_is_not_taken_for_another(self, issuer: HostileIssuer) -> None:
        async with HostileIssuer() as second:
            oidc = method(issuer, second, public=PUBLIC)
            begun = await oidc.begin(ANN, "club-1", wall_clock())
            assert await oidc.arrived("club-0", {"code": "c", "state": link_of(begun)["state"]}) == LoginPage("failed")
            assert ("/token" in issuer.paths(), "/token" in second.paths()) == (False, False)

    async def test_a_login_through_ones_link_by_another_person_does_not_verify(self, issuer: HostileIssuer) -> None:
        """Ben began; Ann logs in by his link. The number is on her screen, and hers does nothing in his chat."""
        oidc = method(issuer, public=PUBLIC)
        bens = await oidc.begin(BEN, "", wall_clock())
        asked = link_of(bens)
        issuer.nonce = asked["nonce"]
        page = await oidc.arrived("club-0", {"code": "c", "state": asked["state"]})
        assert page.key == "number"
        anns, _ = await by_link(oidc, issuer)
        for who, state in ((ANN, bens.state), (BEN, anns.state)):
            assert await oidc.answer(who, page.number, state or {}, wall_clock()) == DialogueStep(
                lines=(line("oidc.gone"),)
            )
            assert (await oidc.poll(who, state or {}, wall_clock())).proof is None
        wrong = f"{(int(page.number.replace(' ', '')) + 1) % 10**8:08}"
        for left in (2, 1):
            with pytest.raises(Refused) as refused:
                await oidc.answer(BEN, wrong, bens.state or {}, wall_clock())
            assert (refused.value.key, refused.value.fields) == ("oidc.number-wrong", {"left": left})
        spent = await oidc.answer(BEN, wrong, bens.state or {}, wall_clock())
        assert spent == DialogueStep(lines=(line("oidc.number-spent", issuer="The club"),))
        assert (await oidc.answer(BEN, page.number, bens.state or {}, wall_clock())).proof is None

    async def test_a_newer_login_ends_the_older(self, issuer: HostileIssuer) -> None:
        oidc = method(issuer, public=PUBLIC)
        older = await oidc.begin(ANN, "", wall_clock())
        await oidc.begin(ANN, "", wall_clock())
        assert await oidc.arrived("club-0", {"code": "c", "state": link_of(older)["state"]}) == LoginPage("stale")
        assert await oidc.poll(ANN, older.state or {}, wall_clock()) == DialogueStep(lines=(line("oidc.gone"),))

    async def test_a_login_ends_at_its_deadline(self, issuer: HostileIssuer) -> None:
        oidc = method(issuer, public=PUBLIC)
        begun = await oidc.begin(ANN, "", wall_clock() - 11 * 60_000)
        assert await oidc.arrived("club-0", {"code": "c", "state": link_of(begun)["state"]}) == LoginPage("stale")
        assert (await oidc.poll(ANN, begun.state or {}, wall_clock())).lines == (
            line("oidc.expired", issuer="The club"),
        )

    async def test_after_a_restart_people_are_told_to_begin_again(self, issuer: HostileIssuer) -> None:
        begun = await method(issuer, public=PUBLIC).begin(ANN, "", wall_clock())
        anew = method(issuer, public=PUBLIC)
        assert await anew.poll(ANN, begun.state or {}, wall_clock()) == DialogueStep(lines=(line("oidc.gone"),))
        assert await anew.arrived("club-0", {"code": "c", "state": link_of(begun)["state"]}) == LoginPage("stale")

    async def test_there_is_a_limit_to_what_is_kept_in_memory(self, issuer: HostileIssuer) -> None:
        oidc = method(issuer, public=PUBLIC)
        oidc._logins._most = 2
        now = wall_clock()
        await oidc.begin(ANN, "", now)
        await oidc.begin(BEN, "", now)
        with pytest.raises(Refused, match=r"oidc\.busy"):
            await oidc.begin(UserId("@cat:example.org"), "", now)
        assert (await oidc.begin(UserId("@cat:example.org"), "", now + 11 * 60_000)).state is not None


class TestChoice:
    @pytest.mark.parametrize(
        ("flow", "public", "document", "expected"),
        [
            ("auto", PUBLIC, {}, "oidc.link"),
            ("auto", None, {}, "oidc.device"),
            ("auto", PUBLIC, {"code_challenge_methods_supported": ["plain"]}, "oidc.device"),
            ("auto", PUBLIC, {"code_challenge_methods_supported": None}, "oidc.link"),
            ("auto", PUBLIC, {"authorization_endpoint": None}, "oidc.device"),
            ("auto", PUBLIC, {"response_types_supported": ["id_token"]}, "oidc.device"),
            ("device", PUBLIC, {}, "oidc.device"),
            ("code", PUBLIC, {}, "oidc.link"),
            ("code", PUBLIC, {"authorization_endpoint": None}, "oidc.unusable"),
            ("device", PUBLIC, {"device_authorization_endpoint": None}, "oidc.unusable"),
        ],
    )
    async def test_a_flow_is_what_is_set_offered_and_possible(
        self, issuer: HostileIssuer, flow: str, public: str | None, document: dict[str, Any], expected: str
    ) -> None:
        issuer.wrong = Wrong(document=document)
        try:
            got = (await method(issuer, public=public, flow=flow).begin(ANN, "", wall_clock())).lines[0].key
        except Refused as refused:
            got = refused.key
        assert got == expected

    async def test_several_issuers_require_a_name(self, issuer: HostileIssuer) -> None:
        async with HostileIssuer() as second:
            oidc = method(issuer, second)
            for words in ("", "club-7"):
                with pytest.raises(Refused, match=r"oidc\.which"):
                    await oidc.begin(ANN, words, wall_clock())
            state = (await oidc.begin(ANN, " Club-1 ", wall_clock())).state
            assert state is not None
            assert (state["issuer"], issuer.asked) == ("club-1", [])


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
