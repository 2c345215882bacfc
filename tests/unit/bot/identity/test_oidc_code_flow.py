"""The code flow against a hostile issuer, and the choice between the flows."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.identity.method import DialogueStep
from bot.identity.oidc import LoginPage
from bot.runtime.clock import wall_clock
from moderation.values.errors import Refused
from moderation.values.ids import UserId
from moderation.values.notices import line
from tests.fakes.hostile_issuer import CLIENT, HostileIssuer, Wrong
from tests.unit.bot.identity.oidc_attempts import ANN, BEN, PUBLIC, by_link, link_of, method, number_of


@pytest.fixture
async def issuer() -> AsyncIterator[HostileIssuer]:
    async with HostileIssuer() as issuer:
        yield issuer


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
