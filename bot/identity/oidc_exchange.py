"""Requests to an issuer: the device flow (RFC 8628), the code flow with PKCE (RFC 6749, 7636), keys, userinfo.

Rules kept here:
- The issuer's keys are fetched for every token, so they are never out of date.
- A person is known only once the token holds and everything requested has come: a failure in between leaves nothing.
- Userinfo counts only if it is about the same subject.
- The client's secret and what the issuer hands out appear in no log, error or `repr`.
Left to others: the discovery document (`oidc_discovery.py`), whether a token holds (`oidc_token.py`), who began which
login and when (`oidc.py`).
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote_plus, urlencode, urlsplit

from pydantic import SecretStr

from bot.config.oidc import ClaimName, OidcSettings, is_safe
from bot.matrix.other_servers import HttpReply, get, post

from .method import ProvedIdentity
from .oidc_discovery import ACCEPT, TIMEOUT_S, Provider, Untrusted, discover, json_of, parsed
from .oidc_token import ClocksDiffer, Expected, NotHeld, is_text, verified

_FORM = "application/x-www-form-urlencoded"
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_USER_CODE = re.compile(r"[\x20-\x7e]{1,40}\Z")
_LONGEST_CLAIM = 320
_LONGEST_WAIT_S = 30 * 60
INTERVAL_S = 5  # between two questions to an issuer that names none. RFC 8628, section 3.2
_CLAIMS: Mapping[ClaimName, str] = {"name": "name", "email": "email", "phone": "phone_number", "subject": "sub"}

Waiting = Literal["pending", "slower"]


class Denied(Exception):
    """Raised if the person or the issuer refused. `over`: the time was over."""

    def __init__(self, *, over: bool = False) -> None:
        super().__init__("expired" if over else "denied")
        self.over = over


@dataclass(frozen=True, slots=True)
class DeviceGrant:
    """The answer to a device authorization request (RFC 8628, section 3.2)."""

    device_code: str = field(repr=False)
    user_code: str = field(repr=False)
    link: str
    expires_s: int
    interval_s: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """The answer of the token endpoint."""

    id_token: str = field(repr=False)
    access_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BrowserLogin:
    """The secrets by which one login in a browser is recognised."""

    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    @property
    def sent(self) -> str:
        """The verifier as it is sent ahead: S256 (RFC 7636, section 4.2)."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


class Issuer:
    """One issuer, spoken to as one client."""

    def __init__(self, settings: OidcSettings, secret: SecretStr | None, timeout_s: float = TIMEOUT_S) -> None:
        self.settings = settings
        self._secret = secret
        self._timeout_s = timeout_s

    async def discover(self) -> Provider:
        """Ask what the issuer offers now. Raises `NoAnswer`, `Untrusted`."""
        return await discover(self.settings, has_secret=self._secret is not None, timeout_s=self._timeout_s)

    async def begin_device(self, provider: Provider) -> DeviceGrant:
        """Ask for a code that a person enters in any browser. Raises `NoAnswer`, `Untrusted`."""
        scope = {"scope": " ".join(self.settings.scopes)}
        reply = await self._post(provider, provider.device_endpoint, scope)
        if error := _error(reply):
            raise Untrusted("answer", error)
        return _grant(json_of(reply), provider)

    async def ask_device(self, provider: Provider, device_code: str) -> Tokens | Waiting:
        """Ask whether the person entered the code (RFC 8628, section 3.5). Raises `Denied`, `NoAnswer`, `Untrusted`."""
        form = {"grant_type": _DEVICE_GRANT, "device_code": device_code}
        reply = await self._post(provider, provider.token_endpoint, form)
        error = _error(reply)
        if error == "authorization_pending":
            return "pending"
        if error == "slow_down":
            return "slower"
        if error in ("access_denied", "expired_token", "invalid_grant"):  # the last: code used before, or forgotten
            raise Denied(over=error != "access_denied")
        return _tokens(reply, error)

    def login_link(self, provider: Provider, challenge: BrowserLogin, back_to: str) -> str:
        """Return the address where a browser logs in (OpenID Connect Core 1.0, section 3.1.2.1)."""
        query = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": back_to,
            "scope": " ".join(self.settings.scopes),
            "state": challenge.state,
            "nonce": challenge.nonce,
            "code_challenge": challenge.sent,
            "code_challenge_method": "S256",
        }
        address, _, fragment = provider.authorization_endpoint.partition("#")
        del fragment  # none belongs there (RFC 6749, 3.1)
        return address + ("&" if urlsplit(address).query else "?") + urlencode(query)

    async def redeem(self, provider: Provider, code: str, verifier: str, back_to: str) -> Tokens:
        """Exchange the code of a login for tokens. Raises `NoAnswer`, `Untrusted`."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": back_to, "code_verifier": verifier}
        reply = await self._post(provider, provider.token_endpoint, form)
        return _tokens(reply, _error(reply))

    async def returned(
        self, provider: Provider, challenge: BrowserLogin, query: Mapping[str, str], back_to: str, now_s: int
    ) -> ProvedIdentity:
        """Return who came back in a browser. Raises `Denied`, `NoAnswer`, `Untrusted`, `NotHeld`, `ClocksDiffer`."""
        if not _is_from(provider, query):  # mix-up attack (RFC 9207)
            raise Untrusted("answer", "the browser came back from another issuer")
        if "error" in query:
            if query["error"] == "access_denied":
                raise Denied
            raise Untrusted("answer", query["error"][:60])
        if not query.get("code"):
            raise Untrusted("answer", "no code")
        tokens = await self.redeem(provider, query["code"], challenge.verifier, back_to)
        return await self.person(provider, tokens, now_s, challenge.nonce)

    async def person(self, provider: Provider, tokens: Tokens, now_s: int, nonce: str = "") -> ProvedIdentity:
        """Return who logged in. Raises `NoAnswer`, `Untrusted`, `NotHeld`, `ClocksDiffer`."""
        jwks = json_of(await get(provider.jwks_uri, self._timeout_s, ACCEPT))
        expected = Expected(
            issuer=provider.issuer,
            client_id=self.settings.client_id,
            algorithms=provider.algorithms,
            now_s=now_s,
            nonce=nonce,
            access_token=tokens.access_token,
        )
        claims = verified(tokens.id_token, jwks, expected)
        subject = str(claims["sub"])
        if provider.userinfo_endpoint and tokens.access_token and _lacking(claims, self.settings.claims):
            claims = {**await self._userinfo(provider, tokens.access_token, subject), **claims}
        until_ms = now_s * 1000 + self.settings.lasts
        return ProvedIdentity(provider.issuer, subject, kept(claims, self.settings.claims), until_ms)

    async def _userinfo(self, provider: Provider, access_token: str, subject: str) -> dict[str, Any]:
        """Fetch more claims of the same subject (section 5.3.2). Raises `NotHeld` if they are of another."""
        headers = {**ACCEPT, "Authorization": f"Bearer {access_token}"}
        claims = json_of(await get(provider.userinfo_endpoint, self._timeout_s, headers))
        if claims.get("sub") != subject:
            raise NotHeld("userinfo is of somebody else")
        return claims

    async def _post(self, provider: Provider, url: str, form: Mapping[str, str]) -> HttpReply:
        fields, headers = dict(form), dict(ACCEPT)
        secret = self._secret.get_secret_value() if self._secret else ""
        if provider.client_auth == "client_secret_basic":
            pair = f"{quote_plus(self.settings.client_id)}:{quote_plus(secret)}"  # RFC 6749, 2.3.1
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            fields["client_id"] = self.settings.client_id
        if provider.client_auth == "client_secret_post":
            fields["client_secret"] = secret
        return await post(url, urlencode(fields).encode(), _FORM, self._timeout_s, headers)


def kept(claims: Mapping[str, Any], wanted: Sequence[ClaimName]) -> dict[str, str]:
    """Return the claims to store: those the operator named, unless the issuer calls them unconfirmed."""
    found: dict[str, str] = {}
    for name in wanted:
        value = claims.get(_CLAIMS[name])
        confirmed = claims.get(f"{_CLAIMS[name]}_verified") is not False
        if isinstance(value, str) and value.strip() and is_text(value) and confirmed:
            found[name] = value.strip()[:_LONGEST_CLAIM]
    return found


def _is_from(provider: Provider, query: Mapping[str, str]) -> bool:
    """Tell whether the answer is from this issuer, as far as it says so (RFC 9207, section 2.4)."""
    return query["iss"] == provider.issuer if "iss" in query else not provider.names_itself


def _lacking(claims: Mapping[str, Any], wanted: Sequence[ClaimName]) -> bool:
    return any(_CLAIMS[name] not in claims for name in wanted)


def _error(reply: HttpReply) -> str:
    """Return the error code of a refusal (RFC 6749, section 5.2); "" for any other answer."""
    if reply.status not in (400, 401, 403):
        return ""
    return _printable(parsed(reply).get("error"))


def _tokens(reply: HttpReply, error: str) -> Tokens:
    if error:
        raise Untrusted("answer", error)
    content = json_of(reply)
    id_token, access_token = content.get("id_token"), content.get("access_token", "")
    if not isinstance(id_token, str) or not isinstance(access_token, str):
        raise Untrusted("answer", "no id_token")
    if not all(each.isascii() and each.isprintable() for each in (id_token, access_token)):
        raise Untrusted("answer", "not a token")
    return Tokens(id_token=id_token, access_token=access_token)


def _grant(content: Mapping[str, Any], provider: Provider) -> DeviceGrant:
    code, shown = content.get("device_code"), content.get("user_code")
    # Some issuers use the name from a draft of the RFC.
    link = content.get("verification_uri") or content.get("verification_url")
    here = urlsplit(provider.issuer).scheme == "http"
    if not isinstance(code, str) or not code:
        raise Untrusted("answer", "no device_code")
    if not isinstance(shown, str) or not _USER_CODE.match(shown):
        raise Untrusted("answer", "no user_code")
    if not isinstance(link, str) or not is_safe(link, loopback=here):
        raise Untrusted("answer", "no verification_uri")
    return DeviceGrant(
        device_code=code,
        user_code=shown,
        link=link,
        expires_s=_seconds(content.get("expires_in"), 600, 1, _LONGEST_WAIT_S),
        interval_s=_seconds(content.get("interval"), INTERVAL_S, 1, 60),
    )


def _seconds(value: object, default: int, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        return default
    return max(least, min(most, value))


def _printable(value: object) -> str:
    return value[:60] if isinstance(value, str) and re.fullmatch(r"[\x20-\x7e]+", value) else "no error code"


__all__ = ["BrowserLogin", "ClocksDiffer", "Denied", "DeviceGrant", "Issuer", "Tokens", "Waiting", "kept"]
