"""Files in encrypted rooms: encrypted one by one, each by a key of its own that stands in the message.

Rules this module keeps: a file is not decrypted before its hash is checked; a key serves one file; an `EncryptedFile`
that is not as the specification has it raises `Malformed`, one whose file was altered raises `NotTrusted`.
Left to others: up- and downloading, limits of size.

Specification: client-server API v1.19, "Sending encrypted attachments", `EncryptedFile`.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from .encoding import Malformed, Object, b64, object_of, text_of, unb64
from .errors import NotTrusted


@dataclass(frozen=True, slots=True)
class EncryptedFile:
    """How to open an encrypted file, and where it lies."""

    url: str
    key: bytes = field(repr=False)
    iv: bytes
    sha256: bytes

    @classmethod
    def of(cls, file: Object) -> "EncryptedFile":
        """From the `file` of a message (or of its thumbnail). Raises `Malformed`."""
        jwk = object_of(file.get("key"))
        if file.get("v") != "v2" or jwk.get("kty") != "oct" or jwk.get("alg") != "A256CTR":
            raise Malformed("a file encrypted in a way that is not known")
        return cls(
            text_of(file, "url"),
            unb64(jwk.get("k"), 32),
            unb64(file.get("iv"), 16),
            unb64(object_of(file.get("hashes")).get("sha256"), 32),
        )

    def content(self) -> dict[str, Any]:
        """As it stands in a message."""
        key = b64(self.key).replace("+", "-").replace("/", "_")
        return {
            "v": "v2",
            "url": self.url,
            "key": {"kty": "oct", "alg": "A256CTR", "ext": True, "k": key, "key_ops": ["encrypt", "decrypt"]},
            "iv": b64(self.iv),
            "hashes": {"sha256": b64(self.sha256)},
        }

    def open(self, data: bytes) -> bytes:
        """The file that was uploaded as `data`. Raises `NotTrusted` if that is not what was sent."""
        if not hmac.compare_digest(hashlib.sha256(data).digest(), self.sha256):
            raise NotTrusted("the file is not the one that was sent")
        return _ctr(self.key, self.iv, data)


def encrypt(data: bytes) -> tuple[bytes, EncryptedFile]:
    """The file as it is to be uploaded, and how to open it; set its `url` with `dataclasses.replace`."""
    key, iv = secrets.token_bytes(32), secrets.token_bytes(8) + bytes(8)  # the lower half counts
    sealed = _ctr(key, iv, data)
    return sealed, EncryptedFile("", key, iv, hashlib.sha256(sealed).digest())


def _ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    return Cipher(AES(key), CTR(iv)).encryptor().update(data)
