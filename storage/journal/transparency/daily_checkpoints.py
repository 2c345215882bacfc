"""The days' closing checkpoints, and what others added to them: ``checkpoints/DAY.ckpt``, ``DAY.tsr``.

Rules kept here:
- A day's checkpoint is handed out only once the day's file is closed as well: until then a later one may replace it.
- Lines are only ever added to a checkpoint; a time stamp is written once.
Left to others: writing the checkpoint (`storage/journal/journal.py`), what the lines say (`cosignature.py`,
`timestamp.py`).
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from moderation.values.errors import Invalid
from storage.journal import disk
from storage.journal.line_log import LineLog

from .checkpoint import Checkpoint
from .cosignature import with_lines
from .signed_note import split_note

_NAME = re.compile(r"\d{4}-\d{2}-\d{2}")
CHECKPOINT, TIMESTAMP = ".ckpt", ".tsr"


@dataclass(frozen=True, slots=True)
class Closing:
    """One day's closing checkpoint: the number of records it covers, and the signed note with all its lines."""

    day: str
    size: int
    note: str

    @property
    def as_signed(self) -> str:
        """The note as the log itself signed it, without the lines of others."""
        return own_note(self.note)


class Closings:
    """The closing checkpoints of the log in `folder`."""

    def __init__(self, folder: Path, table: LineLog | None = None) -> None:
        """Take the table that other machines read, if there is one, to add to."""
        self._table = table
        self._folder = folder / "checkpoints"
        self._days = folder / "day"

    def days(self) -> list[str]:
        """Return the days that have a closing checkpoint, oldest first."""
        names = (path.stem for path in self._folder.glob(f"*{CHECKPOINT}"))
        return sorted(name for name in names if _NAME.fullmatch(name) and not self._is_open(name))

    def read(self, day: str) -> Closing:
        """Return the day's closing checkpoint. Raises `LookupError` if it does not exist or cannot be read."""
        try:
            note = self._path(day, CHECKPOINT).read_text("utf-8")
            return Closing(day, Checkpoint.parse(split_note(note)[0]).size, note)
        except (FileNotFoundError, UnicodeDecodeError, Invalid) as error:
            raise LookupError(f"no usable closing checkpoint of {day}") from error

    def add_lines(self, day: str, lines: list[str]) -> None:
        """Add signature lines of others to a day's checkpoint. Raises `LookupError`."""
        closing = self.read(day)
        note = with_lines(closing.note, lines)
        if self._table is not None:
            self._table.put_checkpoint(day, closing.size, note)
        disk.replace_atomically(self._path(day, CHECKPOINT), note.encode())

    def timestamp(self, day: str) -> bytes | None:
        """Return the time stamp of a day, or None."""
        try:
            return self._path(day, TIMESTAMP).read_bytes()
        except FileNotFoundError:
            return None

    def add_timestamp(self, day: str, response: bytes) -> None:
        """Store the time stamp of a day; an existing one stays."""
        if self._table is not None and self.timestamp(day) is None:
            closing = self.read(day)
            self._table.put_checkpoint(day, closing.size, closing.note, response)
        with suppress(FileExistsError):
            disk.create_once(self._path(day, TIMESTAMP), response)
        disk.sync_directory(self._folder)

    def _path(self, day: str, suffix: str) -> Path:
        return self._folder / f"{day}{suffix}"

    def _is_open(self, day: str) -> bool:
        return (self._days / f"{day}.jsonl").exists()


def own_note(note: str) -> str:
    """Return a note with only its first signature line, which is the log's own."""
    text, gap, tail = note.rpartition("\n\n")
    return text + gap + tail[: tail.find("\n") + 1]
