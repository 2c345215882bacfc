"""Proof files (C2SP tlog-proof): a text that shows that a record is in the log, to anybody who has the log's key.

    c2sp.org/tlog-proof@v1
    index 740
    (hashes, one a line)

    (the signed checkpoint, unchanged)

The record itself is shown as its line: complete, or by `disclose` with null in the place of each withheld part.
The skeleton gives the leaf hash, and each shown part must match its commitment. So parts are proved one by
one, and the others stay unknown.

Rules kept here:
- Nothing in either text is trusted, least of all the unauthenticated `extra` line.
- Anything that does not hold raises `NotProved`, which says what.
Left to others: which parts somebody may see, how the texts reach them.
"""

import base64
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import orjson

from moderation.values.errors import Invalid
from moderation.values.events import Json
from moderation.values.ids import RecordIndex
from storage.journal.line_format import BadLine, DecodedLine, erased_by, is_committed, open_line
from storage.journal.merkle import HASH_BYTES

from .checkpoint import Checkpoint, open_checkpoint
from .proof import Prover, verify_inclusion
from .signed_note import MAX_NOTE_BYTES, NoteVerifier
from .tiles import NoTile, Tiles

HEADER = "c2sp.org/tlog-proof@v1"
SUFFIX = ".tlog-proof"
MAX_HASHES = 63  # one for each doubling of the log
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,15})")


class NotProved(Invalid):
    """Raised if a proof does not hold. `code` says what: proof, key, signature, line, index, inclusion or part."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A parsed proof file. `note` is the signed checkpoint, unchanged."""

    index: int
    hashes: tuple[bytes, ...]
    note: str
    extra: bytes = b""

    @property
    def text(self) -> str:
        """The proof file (C2SP tlog-proof, "Format")."""
        lines = [HEADER, *([f"extra {_base64(self.extra)}"] if self.extra else []), f"index {self.index}"]
        return "\n".join([*lines, *map(_base64, self.hashes)]) + f"\n\n{self.note}"

    @classmethod
    def parse(cls, text: str) -> "TlogProof":
        """Parse a proof file. Raises `NotProved`."""
        head, gap, note = text.partition("\n\n")
        lines = head.split("\n")
        if len(text) > 2 * MAX_NOTE_BYTES or not gap or lines.pop(0) != HEADER:
            raise NotProved("proof", f"this is no proof file: it must begin with the line {HEADER}")
        extra = _bytes(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else b""
        index = _INDEX.fullmatch(lines.pop(0)) if lines else None
        hashes = tuple(map(_bytes, lines))
        if extra is None or not index or len(hashes) > MAX_HASHES or not _are_hashes(hashes):
            raise NotProved("proof", "the proof file is damaged: its index or one of its hashes cannot be read")
        return cls(int(index[1]), cast("tuple[bytes, ...]", hashes), note, extra)


@dataclass(frozen=True, slots=True)
class Proved:
    """A proved record: its index in the log of `checkpoint`, its skeleton, and its parts, None for each not shown."""

    index: RecordIndex
    checkpoint: Checkpoint
    skeleton: dict[str, Json]
    parts: tuple[Json, ...]


def make_proof(prover: Prover, note: str, index: int) -> str:
    """Make the proof file for a record, against the signed checkpoint `note`.

    Raises `Invalid` if the checkpoint does not cover the record, `LookupError` if the record was purged.
    """
    size = Checkpoint.parse(note.partition("\n\n")[0] + "\n").size
    return TlogProof(index, tuple(prover.inclusion(index, size)), note).text


def prove(folder: Path, index: int) -> str:
    """Make the proof file for a record of the log in `folder`, by its newest checkpoint. Raises as `make_proof` does.

    Nothing is locked: the tiles that a checkpoint promises are written before it.
    """
    for attempt in range(3):
        note = (folder / "checkpoint").read_text("utf-8")
        try:
            return make_proof(Prover(Tiles(folder / "tile")), note, index)
        except NoTile:  # a partial tile is removed when the next checkpoint completes it
            if attempt == 2:
                raise
    raise AssertionError


def check_proof(leaf: bytes, text: str, vkeys: Sequence[str]) -> tuple[int, Checkpoint]:
    """Check a proof file for a leaf hash, with one of these keys only. Raises `NotProved`."""
    proof = TlogProof.parse(text)
    checkpoint = _checkpoint(proof.note, vkeys)
    if not verify_inclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root):
        raise NotProved(
            "inclusion",
            f"the record does not stand at place {proof.index} of the log that was signed; it or the proof was altered",
        )
    return proof.index, checkpoint


def check_record(line: bytes, text: str, vkey: str) -> Proved:
    """Check a record's line, whole or disclosed in part, against its proof file. Raises `NotProved`."""
    opened = _open(line)
    index, checkpoint = check_proof(opened.leaf, text, [vkey])
    if opened.skeleton["i"] != index:
        raise NotProved("index", f"the proof is for record {index}, the line is record {opened.skeleton['i']}")
    for number, part in enumerate(opened.parts):
        _check_part(opened, number, part)
    shown = tuple(None if erased_by(part) is not None else part for part in opened.parts)
    return Proved(RecordIndex(index), checkpoint, opened.skeleton, shown)


def disclose(line: bytes, places: Collection[int]) -> bytes:
    """Return a record's line with only the parts at these places in `x`. Raises `BadLine`."""
    opened = open_line(line.removesuffix(b"\n"))
    parts = [part if place in places else None for place, part in enumerate(opened.parts)]
    return orjson.dumps({**opened.skeleton, "x": parts})


def _open(line: bytes) -> DecodedLine:
    try:
        return open_line(line.removesuffix(b"\n"))
    except BadLine as error:
        raise NotProved("line", f"this is not a line of the log ({error.code})") from error


def _check_part(opened: DecodedLine, number: int, part: Json) -> None:
    """Check that a shown part matches its commitment; one that is not shown proves nothing. Raises `NotProved`."""
    if part is None or erased_by(part) is not None:
        return
    holds = is_committed(part, cast("list[str]", opened.skeleton["c"])[number])
    if not holds:
        raise NotProved("part", f"part {number + 1} is not what was recorded; it was altered")


def _checkpoint(note: str, vkeys: Sequence[str]) -> Checkpoint:
    try:
        verifiers = [NoteVerifier.parse(vkey.strip()) for vkey in vkeys]
    except Invalid as error:
        raise NotProved("key", str(error)) from error
    try:
        return open_checkpoint(note, verifiers)
    except Invalid as error:
        raise NotProved("signature", str(error)) from error


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes | None:
    """Decode base64; return None if it is not the one standard spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if _base64(data) == text else None


def _are_hashes(hashes: Sequence[bytes | None]) -> bool:
    return all(each is not None and len(each) == HASH_BYTES for each in hashes)
