"""An issuer on loopback that behaves correctly until told otherwise; it can make every fault in tokens and answers.

Rules it keeps:
- It shares no code with the product, so that it can prove the product wrong; it signs with `cryptography` alone.
- It makes one named fault at a time.
- Every request is kept as it came.
"""

import base64
import hashlib
import hmac
import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.fakes.local_server import LocalServer

CLIENT = "answerable"
ACCESS_TOKEN = "an-access-token"
WELL_KNOWN = "/.well-known/openid-configuration"

Signing = Literal["right", "other", "none", "hmac", "cut"]
Answer = Literal["html", "list", "endless", "hang", "redirect", "error", "gone", "deep"]


@dataclass
class Wrong:
    """The fault to make. A claim, header or member that is set to `None` is left out."""

    document: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    device: dict[str, Any] = field(default_factory=dict)
    signing: Signing = "right"
    published: Literal["own", "other", "none", "strange"] = "own"
    answers: dict[str, Answer] = field(default_factory=dict)  # path -> what comes instead


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    form: Mapping[str, str]
    headers: Mapping[str, str]


_UNUSED: list[rsa.RSAPrivateKey] = []  # keys of issuers that are closed: to make one takes longer than most tests


def _unused_key() -> rsa.RSAPrivateKey:
    """Return a key that no open issuer has."""
    return _UNUSED.pop() if _UNUSED else rsa.generate_private_key(65537, 2048)


class HostileIssuer(LocalServer):
    """The issuer; use as ``async with HostileIssuer() as issuer``. `issuer.url` is its own name for itself."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong = Wrong()
        self.errors: deque[str] = deque()  # what the token endpoint says first
        self.nonce = ""  # of the login to which the next code belongs
        self.asked: list[Asked] = []
        self._key, self._other = _unused_key(), _unused_key()

    def paths(self) -> list[str]:
        """Return the paths of the requests, in order."""
        return [each.path for each in self.asked]

    def document(self) -> dict[str, Any]:
        """Return the discovery document."""
        return _with(
            {
                "issuer": self.url,
                "jwks_uri": self.url + "/jwks",
                "authorization_endpoint": self.url + "/auth",
                "token_endpoint": self.url + "/token",
                "userinfo_endpoint": self.url + "/userinfo",
                "device_authorization_endpoint": self.url + "/device",
                "response_types_supported": ["code"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            },
            self.wrong.document,
        )

    def jwks(self) -> dict[str, Any]:
        """Return the published keys."""
        own, other = self._jwk(self._key), self._jwk(self._other)
        strange = [{"kty": "AKP", "kid": "one"}, {"kty": "RSA", "kid": "one", "n": "!", "e": "AQAB"}, "no key", own]
        return {"keys": {"own": [own], "other": [other], "none": [], "strange": strange}[self.wrong.published]}

    def id_token(self) -> str:
        """Return a signed ID token, with the fault that was ordered."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "ann",
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "at_hash": _encoded(hashlib.sha256(ACCESS_TOKEN.encode()).digest()[:16]),
            **({"nonce": self.nonce} if self.nonce else {}),
        }
        algorithm = {"none": "none", "hmac": "HS256"}.get(self.wrong.signing, "RS256")
        header = _with({"alg": algorithm, "kid": "one"}, self.wrong.header)
        text = f"{_json(header)}.{_json(_with(claims, self.wrong.claims))}"
        return f"{text}.{_encoded(self._signature(text.encode()))}"

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _UNUSED.extend((self._key, self._other))
        await super().__aexit__(kind, error, trace)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append(Asked(request.method, request.path, form, dict(request.headers)))
        if (answer := self.wrong.answers.get(request.path)) is not None:
            return await self._instead(request, answer)
        if request.path == "/token" and self.errors:
            return web.json_response({"error": self.errors.popleft()}, status=400)
        content = self._content(request.path)
        return web.json_response(content) if content is not None else web.Response(status=404)

    def _content(self, path: str) -> dict[str, Any] | None:
        if path == WELL_KNOWN:
            return self.document()
        if path == "/jwks":
            return self.jwks()
        if path == "/device":
            given = {"device_code": "d", "user_code": "AB-CD", "expires_in": 600, "interval": 1}
            return _with({**given, "verification_uri": self.url + "/enter"}, self.wrong.device)
        if path == "/token":
            given = {"id_token": self.id_token(), "access_token": ACCESS_TOKEN, "token_type": "Bearer"}
            return _with(given, self.wrong.tokens)
        if path == "/userinfo":
            return _with({"sub": "ann", "name": "Ann Example", "email": "ann@example.org"}, self.wrong.userinfo)
        return None

    async def _instead(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        if answer == "hang":
            await self._closing.wait()
        if answer == "endless":
            return await self._endless(request)
        if answer == "redirect":
            return web.Response(status=302, headers={"Location": self.url + "/elsewhere"})
        if answer == "html":
            return web.Response(text="<html>Please log in</html>", content_type="text/html")
        if answer == "list":
            return web.json_response(["no object"])
        if answer == "deep":
            return web.Response(text="[" * 60_000, content_type="application/json")
        return web.Response(status={"error": 503, "gone": 404}.get(answer, 500))

    async def _endless(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while not self._closing.is_set():
            try:
                await response.write(b" " * 16_384)
            except ConnectionError:
                break
        return response

    def _signature(self, text: bytes) -> bytes:
        if self.wrong.signing == "none":
            return b""
        if self.wrong.signing == "hmac":  # the public key, which everybody has, taken for a password
            return hmac.new(self._pem(), text, hashlib.sha256).digest()
        key = self._other if self.wrong.signing == "other" else self._key
        made = key.sign(text, padding.PKCS1v15(), hashes.SHA256())
        return made[:-1] if self.wrong.signing == "cut" else made

    def _pem(self) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(serialization.Encoding.PEM, form)

    def _jwk(self, key: rsa.RSAPrivateKey) -> dict[str, str]:
        numbers = key.public_key().public_numbers()
        return {
            "kty": "RSA",
            "kid": "one",
            "use": "sig",
            "alg": "RS256",
            "n": _encoded(numbers.n.to_bytes(256, "big")),
            "e": _encoded(numbers.e.to_bytes(3, "big")),
        }


def _with(right: Mapping[str, Any], wrong: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**right, **wrong}.items() if value is not None}


def _json(value: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(value).encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
