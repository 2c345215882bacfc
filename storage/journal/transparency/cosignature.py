"""Cosignatures: lines in which a witness states that it saw a checkpoint, and when (C2SP tlog-cosignature, v1).

A witness stores the last checkpoint it saw of each log and cosigns a new one only if the log has only grown. So a
reader who trusts the witness need not fear that the log shows others another history.

Rules kept here:
- Ed25519 only.
- A line by an unknown key is ignored; a line by a key we know must hold.
Left to others: asking a witness (`bot/effects/witness.py`), where the lines are stored (`daily_checkpoints.py`).
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from moderation.values.errors import Invalid

from .signed_note import NoteVerifier, key_id, signature_line, split_key, split_note

_V1 = b"\x04"
_ED25519 = b"\x01"
_TIME_BYTES = 8
_BLOB_BYTES = 4 + _TIME_BYTES + 64


@dataclass(frozen=True, slots=True)
class Cosigner:
    """The key of a witness. Make it with `parse`."""

    name: str
    key: bytes

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0x0A || 0x04 || key)[:4] (C2SP tlog-cosignature, "Format")."""
        return key_id(self.name, _V1, self.key)

    @property
    def text(self) -> str:
        """The vkey, without a newline."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_V1 + self.key).decode()}"

    @classmethod
    def parse(cls, text: str) -> "Cosigner":
        """Read a witness's vkey. Raises `Invalid`.

        Witnesses publish their keys with the type of cosignatures (4) or, as an older custom, with that of notes (1).
        """
        try:
            name, stated, key = split_key(text, _V1)
        except Invalid:
            verifier = NoteVerifier.parse(text)
            return cls(verifier.name, verifier.key)
        cosigner = cls(name, key)
        if cosigner.key_id.hex() != stated:
            raise Invalid("witness key: its id does not match its name and key; it was altered or mistyped")
        return cosigner

    def time_in(self, text: str, blob: bytes) -> int | None:
        """Return the time (seconds since 1970) at which this key cosigned `text` with `blob`; None if it did not."""
        stamp = int.from_bytes(blob[4 : 4 + _TIME_BYTES])
        if len(blob) != _BLOB_BYTES or stamp >= 1 << 63:
            return None
        signed = NoteVerifier(self.name, self.key).accepts(_message(text, stamp), blob[4 + _TIME_BYTES :])
        return stamp if signed else None


def cosign(name: str, seed: bytes, text: str, at_s: int) -> str:
    """Return the line with which a witness cosigns the text of a checkpoint."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    ident = key_id(name, _V1, key.public_key().public_bytes_raw())
    return signature_line(name, ident + at_s.to_bytes(_TIME_BYTES) + key.sign(_message(text, at_s)))


def cosigned(note: str, cosigner: Cosigner) -> int | None:
    """Return when this key cosigned a checkpoint (seconds since 1970); None if it did not.

    Raises `Invalid` if a line by this key does not hold.
    """
    return max(_times(note, cosigner), default=None)


def lines_of(note: str, cosigner: Cosigner) -> list[str]:
    """Return this key's cosignature lines in a note. Raises `Invalid` if one of them does not hold."""
    _times(note, cosigner)
    _, signatures = split_note(note)
    return [signature_line(*each) for each in signatures if _is_of(cosigner, *each)]


def with_lines(note: str, lines: Iterable[str]) -> str:
    """Return the note with these signature lines added, each once."""
    there = set(note.splitlines(keepends=True))
    return note + "".join(line for line in dict.fromkeys(lines) if line not in there)


def _times(note: str, cosigner: Cosigner) -> list[int]:
    text, signatures = split_note(note)
    times = []
    for name, blob in signatures:
        if _is_of(cosigner, name, blob):
            stamp = cosigner.time_in(text, blob)
            if stamp is None:
                raise Invalid(f"checkpoint: the cosignature of {name} does not hold; it or the text was altered")
            times.append(stamp)
    return times


def _is_of(cosigner: Cosigner, name: str, blob: bytes) -> bool:
    return (name, blob[:4]) == (cosigner.name, cosigner.key_id)


def _message(text: str, at_s: int) -> bytes:
    """Return the text that is signed (C2SP tlog-cosignature, "Ed25519 signed message")."""
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()
