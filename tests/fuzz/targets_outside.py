"""Targets in what other services answer: issuers of identities, time stamps, witnesses, addresses."""

import hashlib
import re
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import getaddresses
from typing import Any

from hypothesis import strategies as st
from yarl import URL

from bot.identity.email import EmailMethod
from bot.identity.oidc_discovery import Untrusted, parsed, provider_of
from bot.identity.oidc_token import Expected, NotHeld, verified
from bot.matrix.other_servers import HttpReply
from bot.texts.catalog import Catalog
from moderation.values.errors import Invalid, Refused
from storage.journal.transparency import timestamp
from storage.journal.transparency.cosignature import ML_DSA_44, Cosigner, lines_of
from storage.journal.transparency.signed_note import signature_line
from tests.fakes.tsa import FakeTsa
from tests.fuzz import events
from tests.fuzz.vocabulary import texts

CATALOG = Catalog.load()
NOW = 1_795_511_540_900

_ISSUER = "https://issuer.example"
_JWKS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}


def check_token(pair: Any) -> None:
    """Check that an ID token that its issuer did not sign is refused, whatever it and the keys contain."""
    token, jwks = pair
    expected = Expected("https://issuer.example", "me", ("RS256", "ES256", "EdDSA", "none", "HS256"), NOW // 1000)
    for keys in (_JWKS, jwks if isinstance(jwks, dict) else {}):
        try:
            verified(token, keys, expected)
        except NotHeld:
            continue
        raise AssertionError("a token that nobody signed is held")


def check_issuer(body: bytes) -> None:
    """Check that a discovery document is of the operator's issuer and has only https addresses, or is refused."""
    for has_secret in (False, True):
        try:
            offered = provider_of(parsed(HttpReply(200, "application/json", body)), _ISSUER, has_secret=has_secret)
        except Untrusted:
            continue
        endpoints = (
            offered.jwks_uri,
            offered.token_endpoint,
            offered.authorization_endpoint,
            offered.device_endpoint,
            offered.userinfo_endpoint,
        )
        for url in filter(None, endpoints):
            asked = URL(url)  # as the client that asks there reads it
            assert (asked.scheme, asked.user, asked.password) == ("https", None, None)
            assert asked.host
        assert offered.issuer == _ISSUER and offered.jwks_uri and offered.token_endpoint
        assert offered.algorithms and not {"none", "HS256"} & set(offered.algorithms)


_NOTE = "example.org/log\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u2014 example.org/log AAAAAAE=\n"
_WITNESS = Cosigner("witness.example", bytes(range(32)))
PQ_WITNESS = Cosigner("witness.example", bytes(1312), ML_DSA_44)
_REQUEST = timestamp.request(_NOTE)


def check_stamp(response: bytes) -> None:
    """Check that an answer of a time stamping authority is about our request, or refused."""
    try:
        at = timestamp.check(response, _NOTE, _REQUEST.nonce)
    except Invalid:
        return
    assert hashlib.sha256(_NOTE.encode()).digest() in response
    assert abs(at) < 2**53


def check_cosigned(tail: str) -> None:
    """Check that lines which a witness did not sign do not count as its cosignatures."""
    try:
        found = lines_of(_NOTE + tail, [_WITNESS, PQ_WITNESS])
    except Invalid:
        return
    assert found == []


def check_address(words: str) -> None:
    """Check that an e-mail address is a single usable one, on one line, in an allowed domain, or is refused."""
    method = EmailMethod(None, "bot@example.org", ("example.org", "*.example.org"), None, CATALOG, None)  # type: ignore[arg-type]
    try:
        address = method.address(words)
    except Refused:
        return
    assert re.fullmatch(r"[!-~]{3,254}", address)
    assert address.count("@") == 1
    assert address.endswith(("@example.org", ".example.org"))
    mail = EmailMessage(policy=SMTP)
    mail["To"] = address
    assert getaddresses([mail["To"]]) == [("", address)]
    assert mail.as_bytes().count(b":") == 1 + address.count(":")


_DOCUMENT = {
    "issuer": _ISSUER,
    **{name: f"{_ISSUER}/{name}" for name in ("jwks_uri", "token_endpoint", "authorization_endpoint")},
    **{name: f"{_ISSUER}/{name}" for name in ("device_authorization_endpoint", "userinfo_endpoint")},
    "id_token_signing_alg_values_supported": ["RS256", "none", "HS256"],
    "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    "response_types_supported": ["code"],
    "code_challenge_methods_supported": ["S256"],
    "authorization_response_iss_parameter_supported": True,
}
token = st.lists(
    st.sampled_from(["eyJhbGciOiJub25lIn0", "eyJhbGciOiJFZERTQSJ9", "eyJhbGciOiJIUzI1NiIsImtpZCI6IjEifQ", "e30", ""])
    | texts,
    max_size=5,
).map(".".join)
_urls = st.builds(
    "".join,
    st.lists(
        st.sampled_from(
            ["https://issuer.example/x", "http://issuer.example/x", "https://", "https:", "//", "http://localhost/",
             "https://[::1]:8/", "https://[", "user:pass@", "issuer.example", "/x", "?q", "#f", ":0", ":99999", "\\"]
        )
        | texts,
        max_size=3,
    ),
)  # fmt: skip
issuers = st.builds(
    lambda changes: events.dumped({**_DOCUMENT, **changes}),
    st.dictionaries(
        st.sampled_from(sorted(_DOCUMENT)), _urls | st.lists(texts, max_size=3) | events.anything, max_size=4
    ),
) | st.binary(max_size=60)
_stamped = FakeTsa().respond(_REQUEST.data)
stamps = st.one_of(
    st.binary(max_size=60),
    st.tuples(st.integers(0, len(_stamped) - 1), st.binary(min_size=1, max_size=4), st.integers(0, 4)).map(
        lambda cut: _stamped[: cut[0]] + cut[1] + _stamped[cut[0] + cut[2] :]
    ),
)
blobs = st.binary(max_size=80) | st.binary(min_size=72, max_size=72).map(lambda rest: _WITNESS.key_id + rest)
cosigned = st.lists(
    st.builds(signature_line, st.sampled_from([_WITNESS.name, "other.example"]) | texts, blobs) | texts, max_size=4
).map("".join)
addresses = st.lists(
    st.sampled_from(
        ["ann", "@", "example.org", ".", "EXAMPLE.ORG", "evil.example", "<", ">", ",", '"', "\n", "\r\nBcc: x", "%"]
    )
    | texts,
    max_size=8,
).map("".join)  # fmt: skip
