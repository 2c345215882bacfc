"""Cosignatures: lines in which a witness states that it saw a checkpoint, and when (C2SP tlog-cosignature, v1).

A witness stores the last checkpoint it saw of each log and cosigns a new one only if the log has only grown. So a
reader who trusts the witness need not fear that the log shows others another history.

Rules kept here:
- Ed25519 only.
- A line by an unknown key is ignored; a line by a key we know must hold.
Left to others: asking a witness (`bot/effects/witness.py`), where the lines are stored (`daily_checkpoints.py`).
"""

from collections.abc import Iterable
from typing import ClassVar, Self

from moderation.values.errors import Invalid

from .signed_note import NoteVerifier, signature_line, split_key, split_note

_TIME_BYTES = 8
_BLOB_BYTES = 4 + _TIME_BYTES + 64


class Cosigner(NoteVerifier):
    """The key of a witness. Make it with `parse`."""

    __slots__ = ()
    TYPE: ClassVar = b"\x04"  # C2SP tlog-cosignature, "Format"
    TITLE: ClassVar = "witness key"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a witness's vkey. Raises `Invalid`.

        Witnesses publish their keys with the type of cosignatures (4) or, as an older custom, with that of notes (1).
        """
        try:
            split_key(text, cls.TYPE)
        except Invalid:
            verifier = NoteVerifier.parse(text)
            return cls(verifier.name, verifier.key)
        return super().parse(text)

    def time_in(self, text: str, blob: bytes) -> int | None:
        """Return the time (seconds since 1970) at which this key cosigned `text` with `blob`; None if it did not."""
        stamp = int.from_bytes(blob[4 : 4 + _TIME_BYTES])
        if len(blob) != _BLOB_BYTES or stamp >= 1 << 63:
            return None
        return stamp if self.accepts(_message(text, stamp), blob[4 + _TIME_BYTES :]) else None


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
