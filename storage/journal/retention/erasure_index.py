"""An index of the records that concern other records: erasures, holds and purges.

They are few, may be anywhere in a long log, and are needed at each start. So their numbers are cached in
``DATA/special.json``, together with how far the log was searched and what each closed day's file looked like when all
erasures had been applied to it. The file is outside the records, since it is not a record: it may be deleted, and is
then rebuilt from all the days.

Rules kept here:
- The cache is used only as far as the log still reaches.
- A record is found by searching the text, and parsed only then.
Left to others: what the records say (`erase.py`, `legal_holds.py`, `purge.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import orjson

from moderation.values.errors import Broken, Invalid
from storage.journal import disk
from storage.journal.days import DamagedDay, Day, DayLines
from storage.journal.line_format import BadLine, DecodedLine, open_line
from storage.journal.reader import Log
from storage.journal.transparency.checkpoint import Checkpoint

FILE = "special.json"
KINDS = ("erase", "hold", "purge")
_FORMAT = 1

Look = tuple[int, int]  # size and modification time (ns) of a day's file


@dataclass(slots=True)
class Special:
    """The index over the first `size` records of a log."""

    size: int = 0
    indices: dict[str, list[int]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    days: dict[str, Look] = field(default_factory=dict)  # closed days in which all erasures are applied
    new_from: int = 0  # records from here on were not yet in the cache

    @classmethod
    def find(cls, folder: Path, size: int | None = None) -> "Special":
        """Load the cache and bring it up to date with the log. Raises `Broken` at a damaged line.

        `size` is the number of records; without it, the log is searched to its end.
        """
        known = _read(folder.parent / FILE, _signed(folder) if size is None else size)
        known.new_from = known.size
        for opened in scan(folder, KINDS, known.size) if size is None or known.size < size else ():
            index = cast(int, opened.skeleton["i"])
            known.indices[cast(str, opened.skeleton["k"])].append(index)
        known.size = known.size if size is None else size
        known.forget_purged(folder)
        return known

    def forget_purged(self, folder: Path) -> None:
        """Drop the records of purged days."""
        first = next((first for _, first in Log(folder).starts()), 0)
        self.indices = {kind: [index for index in found if index >= first] for kind, found in self.indices.items()}

    def keep(self, folder: Path) -> None:
        """Write the cache, if it has changed."""
        path = folder.parent / FILE
        data = orjson.dumps({"format": _FORMAT, "size": self.size, "indices": self.indices, "days": self.days})
        if not path.exists() or path.read_bytes() != data:
            disk.replace_atomically(path, data)

    def all_applied(self, days: Sequence[Day]) -> None:
        """Note that all erasures are applied in these days."""
        self.days = {day.name: seen for day in days if (seen := look(day))}

    def changed(self, days: Sequence[Day]) -> list[Day]:
        """Return the days whose files differ from when all erasures had been applied: new, restored or open ones."""
        return [day for day in days if self.days.get(day.name) != look(day)]


def look(day: Day) -> Look | None:
    """Return size and modification time of a closed day's file; None for an open day, which changes all the time."""
    if not day.closed:
        return None
    status = day.path.stat()
    return status.st_size, status.st_mtime_ns


def scan(folder: Path, kinds: Sequence[str], start: int = 0) -> Iterator[DecodedLine]:
    """Yield all records of some kinds from index `start` on, in order. Raises `Broken` at a damaged line."""
    log = Log(folder)
    needles = [b'"k":"%s"' % kind.encode() for kind in kinds]
    for day, first in log.starting_with(start):
        for opened in opened_lines(day, needles):
            index = cast(int, opened.skeleton["i"])
            if opened.skeleton["k"] in kinds and index >= max(start, first):
                yield opened


def opened_lines(day: Day, needles: Sequence[bytes]) -> Iterator[DecodedLine]:
    """Yield, parsed, the lines of a day that contain one of the needles. Raises `Broken`."""
    number = 0
    try:
        for number, raw in DayLines(day.path).holding(needles):  # noqa: B007  (told below)
            yield open_line(raw)
    except (DamagedDay, BadLine) as error:
        raise Broken(f"{day.path}, line {number}: it cannot be read ({error.code})") from error


def _signed(folder: Path) -> int:
    """Return the size in the newest checkpoint, without checking who signed it; 0 if there is none."""
    try:
        return Checkpoint.of_note((folder / "checkpoint").read_text("utf-8")).size
    except (OSError, Invalid, UnicodeDecodeError):
        return 0


def _read(path: Path, size: int) -> Special:
    """Return the cached index; an empty one if the cache cannot be used."""
    try:
        data = orjson.loads(path.read_bytes())
        indices = {kind: [int(index) for index in data["indices"][kind]] for kind in KINDS}
        days = {str(name): (int(file_size), int(changed)) for name, (file_size, changed) in data["days"].items()}
        if data["format"] == _FORMAT and 0 <= data["size"] <= size:
            return Special(data["size"], indices, days)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        pass  # rebuilt below
    return Special()
