"""Cosignatures: lines in which a witness states that it saw a checkpoint, and when (C2SP tlog-cosignature, v1).

A witness stores the last checkpoint it saw of each log and cosigns a new one only if the log has only grown. So a
reader who trusts the witness need not fear that the log shows others another history.

Rules kept here:
- Ed25519 (type 4) and ML-DSA-44 (type 6). The latter commits to the witness's name, and to origin, size and root alone.
- A line by an unknown key is ignored; a line by a key we know must hold.
Left to others: asking a witness (`bot/effects/witness.py`), where the lines are stored (`daily_checkpoints.py`).
"""

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from moderation.values.errors import Invalid

from .checkpoint import Checkpoint
from .signed_note import NOTE_TYPE, key_id, key_type, signature_line, split_key, split_note

_TIME_BYTES = 8
_LABEL = b"subtree/v1\n\0"
MOST_AHEAD_S = 86_400  # a cosignature dated further ahead of our clock says nothing true
_MOST_NAME_BYTES = 255  # one byte states the length


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A kind of cosignature: the byte that names it, the sizes of its keys and signatures, and what is signed."""

    type: bytes  # C2SP tlog-cosignature, "Format"
    title: str
    key_bytes: int
    signature_bytes: int
    message: Callable[[str, str, int], bytes]  # witness's name, text of the checkpoint, seconds since 1970
    check: Callable[[bytes, bytes, bytes], None]  # key, signature, message; raises `InvalidSignature` or `ValueError`


def _plain_message(_name: str, text: str, at_s: int) -> bytes:
    """Return what is signed with Ed25519 (C2SP tlog-cosignature, "Ed25519 signed message")."""
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()


def _tree_message(name: str, text: str, at_s: int) -> bytes:
    """Return what is signed with ML-DSA-44: a `cosigned_message` from 0 to the size of the checkpoint.

    Raises `Invalid` if `text` is no checkpoint, or a name is too long for this kind of cosignature.
    """
    seen = Checkpoint.parse(text)
    names = [_counted(name), at_s.to_bytes(_TIME_BYTES), _counted(seen.origin)]
    return b"".join([_LABEL, *names, bytes(8), seen.size.to_bytes(8), seen.root])


def _counted(name: str) -> bytes:
    data = name.encode()
    if len(data) > _MOST_NAME_BYTES:
        raise Invalid("cosignature: with ML-DSA-44 the names of log and witness may have at most 255 bytes")
    return bytes([len(data)]) + data


def _check_plain(key: bytes, signature: bytes, message: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(key).verify(signature, message)


def _check_tree(key: bytes, signature: bytes, message: bytes) -> None:
    MLDSA44PublicKey.from_public_bytes(key).verify(signature, message)


ED25519 = Algorithm(b"\x04", "Ed25519", 32, 64, _plain_message, _check_plain)
ML_DSA_44 = Algorithm(b"\x06", "ML-DSA-44", 1312, 2420, _tree_message, _check_tree)
# An older custom: the key of a witness is published with the type of notes.
_BY_TYPE = {ED25519.type: ED25519, ML_DSA_44.type: ML_DSA_44, NOTE_TYPE: ED25519}


@dataclass(frozen=True, slots=True)
class Cosigner:
    """One key of a witness. Make it with `parse`."""

    name: str
    key: bytes
    algorithm: Algorithm = ED25519

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0x0A || type || key)[:4] (C2SP tlog-cosignature, "Format")."""
        return key_id(self.name, self.algorithm.type, self.key)

    @property
    def text(self) -> str:
        """The vkey, without a newline (C2SP signed-note, "Verifier keys")."""
        body = base64.b64encode(self.algorithm.type + self.key).decode()
        return f"{self.name}+{self.key_id.hex()}+{body}"

    @classmethod
    def parse(cls, text: str) -> "Cosigner":
        """Read a witness's vkey of one of the kinds we know. Raises `Invalid`."""
        kind = key_type(text)
        algorithm = _BY_TYPE.get(kind)
        if algorithm is None:
            raise Invalid("witness key: it must be for cosignatures with Ed25519 (type 4) or ML-DSA-44 (type 6)")
        name, stated, key = split_key(text, kind, algorithm.key_bytes)
        if key_id(name, kind, key).hex() != stated:
            raise Invalid("witness key: its id does not match its name and key; it was altered or mistyped")
        return cls(name, key, algorithm)

    def time_in(self, text: str, blob: bytes) -> int | None:
        """Return the time (seconds since 1970) at which this key cosigned `text` with `blob`; None if it did not."""
        stamp, signature = int.from_bytes(blob[4 : 4 + _TIME_BYTES]), blob[4 + _TIME_BYTES :]
        if len(signature) != self.algorithm.signature_bytes or stamp >= 1 << 63:
            return None
        try:
            self.algorithm.check(self.key, signature, self.algorithm.message(self.name, text, stamp))
        except (InvalidSignature, ValueError, Invalid):
            return None
        return stamp


def cosigned(note: str, *cosigners: Cosigner) -> int | None:
    """Return when one of these keys last cosigned a checkpoint (seconds since 1970); None if none of them did.

    Raises `Invalid` if a line by one of these keys does not hold, whatever the others say.
    """
    return max((at for each in cosigners for at in _times(note, each)), default=None)


def lines_of(note: str, cosigners: Sequence[Cosigner]) -> list[str]:
    """Return the cosignature lines of these keys in a note. Raises `Invalid` if one of them does not hold."""
    cosigned(note, *cosigners)
    _, signatures = split_note(note)
    return [signature_line(*each) for each in signatures if any(_is_of(cosigner, *each) for cosigner in cosigners)]


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
