"""Signed notes and verifier keys (C2SP signed-note), with Ed25519 only.

Rules kept here:
- A note is UTF-8 without control characters except the newline; its signatures follow its last empty line.
- A signature by an unknown key is ignored; one by a known key must hold.
- The signing key is stored as one line of text in the style of the verifier key, so that it carries its name.
Left to others: what a note says (`checkpoint.py`), where keys are stored (`log_key.py`), what witnesses add
(`cosignature.py`).
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from moderation.values.errors import Invalid

MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100  # the specification asks for at least 16
NOTE_TYPE = b"\x01"  # Ed25519 over the text (C2SP signed-note, "Signature types")
_KEY_BYTES = 32
_PRIVATE = "PRIVATE+KEY+"
_DASH = "\u2014 "  # the em dash that opens a signature line
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIGNATURE_LINE = re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})\n")


@dataclass(frozen=True, slots=True)
class NoteVerifier:
    """A key that checks notes. Make it with `parse` or from a `Signer`."""

    name: str
    key: bytes

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0x0A || type || key)[:4] (C2SP signed-note, "Signatures")."""
        return key_id(self.name, NOTE_TYPE, self.key)

    @property
    def text(self) -> str:
        """The vkey, without a newline (C2SP signed-note, "Verifier keys")."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(NOTE_TYPE + self.key).decode()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a vkey. Raises `Invalid` for anything else, and for a key of another type."""
        name, stated, key = split_key(text)
        verifier = cls(name, key)
        if verifier.key_id.hex() != stated:
            raise Invalid("verifier key: its id does not match its name and key; it was altered or mistyped")
        return verifier

    def accepts(self, message: bytes, signature: bytes) -> bool:
        """Tell whether this key made the signature."""
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signs notes; `repr` does not show it."""

    name: str
    seed: bytes = field(repr=False)

    @classmethod
    def generate(cls, name: str) -> "Signer":
        """Generate a key. Raises `Invalid` if `name` cannot be a key name."""
        check_name(name)
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> "Signer":
        """Parse what `text` wrote. Raises `Invalid` with a message that shows none of it."""
        if not text.startswith(_PRIVATE):
            raise Invalid(f"signing key: it must begin with {_PRIVATE}")
        name, stated, seed = split_key(text.removeprefix(_PRIVATE))
        signer = cls(name, seed)
        if signer.verifier.key_id.hex() != stated:
            raise Invalid("signing key: its id does not match its name and key; it was altered")
        return signer

    @property
    def text(self) -> str:
        """The key as one line, a secret."""
        body = base64.b64encode(NOTE_TYPE + self.seed).decode()
        return f"{_PRIVATE}{self.name}+{self.verifier.key_id.hex()}+{body}"

    @property
    def verifier(self) -> NoteVerifier:
        """The public half."""
        return NoteVerifier(self.name, self._key().public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """Return the note of `text`, which ends in a newline, with this key's signature (C2SP signed-note).

        Raises `Invalid` if the text does not end in a newline or contains another control character.
        """
        if not text.endswith("\n") or _CONTROL.search(text):
            raise Invalid("note: the text must end in a newline and hold no other control character")
        blob = self.verifier.key_id + self._key().sign(text.encode())
        return f"{text}\n{signature_line(self.name, blob)}"

    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)


def check_name(name: str) -> None:
    """Check that a key name is not empty and has no space and no plus (C2SP signed-note). Raises `Invalid`."""
    if not name or "+" in name or re.search(r"\s", name) or _CONTROL.search(name):
        raise Invalid(f"log name {name!r}: it must not be empty nor hold a space or a plus; try example.org/log")


def open_note(note: str, verifiers: Sequence[NoteVerifier]) -> str:
    """Return the text of a note that at least one of `verifiers` signed. Raises `Invalid` otherwise."""
    text, signatures = split_note(note)
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    held = 0
    for name, blob in signatures:
        if verifier := known.get((name, blob[:4])):
            if not verifier.accepts(text.encode(), blob[4:]):
                raise Invalid(f"note: the signature of {name} does not hold; the text was altered")
            held += 1
    if not held:
        raise Invalid("note: none of its signatures is by a key we know")
    return text


def key_id(name: str, kind: bytes, key: bytes) -> bytes:
    """Return four bytes of a hash over name, kind of signature and key (C2SP signed-note, "Signatures")."""
    return sha256(name.encode() + b"\n" + kind + key).digest()[:4]


def signature_line(name: str, blob: bytes) -> str:
    """Return one signature line of a note: the key's name, and `blob` (key id and signature)."""
    return f"{_DASH}{name} {base64.b64encode(blob).decode()}\n"


def split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Return the text, and name and blob (key id, signature) of each signature line, unchecked. Raises `Invalid`."""
    if len(note) > MAX_NOTE_BYTES or _CONTROL.search(note) or not note.endswith("\n"):
        raise Invalid("note: too long, cut off, or with control characters in it")
    text, gap, tail = note.rpartition("\n\n")
    lines = tail.splitlines(keepends=True)
    if not gap or not lines or len(lines) > MAX_SIGNATURES:
        raise Invalid("note: an empty line and then 1 to 100 signature lines must follow its text")
    return text + "\n", [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes]:
    found = _SIGNATURE_LINE.fullmatch(line)
    blob = decoded(found[2]) if found else None
    if not found or not blob or len(blob) < 5:
        raise Invalid("note: a line after the empty line is not a signature line")
    return found[1], blob


def split_key(text: str, kind: bytes = NOTE_TYPE, size: int = _KEY_BYTES) -> tuple[str, str, bytes]:
    """Return name, stated id and the `size` bytes of a key for this kind of signature. Raises `Invalid`."""
    name, _, rest = text.partition("+")
    stated, _, body = rest.partition("+")
    blob = decoded(body) or b""
    check_name(name)
    if not re.fullmatch(r"[0-9a-f]{8}", stated) or len(blob) != 1 + size or blob[:1] != kind:
        raise Invalid(f"key: it must read name+8 hex digits+base64 of the byte {kind.hex()} and a key of {size} bytes")
    return name, stated, blob[1:]


def key_type(text: str) -> bytes:
    """Return the byte that says which kind of signature a vkey is for; nothing if the text is no vkey."""
    return (decoded(text.split("+", 2)[-1]) or b"")[:1]


def decoded(text: str) -> bytes | None:
    """Decode base64; return None if it is not the one standard spelling (RFC 4648, section 4)."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if base64.b64encode(data).decode() == text else None
