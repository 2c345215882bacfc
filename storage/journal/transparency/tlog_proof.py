"""Proof files (C2SP tlog-proof): a text that shows that a record is in the log, to anybody who has the log's key.

    c2sp.org/tlog-proof@v1
    index 740
    (hashes, one a line)

    (the signed checkpoint, unchanged)

The record itself is shown as its line: complete, or by `disclose` with null in the place of each withheld part.
The skeleton gives the leaf hash, and each shown part must match its commitment. So parts are proved one by
one, and the others stay unknown.

Rules kept here:
- Nothing in the text is trusted, least of all the unauthenticated `extra` line.
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
from storage.journal.line_format import open_line
from storage.journal.merkle import HASH_BYTES, TILE_WIDTH

from .checkpoint import Checkpoint
from .proof import Prover
from .signed_note import MAX_NOTE_BYTES, decoded
from .tiles import NoTile, Tiles

HEADER = "c2sp.org/tlog-proof@v1"
SUFFIX = ".tlog-proof"
MAX_HASHES = 63  # one for each doubling of the log
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,15})")


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
        """Parse a proof file. Raises `Invalid`."""
        head, gap, note = text.partition("\n\n")
        lines = head.split("\n")
        if len(text) > 2 * MAX_NOTE_BYTES or not gap or lines.pop(0) != HEADER:
            raise Invalid(f"this is no proof file: it must begin with the line {HEADER}")
        extra = decoded(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else b""
        index = _INDEX.fullmatch(lines.pop(0)) if lines else None
        hashes = tuple(map(decoded, lines))
        if extra is None or not index or len(hashes) > MAX_HASHES or not _are_hashes(hashes):
            raise Invalid("the proof file is damaged: its index or one of its hashes cannot be read")
        return cls(int(index[1]), cast("tuple[bytes, ...]", hashes), note, extra)


def make_proof(prover: Prover, note: str, index: int) -> str:
    """Make the proof file for a record, against the signed checkpoint `note`.

    Raises `Invalid` if the checkpoint does not cover the record, `LookupError` if the record was purged.
    """
    return TlogProof(index, tuple(prover.inclusion(index, Checkpoint.of_note(note).size)), note).text


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


def described(folder: Path, text: str) -> dict[str, object]:
    """Return a proof file of the log in `folder` as `logs proof --json` and the console show it."""
    taken = TlogProof.parse(text)
    checkpoint = Checkpoint.of_note(taken.note)
    tile, place = divmod(taken.index, TILE_WIDTH)
    width = min(TILE_WIDTH, checkpoint.size - tile * TILE_WIDTH)
    leaf = Tiles(folder / "tile").read(0, tile, width)[place * HASH_BYTES :][:HASH_BYTES]
    return {
        "index": taken.index,
        "size": checkpoint.size,
        "origin": checkpoint.origin,
        "leaf": _base64(leaf),
        "hashes": [_base64(each) for each in taken.hashes],
        "root": _base64(checkpoint.root),
        "checkpoint": taken.note,
        "proof": text,
    }


def disclose(line: bytes, places: Collection[int]) -> bytes:
    """Return a record's line with only the parts at these places in `x`. Raises `BadLine`."""
    opened = open_line(line.removesuffix(b"\n"))
    parts = [part if place in places else None for place, part in enumerate(opened.parts)]
    return orjson.dumps({**opened.skeleton, "x": parts})


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _are_hashes(hashes: Sequence[bytes | None]) -> bool:
    return all(each is not None and len(each) == HASH_BYTES for each in hashes)
