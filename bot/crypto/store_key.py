"""The key that encrypts the contents of the crypto store, and the file where it is kept.

Rules this module keeps:
- There is one key of 32 bytes, from which a key for each use is derived.
- The file is created once, with mode 0600, in a folder of its own, and never replaced.
- A store cannot be read without it, so a missing key is reported, not replaced.
Left to others: whether a store exists already (`store.py`). To keep the key elsewhere, build a `StoreKey` from it.
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
    """32 secret bytes, which no repr shows."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != BYTES:
            raise Broken(f"the key of the crypto store has {len(self.secret)} bytes, not {BYTES}")

    @property
    def pickle_key(self) -> bytes:
        """The key for vodozemac, which encrypts accounts and sessions itself."""
        return self._derive(b"answerable vodozemac pickles")

    def seal(self, secret: bytes, purpose: str) -> bytes:
        """Encrypt with AES-256-GCM, bound to `purpose`."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher().encrypt(nonce, secret, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Decrypt what was sealed for `purpose`. Raises `WrongKey`."""
        try:
            return self._cipher().decrypt(sealed[:_NONCE], sealed[_NONCE:], purpose.encode())
        except (InvalidTag, ValueError):
            raise WrongKey("the key of the crypto store does not open it") from None

    def _cipher(self) -> AESGCM:
        return AESGCM(self._derive(b"answerable crypto secrets"))

    def _derive(self, purpose: bytes) -> bytes:
        return HKDF(SHA256(), BYTES, None, purpose).derive(self.secret)


def load_or_create(data_dir: Path, *, store_exists: bool) -> StoreKey:
    """Load the key in ``<data_dir>/keys/crypto.key``, or create one for a new store. Raises `Broken`."""
    path = data_dir / FILE
    if not path.exists() and not store_exists:
        disk.make_folder(path.parent, disk.SECRET_FOLDER_MODE)
        disk.create_once(path, secrets.token_hex(BYTES).encode() + b"\n", disk.SECRET_MODE)
        disk.sync_directory(path.parent)
    return load(data_dir)


def load(data_dir: Path) -> StoreKey:
    """Load the key of a store that exists. Raises `Broken`."""
    path = data_dir / FILE
    if not path.exists():
        raise Broken(
            f"{path} is missing, but there is a store that it opens. Put the key back from a backup, or copy it from"
            " the other machine of this deployment."
        )
    try:
        return StoreKey(bytes.fromhex(path.read_text("ascii").strip()))
    except ValueError:
        raise Broken(f"{path} does not hold a key") from None
