"""Checkpoints: the signed size and root of the log (C2SP tlog-checkpoint).

Left to others: who signs, when, and where the checkpoint is stored (`storage/journal/journal.py`).
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from moderation.values.errors import Invalid
from moderation.values.ids import SAFE_INT
from storage.journal.merkle import HASH_BYTES

from .signed_note import NoteVerifier, Signer, decoded, open_note

_TEXT = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n((?:[^\n]+\n)*)")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Origin, size and root of the tree."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note text, three lines (C2SP tlog-checkpoint, "Note text")."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read the note text; extension lines are accepted and ignored. Raises `Invalid`."""
        found = _TEXT.fullmatch(text)
        root = decoded(found[3]) if found else None
        if not found or int(found[2]) > SAFE_INT or not root or len(root) != HASH_BYTES:
            raise Invalid("checkpoint: it must be three lines: origin, size, base64 of the root")
        return cls(found[1], int(found[2]), root)

    @classmethod
    def of_note(cls, note: str) -> "Checkpoint":
        """Read the checkpoint of a signed note without checking its signatures. Raises `Invalid`."""
        return cls.parse(note.partition("\n\n")[0] + "\n")

    def signed(self, signer: Signer) -> str:
        """Return the checkpoint as a signed note."""
        return signer.sign(self.text)


def open_checkpoint(note: str, verifiers: Sequence[NoteVerifier]) -> Checkpoint:
    """Return the checkpoint in `note`, if a key signed it and its origin is the key's name. Raises `Invalid`.

    The specification says that the key name SHOULD be the origin; for our own log it must be.
    """
    checkpoint = Checkpoint.parse(open_note(note, verifiers))
    if checkpoint.origin not in {verifier.name for verifier in verifiers}:
        raise Invalid(f"checkpoint: it is of the log {checkpoint.origin}, not of ours")
    return checkpoint
