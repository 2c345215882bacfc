"""A closing checkpoint with its day, signed: what a shard shows the others (docs/decisions/0062).

A checkpoint does not say of which day it is, so an older one could be shown in its place. The text here does:

    example.org/answerable/one/closing/2026-11-24
    1204
    dpLDrTVAu4A8Ags67mbNiIcSMjTqDG5xQ8Ct1z/0Me0=

Rules kept here:
- The key of the log signs it, under the name of the log. As its origin is another, it passes neither for a checkpoint
  of the log nor for a joint one.
"""

from moderation.values.errors import Invalid

from .checkpoint import Checkpoint
from .signed_note import NoteVerifier, Signer, open_note


def dated(closing: Checkpoint, day: str, signer: Signer) -> str:
    """Return the closing checkpoint of a day as a note that says the day."""
    return Checkpoint(_origin(closing.origin, day), closing.size, closing.root).signed(signer)


def open_dated(note: str, day: str, key: NoteVerifier) -> Checkpoint:
    """Return the closing checkpoint in such a note. Raises `Invalid` if this key did not sign it for that day."""
    said = Checkpoint.parse(open_note(note, [key]))
    if said.origin != _origin(key.name, day):
        raise Invalid(f"closing checkpoint: it is {said.origin}, not that of {day}")
    return Checkpoint(key.name, said.size, said.root)


def _origin(log: str, day: str) -> str:
    return f"{log}/closing/{day}"
