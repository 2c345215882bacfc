"""The port to the table that several machines share: the lines of a log, and the checkpoints signed over them.

Without such a table the day files alone are the log. With it, a line counts as written once the table has it, and the
day files of each machine are copies of the table, byte for byte.

Rules kept here:
- Only one process may write, the leader of the present epoch; any other gets `Superseded`, and nothing is written.
- Lines are added at the end only. Afterwards a line changes in its erasable parts alone.
- A checkpoint is never ahead of the lines that it covers.
- A line that was not written with the log's key is never returned: `Unproved` is raised.
Left to others: the table itself (`postgresql_lines.py`), who leads (`storage/database/fence.py`), bringing files and
table to one state (`level.py`), copying the table to files (`follower.py`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from moderation.values.errors import Broken


class Forked(Broken):
    """Raised if the day files and the table hold different records under one index. `index`: the first such record."""

    def __init__(self, index: int) -> None:
        super().__init__(f"from record {index} on the files and the database hold different records")
        self.index = index


class Incomplete(Broken):
    """Raised if the table begins after the end of the files: older records were purged, so the files must be copied."""

    def __init__(self, size: int, first: int) -> None:
        super().__init__(f"the files end before record {size}, and the database begins with record {first}")
        self.size = size
        self.first = first


class Unproved(Broken):
    """Raised if a line of the table was not written with the log's key. `index`: its record."""

    def __init__(self, index: int) -> None:
        super().__init__(f"record {index} in the database was not written with the key of this log")
        self.index = index


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A line without its newline, its index and the day of its file."""

    index: int
    day: str
    line: bytes


@dataclass(frozen=True, slots=True)
class SharedCheckpoint:
    """A checkpoint in the table. `number` grows with each change; `day` is "" unless it closes that day."""

    number: int
    day: str
    size: int
    note: str
    stamp: bytes | None


class LineLog(Protocol):
    """The lines of one log in a table. All calls are synchronous and may come from several threads."""

    def end(self) -> int:
        """Return the number of lines there have been: the index of the next one."""

    def append(self, start: int, lines: Sequence[tuple[str, bytes]]) -> None:
        """Add lines, each with its day and without its newline; durable on return. `start` must be the end."""

    def read(self, start: int, most: int = 1_000) -> list[PlacedLine]:
        """Return at most `most` lines from `start` on, in order."""

    def rewrite(self, lines: Iterable[tuple[int, bytes]], erased_to: int) -> None:
        """Replace lines by their erased forms, and note that all erasures below `erased_to` are applied."""

    def erased_to(self) -> int:
        """Return the index up to which all erasures are applied to the table."""

    def remove_below(self, index: int) -> None:
        """Remove the lines before `index`, which a purge removed from the files."""

    def move_day(self, old: str, new: str) -> None:
        """Move all lines of a day to another one."""

    def put_checkpoint(self, day: str, size: int, note: str, stamp: bytes | None = None) -> None:
        """Keep a checkpoint, with all its signature lines; a later one of the same day replaces it."""

    def checkpoints(self, after: int, above: int) -> list[SharedCheckpoint]:
        """Return what was added or changed after number `after`, in that order: of sizes over `above`, or of days."""

    def newest(self) -> SharedCheckpoint | None:
        """Return the checkpoint of the largest size."""
