"""Files in encrypted rooms: each is encrypted with its own key, which is in the message.

Rules this module keeps:
- A file's hash is checked before the file is decrypted.
- A key is used for only one file.
- An `EncryptedFile` that violates the specification raises `MalformedKey`; an altered file raises `NotTrusted`.
Left to others: the cipher (nio's, which other clients have read for years), uploading and downloading, size limits.

`encrypt` and `open` take time (nio is loaded at the first file): call them in a thread.

Specification: client-server API v1.19, "Sending encrypted attachments", `EncryptedFile`.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from .encoding import MalformedKey, Object, b64, object_of, text_of, unb64
from .errors import NotTrusted


@dataclass(frozen=True, slots=True)
class EncryptedFile:
    """The address of an encrypted file, and what is needed to decrypt it."""

    url: str
    key: bytes = field(repr=False)
    iv: bytes
    sha256: bytes

    @classmethod
    def of(cls, file: Object) -> "EncryptedFile":
        """Parse the `file` of a message (or of its thumbnail). Raises `MalformedKey`."""
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
        """Return the `file` object for a message."""
        return {
            "v": "v2",
            "url": self.url,
            "key": {"kty": "oct", "alg": "A256CTR", "ext": True, "k": self._k, "key_ops": ["encrypt", "decrypt"]},
            "iv": b64(self.iv),
            "hashes": {"sha256": b64(self.sha256)},
        }

    def open(self, data: bytes) -> bytes:
        """Decrypt the file that was uploaded as `data`. Raises `NotTrusted` if `data` is not what was sent."""
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
    """Encrypt a file for upload. Returns the data and an `EncryptedFile`; set its `url` with `dataclasses.replace`."""
    from nio.crypto.attachments import encrypt_attachment

    sealed, keys = encrypt_attachment(data)
    return sealed, replace(EncryptedFile.of({**keys, "url": "-"}), url="")
