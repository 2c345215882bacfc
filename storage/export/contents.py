"""The log's own record of an export, made before the zip is finished: which records and files are in it.

Rules kept here:
- The record names what a reader relies on: all records, and the SHA-256 of every file except the proofs and the
  checkpoint, which are checked separately and are added after it.
- It is in the zip as in the log, with a proof by the newest checkpoint.
- So nobody can leave a record out, or change a readable page, without contradicting the log.

Left to others: writing the record (`bot/admin/exports.py`), checking it (`verify.py`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from moderation.values.errors import Broken
from storage.journal.reader import Log
from storage.journal.retention.ranges import Ranges

from .verify import MADE, MEDIA, media_digest

NAME = MADE


@dataclass(frozen=True, slots=True)
class Contents:
    """Contents of an export. `id` is in the export, too, so that the record of another export does not fit."""

    id: str
    count: int
    records: str  # such as 0,740-745
    files: str  # a line each: SHA-256, two spaces, name


Recorder = Callable[[Contents], int]  # has it recorded and signed; returns the number of the record


def contents(export: str, numbers: Iterable[int], sums: Mapping[str, str]) -> Contents:
    """Return the contents of an export with these records and files, by name their SHA-256."""
    kept = [name for name in sums if name.startswith(MEDIA)]
    listed = {name: digest for name, digest in sums.items() if not name.startswith(MEDIA)}
    listed[MEDIA] = media_digest(kept)
    files = "".join(f"{digest}  {name}\n" for name, digest in sorted(listed.items()))
    chosen = list(numbers)
    return Contents(export, len(chosen), Ranges.of(chosen).text, files)


def record_line(folder: Path, index: int, before: int, size: int) -> bytes:
    """Return the record as it is in the log. Raises `Broken` unless it came after `before` and is signed by now."""
    if not before <= index < size:
        raise Broken(f"record {index} cannot be the signed record of this export")
    return Log(folder).raw(index) + b"\n"
