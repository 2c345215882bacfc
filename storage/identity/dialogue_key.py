"""Seals and marks for verifications in progress, under their own key in the identity store.

Rules kept here:
- What somebody typed is stored only sealed, in tables and files alike, bound to its owner and purpose.
- A mark (of a code, an address) is an HMAC, so that it tells nothing without the key.
- The key is wrapped like all others, so without the key-wrapping key nothing is begun and nothing read.
- After the first use no disk is read.

Left to others: what is sealed (`bot/identity/dialogue.py`), the tables it goes to
(`storage/state/verification_dialogues.py`, `storage/outbox.py`).
"""

import hmac
from base64 import b64decode, b64encode

from .sealing import joined, padded, seal, unpadded, unseal
from .store import IdentityStore

_OWNER = "dialogue"  # no person has this name


class DialogueKey:
    """Seals and marks. All methods raise `Locked` while the store cannot be opened."""

    def __init__(self, store: IdentityStore) -> None:
        self._store = store
        self._key: bytes | None = None

    def seal(self, text: str, *place: str) -> str:
        """Seal a text for this place only; returns base64."""
        return b64encode(seal(self._open(), padded(text), "dialogue", *place)).decode()

    def unseal(self, sealed: str, *place: str) -> str:
        """Return the sealed text. Raises `Broken` if it was changed, or sealed for another place."""
        return unpadded(unseal(self._open(), b64decode(sealed), "dialogue", *place))

    def mark(self, *words: str) -> str:
        """Return the HMAC-SHA256 of the words, each preceded by its length, in hex."""
        return hmac.new(self._open(), joined("mark", *words), "sha256").hexdigest()

    def _open(self) -> bytes:
        if self._key is None:
            with self._store.apart(_OWNER) as (_, key):
                found = key
            self._key = found
        return self._key
