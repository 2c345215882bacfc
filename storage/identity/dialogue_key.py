"""What a verification that goes on leaves behind: sealed, or marked, under a key of its own in the identity store.

Rules kept here: what somebody typed stands in no table and no file but sealed, bound to whose it is and what for; a
mark (of a code, an address) is an HMAC, so that it tells nothing without the key; the key is wrapped like all others,
so without the key-wrapping key nothing is begun and nothing read. After the first use no disk is asked.
Left to others: what is sealed (`bot/identity/dialogue.py`), the tables it goes to
(`storage/state/verification_dialogues.py`, `storage/outbox.py`).
"""

import hmac
from base64 import b64decode, b64encode

from .sealing import joined, padded, seal, unpadded, unseal
from .store import IdentityStore

_OWNER = "dialogue"  # no person is called so


class DialogueKey:
    """Seals and marks. Everything here raises `Locked` while the store cannot be opened."""

    def __init__(self, store: IdentityStore) -> None:
        self._store = store
        self._key: bytes | None = None

    def seal(self, text: str, *place: str) -> str:
        """A text, for this place only, as base64."""
        return b64encode(seal(self._open(), padded(text), "dialogue", *place)).decode()

    def unseal(self, sealed: str, *place: str) -> str:
        """The text again. Raises `Broken` if it was changed, or sealed for another place."""
        return unpadded(unseal(self._open(), b64decode(sealed), "dialogue", *place))

    def mark(self, *words: str) -> str:
        """HMAC-SHA256 of the words, each behind its length, in hex."""
        return hmac.new(self._open(), joined("mark", *words), "sha256").hexdigest()

    def _open(self) -> bytes:
        if self._key is None:
            with self._store.apart(_OWNER) as (_, key):
                found = key
            self._key = found
        return self._key
