"""Asks an issuer what it offers (OpenID Connect Discovery 1.0, section 4), and gets JSON from it.

Rules kept here: the issuer calls itself exactly what the operator calls it; whatever it names is asked by https (if it
is on this machine itself, also by http there), and a redirect is followed nowhere; only algorithms that we allow count;
an answer that is late, too long or no JSON is an error in words, never a guess.
Left to others: what is asked there (`oidc_exchange.py`), tokens (`oidc_token.py`), texts for people.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from bot.config.oidc import OidcSettings, is_safe
from bot.matrix.other_servers import HttpReply, NoAnswer, get

from .oidc_token import ALGORITHMS

TIMEOUT_S = 10.0
_WELL_KNOWN = "/.well-known/openid-configuration"

Way = Literal["code", "device"]
ClientAuth = Literal["client_secret_basic", "client_secret_post", "none"]
# What is wrong with an issuer; `oidc.why.*` in the message files says it to operators.
Why = Literal["status", "redirect", "json", "issuer", "endpoint", "algorithms", "secret", "flow", "answer"]


class Untrusted(Exception):
    """What the issuer answered cannot be used. `why` is stable; `detail` holds no secret."""

    def __init__(self, why: Why, detail: str = "") -> None:
        super().__init__(f"{why}: {detail}" if detail else why)
        self.why: Why = why
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Provider:
    """What an issuer says of itself, as far as it concerns us. An endpoint that it has not is ""."""

    issuer: str
    jwks_uri: str
    token_endpoint: str
    authorization_endpoint: str
    device_endpoint: str
    userinfo_endpoint: str
    algorithms: tuple[str, ...]
    client_auth: ClientAuth
    names_itself: bool  # its answers to browsers carry `iss` (RFC 9207)

    @property
    def ways(self) -> tuple[Way, ...]:
        """The ways of logging in that can be used, the better one first."""
        offered: tuple[tuple[Way, str], ...] = (("code", self.authorization_endpoint), ("device", self.device_endpoint))
        return tuple(way for way, endpoint in offered if endpoint)


async def discover(settings: OidcSettings, *, has_secret: bool, timeout_s: float = TIMEOUT_S) -> Provider:
    """What the issuer offers now. Raises `NoAnswer`, `Untrusted`."""
    document = json_of(await get(settings.issuer.rstrip("/") + _WELL_KNOWN, timeout_s, ACCEPT))
    return provider_of(document, settings.issuer, has_secret=has_secret)


ACCEPT = {"Accept": "application/json"}


def json_of(reply: HttpReply) -> dict[str, Any]:
    """The object in an answer that says all went well. Raises `NoAnswer` for trouble that passes, `Untrusted`."""
    if reply.status >= 500 or reply.status == 429:
        raise NoAnswer(f"the issuer answered {reply.status}")
    if 300 <= reply.status < 400:
        raise Untrusted("redirect", str(reply.status))
    if reply.status != 200:
        raise Untrusted("status", str(reply.status))
    return parsed(reply)


def parsed(reply: HttpReply) -> dict[str, Any]:
    """The object in an answer. Raises `Untrusted`."""
    try:
        content = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise Untrusted("json", reply.mimetype[:100]) from None
    if not isinstance(content, dict):
        raise Untrusted("json", type(content).__name__)
    return content


def provider_of(document: Mapping[str, Any], issuer: str, *, has_secret: bool) -> Provider:
    """The discovery document of `issuer`, checked. Raises `Untrusted`."""
    if document.get("issuer") != issuer:
        raise Untrusted("issuer", str(document.get("issuer"))[:200])
    return Provider(
        issuer=issuer,
        jwks_uri=_endpoint(document, "jwks_uri", issuer, needed=True),
        token_endpoint=_endpoint(document, "token_endpoint", issuer, needed=True),
        authorization_endpoint=_code_endpoint(document, issuer),
        device_endpoint=_endpoint(document, "device_authorization_endpoint", issuer),
        userinfo_endpoint=_endpoint(document, "userinfo_endpoint", issuer),
        algorithms=_algorithms(document),
        client_auth=_client_auth(document, has_secret=has_secret),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(document: Mapping[str, Any], name: str, issuer: str, *, needed: bool = False) -> str:
    url = document.get(name)
    if url is None and not needed:
        return ""
    here = urlsplit(issuer).scheme == "http"  # the settings allow that on this machine only
    if not isinstance(url, str) or not is_safe(url, loopback=here):
        raise Untrusted("endpoint", f"{name}: {str(url)[:200]}")
    return url


def _code_endpoint(document: Mapping[str, Any], issuer: str) -> str:
    """Where a browser logs in, if the code flow with PKCE (RFC 7636, S256) can be had there."""
    methods = document.get("code_challenge_methods_supported")  # many know S256 and do not say so
    if methods is not None and "S256" not in _list(methods):
        return ""
    if "code" not in _list(document.get("response_types_supported", ["code"])):
        return ""
    return _endpoint(document, "authorization_endpoint", issuer)


def _algorithms(document: Mapping[str, Any]) -> tuple[str, ...]:
    named = _list(document.get("id_token_signing_alg_values_supported"))
    allowed = tuple(each for each in ALGORITHMS if each in named)
    if not allowed:
        raise Untrusted("algorithms", ", ".join(map(str, named))[:200])
    return allowed


def _client_auth(document: Mapping[str, Any], *, has_secret: bool) -> ClientAuth:
    """How we show the issuer who we are (OpenID Connect Core 1.0, section 9); without a secret we only say it."""
    named = _list(document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"]))
    if not has_secret:
        return "none"
    for way in get_args(ClientAuth)[:2]:
        if way in named:
            return "client_secret_basic" if way == "client_secret_basic" else "client_secret_post"
    raise Untrusted("secret", ", ".join(map(str, named))[:200])


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
