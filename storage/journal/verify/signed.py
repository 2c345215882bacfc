"""The part of `verify` that reads what is signed: the key, the checkpoints, and what others added to them.

Rules kept here:
- Nothing is trusted in a note whose signature does not hold.
- A missing cosignature or time stamp is not a fault.
Left to others: whether the records are those that were signed (`verify.py`).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from moderation.values.errors import Invalid
from storage.journal.report import Findings
from storage.journal.transparency.checkpoint import Checkpoint, open_checkpoint
from storage.journal.transparency.cosignature import MOST_AHEAD_S, Cosigner, cosigned
from storage.journal.transparency.daily_checkpoints import Closings, own_note
from storage.journal.transparency.joint_checkpoint import is_joint, joint_in, open_joint
from storage.journal.transparency.log_key import read_verifier
from storage.journal.transparency.signed_note import MAX_NOTE_BYTES, NoteVerifier


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint and its file."""

    file: str
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """A checkpoint that somebody kept; `keys` are those of other shards, which may have signed a joint one.

    `by_root`: they kept the root of a joint one, to which the text leads, so it needs no signature.
    """

    note: str
    keys: tuple[NoteVerifier, ...] = ()
    by_root: bool = False


class Signatures:
    """A log's checkpoints whose signatures hold: `all` of them, and the sizes of the `closing` ones by day."""

    def __init__(self, folder: Path, findings: Findings, witnesses: Sequence[Cosigner]) -> None:
        self.all: list[Signed] = []
        self.closing: dict[str, int] = {}
        self.vkey = ""
        self._folder = folder
        self._findings = findings
        self._witnesses = witnesses
        self._latest_s = time.time() + MOST_AHEAD_S
        self._verifier = self._read_key()

    def read_newest(self) -> Checkpoint | None:
        """Read the newest checkpoint; report it if it is missing or its signature does not hold."""
        try:
            note = _bounded(self._folder / "checkpoint")
        except FileNotFoundError:
            self._findings.add("checkpoint_missing", "checkpoint")
            return None
        return self.take("checkpoint", note)

    def read_again(self) -> Checkpoint | None:
        """Read the newest checkpoint again, as the bot may have written a new one meanwhile."""
        try:
            return open_checkpoint(_bounded(self._folder / "checkpoint"), [self._verifier] if self._verifier else [])
        except (OSError, Invalid):
            return None

    def read_closing(self) -> None:
        """Read the closing checkpoints of the days."""
        for path in sorted((self._folder / "checkpoints").glob("*.ckpt")):
            note = _bounded(path)
            if closing := self.take(f"checkpoints/{path.name}", note):
                self.closing[path.stem] = closing.size
                self._check_timestamp(path.stem, note)

    def take(self, file: str, note: str) -> Checkpoint | None:
        """Add a checkpoint and return it, if the key of this log signed it."""
        if self._verifier is None:  # reported already; without a key nothing can be proved or disproved
            return None
        try:
            checkpoint = open_checkpoint(note, [self._verifier])
        except Invalid:
            self._findings.add("signature", file)
            return None
        self.all.append(Signed(file, checkpoint))
        self._check_cosignatures(file, note)
        return checkpoint

    def take_kept(self, kept: KeptCheckpoint) -> None:
        """Add a checkpoint that somebody kept; of a joint one, what it says of this log."""
        if self._verifier is None or not is_joint(kept.note):
            self.take("against", kept.note)
            return
        try:
            keys = [self._verifier, *kept.keys]
            joint = joint_in(kept.note) if kept.by_root else open_joint(kept.note, keys)
        except Invalid:
            self._findings.add("joint_signature", "against")
            return
        closing = joint.closing_of(self._verifier.name)
        if closing is None:
            self._findings.add("joint_without", "against", day=joint.day, log=self._verifier.name)
        else:
            self.all.append(Signed("against", closing))

    def in_order(self) -> list[Signed]:
        """Return all checkpoints, smallest first; report a fork if two of one size differ (two signed histories)."""
        ordered = sorted(self.all, key=lambda signed: signed.checkpoint.size)
        for one, other in pairwise(ordered):
            if (size := one.checkpoint.size) == other.checkpoint.size and one.checkpoint.root != other.checkpoint.root:
                self._findings.add("fork", other.file, signed=size, other=one.file)
        return ordered

    def _read_key(self) -> NoteVerifier | None:
        try:
            verifier = read_verifier(self._folder)
            self.vkey = verifier.text
            return verifier
        except FileNotFoundError:
            self._findings.add("key_missing", "log.vkey")
        except Invalid:
            self._findings.add("key_damaged", "log.vkey")
        return None

    def _check_cosignatures(self, file: str, note: str) -> None:
        """Check the cosignatures. A missing one is not a fault: a witness may have been out of reach."""
        for witness in self._witnesses:
            try:
                at_s = cosigned(note, witness)
            except Invalid:
                self._findings.add("cosignature", file, name=witness.name)
            else:
                if at_s is not None and at_s > self._latest_s:
                    self._findings.add("cosignature_ahead", file, name=witness.name)

    def _check_timestamp(self, day: str, note: str) -> None:
        if (response := Closings(self._folder).timestamp(day)) is None:
            return
        from storage.journal.transparency import timestamp  # rarely needed, and slow to load

        try:
            timestamp.check(response, own_note(note))
        except Invalid:
            self._findings.add("timestamp", f"checkpoints/{day}.tsr", other=f"checkpoints/{day}.ckpt")


def _bounded(path: Path) -> str:
    """Read a small text file. If it is not text or too long for a note, the result cannot be a valid note."""
    with path.open("rb") as file:
        return file.read(MAX_NOTE_BYTES + 1).decode("utf-8", "replace")
