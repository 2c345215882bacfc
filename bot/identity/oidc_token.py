"""Checks an ID token, as a pure function of it, the issuer's keys and the time (OpenID Connect Core 1.0, 3.1.3.7).

Rules kept here:
- Only public keys and the algorithms that both sides named are tried, so that neither "none" nor a public key used as
  a password is accepted.
- A key in the token's own header is ignored.
- The token must be for us, from the issuer we asked, current, and the answer to our request.
Left to others: fetching token and keys (`oidc_exchange.py`).
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from joserfc import jws
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, import_key
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

SKEW_S = 60
# Algorithm -> the hash of `at_hash`. All use a public key: only the issuer can make such a signature.
ALGORITHMS: Mapping[str, str] = {
    "RS256": "sha256",
    "RS384": "sha384",
    "RS512": "sha512",
    "PS256": "sha256",
    "PS384": "sha384",
    "PS512": "sha512",
    "ES256": "sha256",
    "ES384": "sha384",
    "ES512": "sha512",
    "EdDSA": "sha512",
    "Ed25519": "sha512",
}
_KINDS = {"RSA", "EC", "OKP"}
_LEAST_RSA_BITS = 2048
_LONGEST_SUBJECT = 255  # section 2


class NotHeld(Exception):
    """Raised if the token does not hold. The text says why, for the log; it repeats nothing of the token."""


class ClocksDiffer(NotHeld):
    """Raised if the token would hold at another time: the issuer's clock, or ours, is wrong."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The values that a token must have."""

    issuer: str
    client_id: str
    algorithms: Sequence[str]
    now_s: int
    nonce: str = field(default="", repr=False)  # "": none was sent
    access_token: str = field(default="", repr=False)


def verified(token: str, jwks: Mapping[str, Any], expected: Expected) -> dict[str, Any]:
    """Check a token and return its claims. Raises `NotHeld`."""
    try:
        algorithm, payload = _signed(token, jwks, expected.algorithms)
        claims = json.loads(payload)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise NotHeld(f"signature: {type(error).__name__}") from None
    if not isinstance(claims, dict):
        raise NotHeld("the payload is no object")
    _check(claims, expected)
    _check_parties(claims, expected.client_id)
    _check_subject(claims)
    _check_access_token(claims, expected.access_token, algorithm)
    return claims


def _signed(token: str, jwks: Mapping[str, Any], allowed: Sequence[str]) -> tuple[str, bytes]:
    """Return the algorithm and the payload of a token that one of the keys has signed."""
    algorithms = [each for each in allowed if each in ALGORITHMS]
    if not algorithms:
        raise NotHeld("no algorithm is allowed")
    # Unknown header parameters are ignored, as RFC 7515, section 4 asks; "crit" is not.
    registry = jws.JWSRegistry(algorithms=algorithms, strict_check_header=False)
    signed = jws.extract_compact(token.encode("ascii"), registry=registry)
    header = signed.headers()
    if header.get("alg") not in algorithms:
        raise NotHeld("an algorithm that is not allowed")
    for key in _keys(jwks, header.get("kid"), str(header["alg"])):
        try:
            if jws.validate_compact(signed, key, registry=registry):
                assert signed.payload is not None
                return str(header["alg"]), signed.payload
        except JoseError:  # a key of another kind
            continue
    raise NotHeld("no key of the issuer has signed it")


def _keys(jwks: Mapping[str, Any], kid: object, algorithm: str) -> Iterator[Key]:
    """Yield the issuer's public keys that may have signed this; skip keys that we do not understand."""
    found = jwks.get("keys")
    for data in found if isinstance(found, list) else ():
        if not isinstance(data, dict) or data.get("kty") not in _KINDS or data.get("use", "sig") != "sig":
            continue
        if (kid is not None and data.get("kid") != kid) or data.get("alg", algorithm) != algorithm:
            continue
        try:
            key = import_key(data)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if isinstance(key, RSAKey) and key.public_key.key_size < _LEAST_RSA_BITS:
            continue
        if isinstance(key, RSAKey | ECKey | OKPKey):
            yield key


def _check(claims: Mapping[str, Any], expected: Expected) -> None:
    options: dict[str, ClaimsOption] = {
        "iss": {"essential": True, "value": expected.issuer},
        "aud": {"essential": True, "value": expected.client_id},
        "sub": {"essential": True},
        "exp": {"essential": True},
        "iat": {"essential": True},
    }
    if expected.nonce:
        options["nonce"] = {"essential": True, "value": expected.nonce}
    registry = JWTClaimsRegistry(now=expected.now_s, leeway=SKEW_S, **options)
    try:
        registry.validate(dict(claims))
    except ExpiredTokenError:
        raise ClocksDiffer("it is past its time") from None
    except InvalidClaimError as error:
        kind = ClocksDiffer if _is_ahead(claims, expected.now_s) else NotHeld
        raise kind(f"claim: {error.description}"[:200]) from None
    except (JoseError, ValueError, TypeError, OverflowError) as error:
        raise NotHeld(f"claims: {type(error).__name__}") from None
    if expected.nonce and not isinstance(claims["nonce"], str):
        raise NotHeld("the nonce is no text")


def _is_ahead(claims: Mapping[str, Any], now_s: int) -> bool:
    times = [claims.get(name) for name in ("iat", "nbf")]
    return any(isinstance(time, int | float) and time > now_s + SKEW_S for time in times)


def _check_parties(claims: Mapping[str, Any], client_id: str) -> None:
    """Check `aud` and `azp`: a token that is for others as well must say that it was issued to us."""
    audience, party = claims["aud"], claims.get("azp")
    others = isinstance(audience, list) and any(each != client_id for each in audience)
    if (others and party is None) or (party is not None and party != client_id):
        raise NotHeld("it was issued to somebody else")


def _check_subject(claims: Mapping[str, Any]) -> None:
    subject = claims["sub"]
    if not isinstance(subject, str) or not subject.strip() or len(subject) > _LONGEST_SUBJECT or not is_text(subject):
        raise NotHeld("the subject cannot be one")


def is_text(value: str) -> bool:
    """Tell whether the text can be encoded: JSON lets half a surrogate pair through."""
    return not any("\ud800" <= sign <= "\udfff" for sign in value)


def _check_access_token(claims: Mapping[str, Any], access_token: str, algorithm: str) -> None:
    """Check by `at_hash` that the access token belongs to this ID token (section 3.1.3.6)."""
    said = claims.get("at_hash")
    if said is None or not access_token:
        return
    digest = hashlib.new(ALGORITHMS[algorithm], access_token.encode()).digest()
    right = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(errors="replace"), right):
        raise NotHeld("the access token is another")
