"""Asks an issuer what it offers (OpenID Connect Discovery 1.0, section 4), and reads its JSON answers.

Rules kept here:
- The issuer must call itself exactly what the operator calls it.
- The addresses it names are used only over https (if it is on this machine, also over http there), and redirects are
  never followed.
- Only algorithms that we allow count.
- An answer that is late, too long or not JSON is an error with a description, never a guess.
Left to others: the requests themselves (`oidc_exchange.py`), tokens (`oidc_token.py`), texts for people.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from bot.config.oidc import OidcSettings, is_safe
from bot.events.parse_fields import list_of
from bot.matrix.other_servers import HttpReply, NoAnswer, get

from .oidc_token import ALGORITHMS

TIMEOUT_S = 10.0
_WELL_KNOWN = "/.well-known/openid-configuration"

Way = Literal["code", "device"]
ClientAuth = Literal["client_secret_basic", "client_secret_post", "none"]
# Faults of an issuer; `oidc.why.*` in the message files explains them to operators.
Why = Literal["status", "redirect", "json", "issuer", "endpoint", "algorithms", "secret", "flow", "answer"]


class Untrusted(Exception):
    """Raised if the issuer's answer cannot be used. `why` is stable; `detail` holds no secret."""

    def __init__(self, why: Why, detail: str = "") -> None:
        super().__init__(f"{why}: {detail}" if detail else why)
        self.why: Why = why
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Provider:
    """An issuer's description of itself, as far as it concerns us. A missing endpoint is ""."""

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
        """The usable ways of logging in, the better one first."""
        offered: tuple[tuple[Way, str], ...] = (("code", self.authorization_endpoint), ("device", self.device_endpoint))
        return tuple(way for way, endpoint in offered if endpoint)


async def discover(settings: OidcSettings, *, has_secret: bool, timeout_s: float = TIMEOUT_S) -> Provider:
    """Ask what the issuer offers now. Raises `NoAnswer`, `Untrusted`."""
    document = json_of(await get(settings.issuer.rstrip("/") + _WELL_KNOWN, timeout_s, ACCEPT))
    return provider_of(document, settings.issuer, has_secret=has_secret)


ACCEPT = {"Accept": "application/json"}


def json_of(reply: HttpReply) -> dict[str, Any]:
    """Return the object in a successful answer. Raises `NoAnswer` for temporary trouble, `Untrusted` otherwise."""
    if reply.status >= 500 or reply.status == 429:
        raise NoAnswer(f"the issuer answered {reply.status}")
    if 300 <= reply.status < 400:
        raise Untrusted("redirect", str(reply.status))
    if reply.status != 200:
        raise Untrusted("status", str(reply.status))
    return parsed(reply)


def parsed(reply: HttpReply) -> dict[str, Any]:
    """Return the object in an answer. Raises `Untrusted`."""
    try:
        content = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise Untrusted("json", reply.mimetype[:100]) from None
    if not isinstance(content, dict):
        raise Untrusted("json", type(content).__name__)
    return content


def provider_of(document: Mapping[str, Any], issuer: str, *, has_secret: bool) -> Provider:
    """Check the discovery document of `issuer`. Raises `Untrusted`."""
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
    """Return where a browser logs in; "" if the code flow with PKCE (RFC 7636, S256) is not supported."""
    methods = document.get("code_challenge_methods_supported")  # many support S256 without saying so
    if methods is not None and "S256" not in list_of(methods):
        return ""
    if "code" not in list_of(document.get("response_types_supported", ["code"])):
        return ""
    return _endpoint(document, "authorization_endpoint", issuer)


def _algorithms(document: Mapping[str, Any]) -> tuple[str, ...]:
    named = list_of(document.get("id_token_signing_alg_values_supported"))
    allowed = tuple(each for each in ALGORITHMS if each in named)
    if not allowed:
        raise Untrusted("algorithms", ", ".join(map(str, named))[:200])
    return allowed


def _client_auth(document: Mapping[str, Any], *, has_secret: bool) -> ClientAuth:
    """Return how we authenticate to the issuer (OpenID Connect Core 1.0, section 9); "none" without a secret.

    Raises `Untrusted` if it supports no method that we know.
    """
    named = list_of(document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"]))
    if not has_secret:
        return "none"
    for way in get_args(ClientAuth)[:2]:
        if way in named:
            return "client_secret_basic" if way == "client_secret_basic" else "client_secret_post"
    raise Untrusted("secret", ", ".join(map(str, named))[:200])
