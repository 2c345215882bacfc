"""The part of `verify` that reads what is signed: the key, the checkpoints, and what others added to them.

Rules kept here: of a note that does not hold nothing is believed; that no witness or time stamp is there is no fault.
Left to others: whether the records are those that were signed (`verify.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from moderation.values.errors import Invalid
from storage.journal.report import Findings
from storage.journal.transparency.checkpoint import Checkpoint, open_checkpoint
from storage.journal.transparency.cosignature import Cosigner, cosigned
from storage.journal.transparency.daily_checkpoints import Closings, own_note
from storage.journal.transparency.log_key import read_verifier
from storage.journal.transparency.signed_note import MAX_NOTE_BYTES, NoteVerifier


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint, and where it stands."""

    file: str
    checkpoint: Checkpoint


class Signatures:
    """The checkpoints of a log whose signatures hold: `all` of them, and the sizes of the `closing` ones by day."""

    def __init__(self, folder: Path, findings: Findings, witnesses: Sequence[Cosigner]) -> None:
        self.all: list[Signed] = []
        self.closing: dict[str, int] = {}
        self.vkey = ""
        self._folder = folder
        self._findings = findings
        self._witnesses = witnesses
        self._verifier = self._read_key()

    def read_newest(self) -> Checkpoint | None:
        """The newest checkpoint."""
        try:
            note = _bounded(self._folder / "checkpoint")
        except FileNotFoundError:
            self._findings.add("checkpoint_missing", "checkpoint")
            return None
        return self.take("checkpoint", note)

    def read_again(self) -> Checkpoint | None:
        """Return the newest checkpoint as it is now, which the bot may have written meanwhile."""
        try:
            return open_checkpoint(_bounded(self._folder / "checkpoint"), [self._verifier] if self._verifier else [])
        except (OSError, Invalid):
            return None

    def read_closing(self) -> None:
        """Those that closed days."""
        for path in sorted((self._folder / "checkpoints").glob("*.ckpt")):
            note = _bounded(path)
            if closing := self.take(f"checkpoints/{path.name}", note):
                self.closing[path.stem] = closing.size
                self._check_timestamp(path.stem, note)

    def take(self, file: str, note: str) -> Checkpoint | None:
        """A checkpoint, if it is signed by the key of this log."""
        if self._verifier is None:  # said already; without a key nothing is proved either way
            return None
        try:
            checkpoint = open_checkpoint(note, [self._verifier])
        except Invalid:
            self._findings.add("signature", file)
            return None
        self.all.append(Signed(file, checkpoint))
        self._check_cosignatures(file, note)
        return checkpoint

    def in_order(self) -> list[Signed]:
        """All of them, smallest first. Two of one size that differ are two histories, both signed."""
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
        """That there is none is no fault: a witness may have been out of reach."""
        for witness in self._witnesses:
            try:
                cosigned(note, witness)
            except Invalid:
                self._findings.add("cosignature", file, name=witness.name)

    def _check_timestamp(self, day: str, note: str) -> None:
        if (response := Closings(self._folder).timestamp(day)) is None:
            return
        from storage.journal.transparency import timestamp  # seldom needed, and slow to load

        try:
            timestamp.check(response, own_note(note))
        except Invalid:
            self._findings.add("timestamp", f"checkpoints/{day}.tsr", other=f"checkpoints/{day}.ckpt")


def _bounded(path: Path) -> str:
    """A small text file; what is no text or too long for a note is read as something that cannot hold."""
    with path.open("rb") as file:
        return file.read(MAX_NOTE_BYTES + 1).decode("utf-8", "replace")
