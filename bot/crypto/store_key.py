"""The key that encrypts what the crypto store holds, and the file where it lies now.

Rules this module keeps: one key of 32 bytes, from which one key for each use is derived; the file is made once, 0600,
in a folder of its own, and never replaced; without it a store cannot be read, so a missing key is said, not made anew.
Left to others: whether there is a store already (`store.py`). To keep the key elsewhere, make a `StoreKey` of it.
"""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from moderation.values.errors import Broken
from storage.journal import disk

from .errors import WrongKey

FILE = Path("keys") / "crypto.key"
BYTES = 32
_NONCE = 12


@dataclass(frozen=True, slots=True)
class StoreKey:
    """32 secret bytes, in no repr."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != BYTES:
            raise Broken(f"the key of the crypto store has {len(self.secret)} bytes, not {BYTES}")

    @property
    def pickle_key(self) -> bytes:
        """For vodozemac, which encrypts accounts and sessions by itself."""
        return self._derive(b"answerable vodozemac pickles")

    def seal(self, secret: bytes, purpose: str) -> bytes:
        """AES-256-GCM, bound to `purpose`."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher().encrypt(nonce, secret, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """What was sealed for `purpose`. Raises `WrongKey`."""
        try:
            return self._cipher().decrypt(sealed[:_NONCE], sealed[_NONCE:], purpose.encode())
        except (InvalidTag, ValueError):
            raise WrongKey("the key of the crypto store does not open it") from None

    def _cipher(self) -> AESGCM:
        return AESGCM(self._derive(b"answerable crypto secrets"))

    def _derive(self, purpose: bytes) -> bytes:
        return HKDF(SHA256(), BYTES, None, purpose).derive(self.secret)


def load_or_create(data_dir: Path, *, store_exists: bool) -> StoreKey:
    """The key in ``<data_dir>/keys/crypto.key``; a new one for a new store. Raises `Broken`."""
    path = data_dir / FILE
    if not path.exists():
        if store_exists:
            raise Broken(f"{path} is missing, but there is a store that it opens. Put the key back from a backup.")
        disk.make_folder(path.parent, disk.SECRET_FOLDER_MODE)
        disk.create_once(path, secrets.token_hex(BYTES).encode() + b"\n", disk.SECRET_MODE)
        disk.sync_directory(path.parent)
    try:
        return StoreKey(bytes.fromhex(path.read_text("ascii").strip()))
    except ValueError:
        raise Broken(f"{path} does not hold a key") from None
