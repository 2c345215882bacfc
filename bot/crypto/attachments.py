"""Files in encrypted rooms: encrypted one by one, each by a key of its own that stands in the message.

Rules this module keeps: a file is not decrypted before its hash is checked; a key serves one file; an `EncryptedFile`
that is not as the specification has it raises `MalformedKey`, one whose file was altered raises `NotTrusted`.
Left to others: the cipher (nio's, which other clients have read for years), up- and downloading, limits of size. Both
take time (nio is loaded at the first file): call them in a thread.

Specification: client-server API v1.19, "Sending encrypted attachments", `EncryptedFile`.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from .encoding import MalformedKey, Object, b64, object_of, text_of, unb64
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
        """From the `file` of a message (or of its thumbnail). Raises `MalformedKey`."""
        jwk = object_of(file.get("key"))
        if file.get("v") != "v2" or jwk.get("kty") != "oct" or jwk.get("alg") != "A256CTR":
            raise MalformedKey("a file encrypted in a way that is not known")
        return cls(
            text_of(file, "url"),
            unb64(jwk.get("k"), 32),
            unb64(file.get("iv"), 16),
            unb64(object_of(file.get("hashes")).get("sha256"), 32),
        )

    def content(self) -> dict[str, Any]:
        """As it stands in a message."""
        return {
            "v": "v2",
            "url": self.url,
            "key": {"kty": "oct", "alg": "A256CTR", "ext": True, "k": self._k, "key_ops": ["encrypt", "decrypt"]},
            "iv": b64(self.iv),
            "hashes": {"sha256": b64(self.sha256)},
        }

    def open(self, data: bytes) -> bytes:
        """The file that was uploaded as `data`. Raises `NotTrusted` if that is not what was sent."""
        from nio.crypto.attachments import decrypt_attachment
        from nio.exceptions import EncryptionError

        try:
            opened: bytes = decrypt_attachment(data, self._k, b64(self.sha256), b64(self.iv))
        except EncryptionError:
            raise NotTrusted("the file is not the one that was sent") from None
        return opened

    @property
    def _k(self) -> str:
        return b64(self.key).replace("+", "-").replace("/", "_")


def encrypt(data: bytes) -> tuple[bytes, EncryptedFile]:
    """The file as it is to be uploaded, and how to open it; set its `url` with `dataclasses.replace`."""
    from nio.crypto.attachments import encrypt_attachment

    sealed, keys = encrypt_attachment(data)
    return sealed, replace(EncryptedFile.of({**keys, "url": "-"}), url="")
