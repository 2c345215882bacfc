"""Determines the state of a log on disk, at whatever moment the process died.

Rules kept here:
- Only what was never promised may be cut off: the torn end of the open day, beyond the newest checkpoint, with
  nothing readable after it.
- Anything else that does not fit is damage: it is named, and nothing is changed.
- Tiles are taken from the disk up to the open day, which is read again; if that does not lead to what the checkpoint
  says, all days are read again.
- After a purge the days do not begin with record 0: then the tiles before them cannot be rebuilt.
Left to others: writing tiles and a checkpoint for what was found (`journal.py`), finishing an erasure or purge
(`storage/journal/retention/erase.py`, `storage/journal/retention/purge.py`), checking closed days against what was
signed (`storage/journal/verify/verify.py`).
"""

import secrets
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from moderation.values.errors import Broken, Invalid
from moderation.values.events import Json

from . import disk
from .clock_order import is_late, noted, start_of
from .days import DamagedDay, Day, DayLines, finish_closing, list_days
from .line_format import BadLine, is_time, open_line, time_ms
from .merkle import Tree
from .reader import Log
from .retention.purge import read_min_index
from .transparency.checkpoint import Checkpoint, open_checkpoint
from .transparency.signed_note import NoteVerifier
from .transparency.tiles import NoTile, Tiles


class EndMissing(Broken):
    """Raised if the log is shorter than it is known to have been: its end was cut off, or an old copy was restored."""

    def __init__(self, size: int, known: int) -> None:
        super().__init__(f"the log has {size} records, and is known to have had {known}")
        self.size = size
        self.missing = known - size


@dataclass(frozen=True, slots=True)
class Recovery:
    """A torn end that was cut off; it held no complete record. The caller records it as a gap in coverage."""

    file: str  # within the folder of the records
    index: int  # of the first lost record, if it had been complete
    lost_bytes: int


@dataclass(slots=True)
class RecoveredLog:
    """The state of a log as found on disk."""

    tree: Tree
    days: list[Day]
    signed: int  # records in the newest checkpoint
    first: int = 0  # index of the open day's first record
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))  # of each line in the open day, and its end
    recovery: Recovery | None = None
    last_ms: int | None = None  # time of the open day's last record
    unexplained: list[int] = field(default_factory=list)  # its records that are too old, without a note that says so

    @property
    def open_day(self) -> Day | None:
        """The day that still grows, if there is one."""
        return self.days[-1] if self.days and not self.days[-1].closed else None


def read_checkpoint(folder: Path, verifier: NoteVerifier) -> Checkpoint | None:
    """Return the newest checkpoint, or None if the log has none. Raises `Broken` if its signature does not hold."""
    path = folder / "checkpoint"
    try:
        return open_checkpoint(path.read_text("utf-8"), [verifier])
    except FileNotFoundError:
        return None
    except (Invalid, UnicodeDecodeError) as error:
        raise Broken(f"{path}: {error}") from error


def recover(folder: Path, verifier: NoteVerifier) -> RecoveredLog:
    """Return the state of the log in `folder`; cut off a torn end. Raises `Broken`, naming file and line."""
    for draft in folder.rglob(disk.DRAFTS):  # half-written files; their contents must not outlive an erasure
        disk.remove(draft)
    finish_closing(folder / "day")
    days = _without_empty_end(list_days(folder / "day"))
    checkpoint = read_checkpoint(folder, verifier)
    signed = checkpoint.size if checkpoint else 0
    state = RecoveredLog(Tree(), days, signed)
    end = _OpenDay(state.open_day, state).read() if state.open_day else None
    try:
        _plant(state, folder, end, checkpoint)
    except (NoTile, _Mismatch):
        _replant(state, folder, checkpoint)
    if end and end.torn:
        disk.cut(end.day.path, end.at)
        state.recovery = Recovery(f"day/{end.day.path.name}", state.tree.size, end.torn)
        if not end.leaves:  # nothing is left of that day
            return replace(recover(folder, verifier), recovery=state.recovery)
    return state


def was_sealed(folder: Path, signed: int) -> bool:
    """Tell whether the last signed record says that the bot stopped cleanly: then everything was signed."""
    if not signed:
        return False
    try:
        last = Log(folder).line(signed - 1).skeleton
    except (LookupError, Broken):
        return False  # `verify` reports what is wrong there
    return last["k"] == "stop" and last.get("sealed") == 1


def set_aside(folder: Path, state: RecoveredLog) -> int:
    """Move lines after a sealed stop out of the open day, where only this bot may write. Returns how many.

    The lines go to ``DATA/set-aside``. Our next start may have written them before it was killed, so they are kept.
    Nothing was done because of them, since the first record after a stop is signed before anything else happens.
    """
    day, count = state.open_day, state.tree.size - state.signed
    if day is None or count <= 0 or state.signed < state.first or not was_sealed(folder, state.signed):
        return 0
    at = state.offsets[state.signed - state.first]
    shelf = folder.parent / "set-aside"
    disk.make_folder(shelf, disk.SECRET_FOLDER_MODE)
    kept = shelf / f"{day.name}-{state.signed}-{secrets.token_hex(4)}.jsonl"
    disk.create_once(kept, day.path.read_bytes()[at:], disk.SECRET_MODE)
    Tiles(folder / "tile").cut_back(state.signed)  # our start may have left some if it was killed before signing
    disk.cut(day.path, at)
    return count


def _without_empty_end(days: list[Day]) -> list[Day]:
    """Remove days at the end that were begun and not written to."""
    while days and not days[-1].closed and not days[-1].path.stat().st_size:
        disk.remove(days.pop().path)
    return days


class _Mismatch(Exception):
    """Raised if the tree is not the one that the checkpoint signs."""


class _OpenDay:
    """Reads the open day line by line, up to the first line that is not a record."""

    def __init__(self, day: Day, state: RecoveredLog) -> None:
        self.day = day
        self.state = state
        self.leaves: list[bytes] = []
        self.torn = 0  # bytes after the last complete record
        self.number = 0
        self.at = 0  # where the next line begins
        self.bad = ""
        self.last = start_of(day.name)
        state.offsets.append(0)

    def read(self) -> "_OpenDay":
        try:
            for raw in DayLines(self.day.path).each():
                self.take(raw)
        except DamagedDay as error:  # no torn write of this program is that long
            raise Broken(f"{self.day.path}, line {self.number + 1}: it cannot be read ({error.code})") from error
        self.torn = self.day.path.stat().st_size - self.at
        return self

    def take(self, raw: bytes) -> None:
        self.number += 1
        try:
            opened = open_line(raw)
        except BadLine as error:
            self.bad = self.bad or f"{self.day.path}, line {self.number}: it cannot be read ({error.code})"
            return
        if self.bad:  # a complete record follows, so this is not a torn end
            raise Broken(self.bad)
        self._accept(opened.skeleton["i"], opened.leaf, len(raw) + 1)
        self._follow(opened.skeleton)

    def _accept(self, index: object, leaf: bytes, length: int) -> None:
        assert isinstance(index, int)
        if not self.leaves:
            self.state.first = index
        elif index != self.state.first + len(self.leaves):
            raise Broken(f"{self.day.path}, line {self.number}: record {index} is out of sequence")
        self.leaves.append(leaf)
        self.at += length
        self.state.offsets.append(self.at)

    def _follow(self, skeleton: Mapping[str, Json]) -> None:
        """Note a record whose time goes back too far, until a later record explains it."""
        index, at = cast(int, skeleton["i"]), cast(str, skeleton["t"])
        if is_late(at, self.last):
            self.state.unexplained.append(index)
        about = noted(skeleton)
        self.state.unexplained = [each for each in self.state.unexplained if each not in about]
        if is_time(at):
            self.last = at
            self.state.last_ms = time_ms(at)


def _plant(state: RecoveredLog, folder: Path, end: _OpenDay | None, checkpoint: Checkpoint | None) -> None:
    """Build the tree from the tiles up to the open day, then from the open day's lines."""
    if not checkpoint:
        raise _Mismatch
    leaves = end.leaves if end else []
    if not leaves:
        state.first = _closed_size(folder, state.days)
    if checkpoint.size < state.first:
        raise _Mismatch
    state.tree = Tiles(folder / "tile").tree(state.first)
    _grow(state.tree, leaves, checkpoint)
    if state.tree.size < checkpoint.size:
        raise _Mismatch


def _closed_size(folder: Path, days: list[Day]) -> int:
    """Return the number of records in the closed days, by the newest closing checkpoint."""
    closed = [day for day in days if day.closed]
    if not closed:
        return 0
    try:
        return Checkpoint.of_note((folder / "checkpoints" / f"{closed[-1].name}.ckpt").read_text("utf-8")).size
    except (OSError, Invalid, UnicodeDecodeError):
        raise _Mismatch from None


def _grow(tree: Tree, leaves: list[bytes], checkpoint: Checkpoint | None) -> None:
    """Add leaves; at the checkpoint's size, compare the roots."""
    ahead = checkpoint.size - tree.size if checkpoint else 0
    if checkpoint and 0 <= ahead <= len(leaves):
        tree.extend(leaves[:ahead])
        if tree.root() != checkpoint.root:
            raise _Mismatch
        leaves = leaves[ahead:]
    tree.extend(leaves)


def _replant(state: RecoveredLog, folder: Path, checkpoint: Checkpoint | None) -> None:
    """Build the tree from all days: slow, and needed only if tiles or the checkpoint were lost."""
    tree = _root_stock(state, folder)
    for day in state.days:
        if not day.closed:
            state.first = tree.size
        leaves = _leaves_of(day, tree.size)
        try:
            _grow(tree, leaves, checkpoint)
        except _Mismatch:
            raise Broken(
                f"{state.days[0].path.parent}: the records are not those that were signed; "
                "run `answerable logs verify` to see where they differ"
            ) from None
    if checkpoint and tree.size < checkpoint.size:
        raise Broken(
            f"{state.days[0].path.parent if state.days else 'day'}: {tree.size} records, but the checkpoint "
            f"was signed over {checkpoint.size}; some are missing"
        )
    if not state.open_day:
        state.first = tree.size
    state.tree = tree


def _root_stock(state: RecoveredLog, folder: Path) -> Tree:
    """Return the tree before the first day: empty, or after a purge built from the tiles."""
    below = read_min_index(folder)
    first = Log(folder).first_of(state.days[0]) if below and state.days else None
    if not first:
        return Tree()
    try:
        return Tiles(folder / "tile").tree(first)
    except NoTile as error:
        raise Broken(
            f"{folder / 'tile'}/{error} is missing. The records before {first} were purged, so it cannot be made "
            "again; put it back from a backup or a copy"
        ) from error


def _leaves_of(day: Day, index: int) -> list[bytes]:
    leaves: list[bytes] = []
    try:
        for raw in DayLines(day.path).each():
            opened = open_line(raw)
            if opened.skeleton["i"] != index + len(leaves):
                raise Broken(f"{day.path}, line {len(leaves) + 1}: record {index + len(leaves)} was expected here")
            leaves.append(opened.leaf)
    except (BadLine, DamagedDay) as error:
        if day.closed:
            raise Broken(f"{day.path}, line {len(leaves) + 1}: it cannot be read ({error.code})") from error
    return leaves
