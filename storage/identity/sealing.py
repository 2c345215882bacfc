"""Sealing for the identity store: the key that wraps keys, AES-256-GCM, and texts padded in length.

Rules kept here:
- A seal is bound to its place (whose it is, what it is, the key above it), and opens nowhere else.
- Every seal has a random nonce of 96 bits (NIST SP 800-38D, 8.2.2), and no key seals more than a few values.
- A text is padded to a multiple of 64 bytes.
- Keys are in no `repr`.

Left to others: where the key comes from (`bot/config/identity_key.py`), what is sealed (`keyring.py`, `store.py`).
"""

import hashlib
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from moderation.values.errors import Broken, Invalid

KEY_BYTES = 32
_ID_BYTES = 8
_NONCE_BYTES = 12
_BLOCK = 64
_END = b"\x80"  # of a text, before the padding


@dataclass(frozen=True, slots=True)
class Kek:
    """The key-wrapping key, which is kept outside the data directory."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise Invalid(f"a key has {KEY_BYTES} bytes, not {len(self.secret)}")

    @classmethod
    def new(cls) -> "Kek":
        """Return a random key."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def parse(cls, text: str) -> "Kek":
        """Read a key from base64. Raises `Invalid`, without quoting the text."""
        try:
            return cls(b64decode(text.strip(), validate=True))
        except ValueError:
            raise Invalid("not base64") from None

    @property
    def text(self) -> str:
        """The key as written in a file or the environment."""
        return b64encode(self.secret).decode()

    @property
    def id(self) -> str:
        """The name of the key, which does not reveal it: the first 8 bytes of its SHA-256, in hex."""
        return hashlib.sha256(self.secret).digest()[:_ID_BYTES].hex()


def joined(*words: str) -> bytes:
    """Return words as bytes, each preceded by its length, so that no other words give the same."""
    encoded = [word.encode() for word in words]
    return b"".join(len(each).to_bytes(4, "big") + each for each in encoded)


def seal(key: bytes, value: bytes, *place: str) -> bytes:
    """Return nonce and ciphertext of `value`, to be opened with the same key at the same place."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, value, joined(*place))


def unseal(key: bytes, sealed: bytes, *place: str) -> bytes:
    """Return the sealed value. Raises `Broken` if it was changed, or sealed for another place or by another key."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], joined(*place))
    except (InvalidTag, ValueError):
        raise Broken(f"identity store: the {place[0]} of {place[1]} was changed, or belongs elsewhere") from None


def padded(text: str) -> bytes:
    """Return a text as bytes of a length that says little."""
    data = text.encode() + _END
    return data + b"\0" * (-len(data) % _BLOCK)


def unpadded(data: bytes) -> str:
    """Return the text without the padding."""
    return data.rstrip(b"\0").removesuffix(_END).decode()
