"""Joint checkpoints: one signed checkpoint for a day that binds the logs of all shards (docs/decisions/0062).

The text is a checkpoint (C2SP tlog-checkpoint) of a small tree (RFC 6962, 2.1), with extension lines:

    example.org/answerable/all-shards/2026-11-24
    2
    cGQPQmFhmFLnqoWYFSWuASJK2PR8owd0IJhbjB/kfnM=
    closing one 1204 dpLDrTVAu4A8Ags67mbNiIcSMjTqDG5xQ8Ct1z/0Me0=
    closing two 77 P8TM/nRYcOLA2Z9x8w/wZWyN7dQcwdfT03aw2+aF4vM=
    without three

A leaf is the text of a shard's closing checkpoint, three lines, of which a `closing` line holds the name of the shard,
the size and the root. So anybody can compute the root from the text, and compare each log with it, without asking us.

Rules kept here:
- Each day is a tree with an origin of its own: two days are no two histories of one log.
- Closings are in the order of the names, and so are the shards without one; no shard is named twice.
- There is one spelling only: a text that would be written otherwise is refused.
- Only the keys of logs that a joint checkpoint covers can sign it.
Left to others: which closings there are, and who signs (`bot/effects/joint_day.py`).
"""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from moderation.values.errors import Invalid
from storage.journal.merkle import fold, leaf_hash, perfect_subtrees

from .checkpoint import Checkpoint
from .cosignature import with_lines
from .signed_note import NoteVerifier, Signer, open_note, signature_line, split_note

_ORIGIN = re.compile(r"([^\n]+)/all-shards/([0-9]{4}-[0-9]{2}-[0-9]{2})")
_CLOSING = re.compile(r"closing ([a-z][a-z0-9]*) (0|[1-9][0-9]{0,15}) ([A-Za-z0-9+/]{43}=)")
_WITHOUT = re.compile(r"without ([a-z][a-z0-9]*)")
_HEAD = 3  # lines: origin, size, root


@dataclass(frozen=True, slots=True)
class JointCheckpoint:
    """The closing checkpoints of one day, and the shards `without` one. Make it with `of` or `parse`.

    `base` is the name of the deployment: the log of the shard `one` is `base` and ``/one``.
    """

    base: str
    day: str
    closings: tuple[Checkpoint, ...]
    without: tuple[str, ...]

    @classmethod
    def of(cls, base: str, day: str, closings: Iterable[Checkpoint], without: Iterable[str]) -> "JointCheckpoint":
        """Return that of these closings. Raises `Invalid` if there is none, or a log of another deployment."""
        ordered = sorted(closings, key=lambda closing: closing.origin)
        if not ordered or any(not closing.origin.startswith(f"{base}/") for closing in ordered):
            raise Invalid(f"joint checkpoint: it must cover a log of {base}, and no other")
        return cls(base, day, tuple(ordered), tuple(sorted(without)))

    @property
    def origin(self) -> str:
        """The name of this day's tree."""
        return f"{self.base}/all-shards/{self.day}"

    @property
    def root(self) -> bytes:
        """The root of the tree over the texts of the closings (RFC 6962, 2.1)."""
        return fold(perfect_subtrees([leaf_hash(closing.text.encode()) for closing in self.closings]))

    @property
    def root_text(self) -> str:
        """The root in base64, as the text has it: the short form that people may keep."""
        return base64.b64encode(self.root).decode()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all shards that it speaks of."""
        return (*(self.name_of(closing) for closing in self.closings), *self.without)

    @property
    def text(self) -> str:
        """The note text."""
        closings = [f"closing {self.name_of(each)} {_size_and_root(each)}\n" for each in self.closings]
        without = [f"without {name}\n" for name in self.without]
        return Checkpoint(self.origin, len(self.closings), self.root).text + "".join([*closings, *without])

    def name_of(self, closing: Checkpoint) -> str:
        """Return the name of the shard of a closing checkpoint."""
        return closing.origin.removeprefix(f"{self.base}/")

    def closing_of(self, origin: str) -> Checkpoint | None:
        """Return what it says of a log; None if it does not cover that log."""
        return next((closing for closing in self.closings if closing.origin == origin), None)

    @classmethod
    def parse(cls, text: str) -> "JointCheckpoint":
        """Read the note text. Raises `Invalid` for anything that `text` would not have written."""
        lines = text.split("\n")
        origin = _ORIGIN.fullmatch(lines[0])
        closings = [found for line in lines[_HEAD:] if (found := _CLOSING.fullmatch(line))]
        without = [found[1] for line in lines[_HEAD:] if (found := _WITHOUT.fullmatch(line))]
        if origin is None or not closings:
            raise Invalid("joint checkpoint: it must name a day and the closing checkpoints of shards")
        base = origin[1]
        checkpoints = [Checkpoint.parse(f"{base}/{found[1]}\n{found[2]}\n{found[3]}\n") for found in closings]
        joint = cls.of(base, origin[2], checkpoints, without)
        if joint.text != text or len(set(joint.names)) != len(joint.names):
            raise Invalid("joint checkpoint: its root, its lines or their order are not those of its closings")
        return joint


def is_joint(note: str) -> bool:
    """Tell whether a note or its text claims to be a joint checkpoint."""
    return _ORIGIN.fullmatch(note.partition("\n")[0]) is not None


def joint_in(note: str) -> JointCheckpoint:
    """Return the joint checkpoint in a note without checking its signatures. Raises `Invalid`."""
    return JointCheckpoint.parse(split_note(note)[0])


def open_joint(note: str, verifiers: Sequence[NoteVerifier]) -> JointCheckpoint:
    """Return the joint checkpoint in `note`, if a log that it covers signed it by one of these keys.

    Raises `Invalid` otherwise, and if a signature by one of these keys does not hold.
    """
    joint = joint_in(note)
    open_note(note, _covered(joint, verifiers))
    return joint


def countersigned(joint: JointCheckpoint, signer: Signer, note: str = "", by: Sequence[NoteVerifier] = ()) -> str:
    """Return the joint checkpoint signed by a log, after the signatures in `note` `by` the keys of others it covers.

    Lines by other keys are left out. It is not checked whether those taken hold (`open_joint`). Raises `Invalid` if the
    joint checkpoint does not cover the log that signs.
    """
    if joint.closing_of(signer.name) is None:
        raise Invalid(f"joint checkpoint: it does not cover the log {signer.name}")
    head, gap, own = signer.sign(joint.text).rpartition("\n\n")
    there = {(name, blob[:4]): signature_line(name, blob) for name, blob in (split_note(note)[1] if note else ())}
    keys = [(verifier.name, verifier.key_id) for verifier in _covered(joint, by)]
    return with_lines(f"{head}{gap}", [*(there[key] for key in keys if key in there), own])


def _covered(joint: JointCheckpoint, verifiers: Sequence[NoteVerifier]) -> list[NoteVerifier]:
    return [verifier for verifier in verifiers if joint.closing_of(verifier.name)]


def _size_and_root(closing: Checkpoint) -> str:
    return closing.text.removeprefix(f"{closing.origin}\n").replace("\n", " ").rstrip()
