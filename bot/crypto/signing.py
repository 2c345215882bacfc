"""Ed25519 keys and their signatures on JSON objects.

Rules this module keeps:
- A signature covers everything except `signatures` and `unsigned`.
- Checking an object (`is_signed`) never raises, whatever others sent.
- A private key is in no repr.

Specification: appendices v1.19, "Signing JSON".
"""

from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .encoding import MalformedKey, Object, b64, canonical, object_of, unb64

ED25519 = "ed25519"
_KEY = 32
_SIGNATURE = 64


class SigningKey:
    """A private Ed25519 key."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = b64(self._key.public_key().public_bytes_raw())  # in unpadded base64

    def __repr__(self) -> str:
        return f"SigningKey({self.public!r})"

    @classmethod
    def new(cls) -> "SigningKey":
        """Generate a key."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @property
    def seed(self) -> bytes:
        """The private half. A secret."""
        return self._key.private_bytes_raw()

    def sign(self, data: bytes) -> str:
        """Return the signature of `data`."""
        return b64(self._key.sign(data))

    def signed(self, value: Object, user: str, key: str | None = None) -> dict[str, Any]:
        """Return `value` with our signature added, as key `key` of `user` (by default named by the public half)."""
        return with_signature(value, user, key or self.public, self.sign(to_be_signed(value)))


def to_be_signed(value: Object) -> bytes:
    """Return the bytes of an object that a signature covers."""
    return canonical({name: each for name, each in value.items() if name not in ("signatures", "unsigned")})


def with_signature(value: Object, user: str, key: str, signature: str) -> dict[str, Any]:
    """Return `value` with one more signature."""
    signatures = {who: dict(object_of(each)) for who, each in object_of(value.get("signatures")).items()}
    signatures.setdefault(user, {})[f"{ED25519}:{key}"] = signature
    return {**value, "signatures": signatures}


def signature_in(value: Object, user: str, key: str) -> str | None:
    """Return the unchecked signature of a key on an object, or None."""
    found = object_of(object_of(value.get("signatures")).get(user)).get(f"{ED25519}:{key}")
    return found if isinstance(found, str) else None


def is_signed(value: Object, user: str, key: str, public: str) -> bool:
    """Tell whether the key `key` of `user`, with the public half `public`, signed exactly this object."""
    signature = signature_in(value, user, key)
    if signature is None:
        return False
    try:
        return verifies(public, to_be_signed(value), signature)
    except MalformedKey:
        return False


def verifies(public: str, data: bytes, signature: str) -> bool:
    """Tell whether `signature` is valid for `data`. Raises `MalformedKey` for a malformed key or signature."""
    try:
        Ed25519PublicKey.from_public_bytes(unb64(public, _KEY)).verify(unb64(signature, _SIGNATURE), data)
    except InvalidSignature:
        return False
    return True
