"""The hostile issuer behaves correctly until told otherwise, and then makes exactly that fault; checked by joserfc."""

import time

import aiohttp
import pytest
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import KeySet, RSAKey

from tests.fakes.hostile_issuer import ACCESS_TOKEN, CLIENT, WELL_KNOWN, HostileIssuer, Wrong


async def test_the_issuer_is_correct_by_default() -> None:
    async with HostileIssuer() as issuer, aiohttp.ClientSession() as http:
        document = await (await http.get(issuer.url + WELL_KNOWN)).json()
        keys = KeySet.import_key_set(await (await http.get(document["jwks_uri"])).json())
        issuer.errors.append("authorization_pending")
        refused = await http.post(document["token_endpoint"], data={"code": "c"})
        assert (refused.status, await refused.json()) == (400, {"error": "authorization_pending"})
        tokens = await (await http.post(document["token_endpoint"], data={"code": "c"})).json()
        token = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"])
        userinfo = await (await http.get(document["userinfo_endpoint"])).json()
    assert document["issuer"] == issuer.url == token.claims["iss"]
    assert (token.claims["sub"], userinfo["sub"], token.claims["aud"]) == ("ann", "ann", CLIENT)
    assert token.claims["iat"] <= time.time() < token.claims["exp"]
    assert tokens["access_token"] == ACCESS_TOKEN
    assert issuer.paths() == [WELL_KNOWN, "/jwks", "/token", "/token", "/userinfo"]
    assert issuer.asked[2].form == {"code": "c"}


@pytest.mark.parametrize("wrong", [Wrong(signing="other"), Wrong(signing="cut"), Wrong(published="other")])
async def test_a_signature_can_be_wrong(wrong: Wrong) -> None:
    async with HostileIssuer() as issuer:
        issuer.wrong = wrong
        with pytest.raises(BadSignatureError):
            jwt.decode(issuer.id_token(), KeySet.import_key_set(issuer.jwks()), algorithms=["RS256"])  # type: ignore[arg-type]


async def test_a_token_can_be_unsigned_or_signed_with_a_public_key() -> None:
    async with HostileIssuer() as issuer:
        issuer.wrong = Wrong(signing="none")
        unsigned = jws.extract_compact(issuer.id_token().encode())
        assert (unsigned.headers()["alg"], issuer.id_token().rpartition(".")[2]) == ("none", "")
        issuer.wrong = Wrong(signing="hmac")
        assert jws.extract_compact(issuer.id_token().encode()).headers()["alg"] == "HS256"
        with pytest.raises(JoseError):
            jwt.decode(issuer.id_token(), KeySet.import_key_set(issuer.jwks()), algorithms=["RS256"])  # type: ignore[arg-type]


async def test_a_key_it_publishes_can_be_unknown_or_broken_beside_the_right_one() -> None:
    async with HostileIssuer() as issuer:
        issuer.wrong = Wrong(published="strange")
        right = RSAKey.import_key(issuer.jwks()["keys"][-1])
        assert jwt.decode(issuer.id_token(), right, algorithms=["RS256"]).claims["sub"] == "ann"


async def test_claims_can_be_changed_or_left_out() -> None:
    async with HostileIssuer() as issuer:
        issuer.wrong = Wrong(document={"issuer": "x", "jwks_uri": None}, claims={"sub": None, "aud": ["a"]})
        assert (issuer.document()["issuer"], "jwks_uri" in issuer.document()) == ("x", False)
        claims = jwt.decode(issuer.id_token(), KeySet.import_key_set(issuer.jwks()), algorithms=["RS256"]).claims  # type: ignore[arg-type]
        assert (claims["aud"], "sub" in claims) == (["a"], False)


@pytest.mark.parametrize(("answer", "status"), [("redirect", 302), ("html", 200), ("error", 503), ("gone", 404)])
async def test_an_answer_can_be_replaced(answer: str, status: int) -> None:
    async with HostileIssuer() as issuer, aiohttp.ClientSession() as http:
        issuer.wrong.answers["/jwks"] = answer  # type: ignore[assignment]
        assert (await http.get(issuer.url + "/jwks", allow_redirects=False)).status == status
