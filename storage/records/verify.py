"""Checks a log as an outsider would: nothing the writer says of itself is believed.

What is checked: every line's spelling, place and time; every shown part against its commitment; every erased
part against the record that erased it; the root of all leaves against every signed checkpoint, the newest, each
day's and one that somebody kept; the signatures against `log.vkey`, and that key against the first record; every
tile against the leaves (C2SP tlog-tiles, tlog-checkpoint, signed-note; RFC 6962; RFC 8785).

Rules kept here: any bytes give a report, never an exception; memory stays bounded; a log that is being written is
no problem, for what is read is read against the order of writing (tiles, then checkpoint, then lines):
records beyond the checkpoint are "not signed yet". Where a line and a tile disagree, the signed root says which
of the two is wrong.
Left to others: what cannot be seen from the files alone, such as records left out from the start.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from moderation.errors import Invalid

from .checkpoint import Checkpoint, open_checkpoint
from .days import DamagedDay, Day, Lines, agree, closed_path, list_days
from .line import BadLine, Opened, is_time, open_line
from .logkey import read_verifier
from .merkle import TILE_WIDTH, Tree
from .note import MAX_NOTE_BYTES, Verifier
from .report import Findings, Progress, Report
from .tiles import NoTile, Tiles
from .verify_parts import ERASERS, PartCheck
from .verify_tiles import TileCheck

_NO_KEY = Verifier("-", b"")


def verify(folder: Path, *, against: str | None = None, progress: Progress | None = None) -> Report:
    """Check the log in `folder`, and that it continues the one the checkpoint `against` speaks of."""
    check = _Check(folder, progress)
    try:
        check.run(against)
    except OSError as error:
        check.findings.add("disk", _relative(folder, error.filename), error=error.strerror or str(error))
    return check.report()


@dataclass(frozen=True, slots=True)
class _Signed:
    """A checkpoint, and where it stands."""

    file: str
    checkpoint: Checkpoint


class _GiveUp(Exception):
    """The rest of the log cannot be checked; why has been noted."""


class _Check:
    """One run over one log."""

    def __init__(self, folder: Path, progress: Progress | None) -> None:
        self.folder = folder
        self.progress = progress
        self.findings = Findings()
        self.tree = Tree()
        self.first = 0
        self.signed = 0
        self.tiles = TileCheck(folder, self.findings)
        self.parts = PartCheck(self.findings)
        self._targets: list[_Signed] = []  # to be compared, smallest first
        self._agreed = 0  # size of the largest checkpoint whose root was right
        self._starts: list[tuple[int, str]] = []  # first index and file of each day
        self._closing: dict[str, int] = {}
        self._purged_below = 0
        self._vkey = ""

    def run(self, against: str | None) -> None:
        """Everything, in the order that keeps a log in use from looking broken."""
        verifier = self._read_key()
        self.tiles.look()
        newest = self._read_newest(verifier)
        days = list_days(self.folder / "day")
        self._read_closing(verifier)
        if against is not None:
            self._take("against", against, verifier)
        self._targets.sort(key=lambda signed: signed.checkpoint.size)
        try:
            self._begin(days)
            for day in days:
                self._read_day(day, is_last=day is days[-1])
            self._finish(newest, days)
        except _GiveUp:
            self.parts.finish()
        self.tiles.compare_edges(self.tree)
        self._settle_doubts()

    def report(self) -> Report:
        """What was found so far."""
        problems = self.findings.in_order()
        size = self.tree.size
        return Report(size - self.first, self.first, self.signed, self.tree.root(), problems, self.findings.more)

    # What is signed

    def _read_key(self) -> Verifier:
        try:
            verifier = read_verifier(self.folder)
            self._vkey = verifier.text
            return verifier
        except FileNotFoundError:
            self.findings.add("key_missing", "log.vkey")
        except Invalid:
            self.findings.add("key_damaged", "log.vkey")
        return _NO_KEY

    def _read_newest(self, verifier: Verifier) -> Checkpoint | None:
        try:
            note = _bounded(self.folder / "checkpoint")
        except FileNotFoundError:
            self.findings.add("checkpoint_missing", "checkpoint")
            return None
        newest = self._take("checkpoint", note, verifier)
        self.signed = newest.size if newest else 0
        return newest

    def _read_closing(self, verifier: Verifier) -> None:
        for path in sorted((self.folder / "checkpoints").glob("*.ckpt")):
            if closing := self._take(f"checkpoints/{path.name}", _bounded(path), verifier):
                self._closing[path.stem] = closing.size

    def _take(self, file: str, note: str, verifier: Verifier) -> Checkpoint | None:
        if verifier is _NO_KEY:  # said already; without a key nothing is proved either way
            return None
        try:
            checkpoint = open_checkpoint(note, [verifier])
        except Invalid:
            self.findings.add("signature", file)
            return None
        self._targets.append(_Signed(file, checkpoint))
        return checkpoint

    # The days

    def _begin(self, days: list[Day]) -> None:
        """Where the log begins: at 0, or after a purge at the first record kept."""
        if not (minimum := self._minimum()):
            return
        first = next((self._first_of(day) for day in days), 0)
        if not minimum <= first < minimum + TILE_WIDTH:
            self.findings.add("purge_mismatch", "min_index", index=first, minimum=minimum)
            raise _GiveUp
        try:
            self.tree = Tiles(self.folder / "tile").tree(first)
        except NoTile as error:
            self.findings.add("tile_missing", f"tile/{error}")
            raise _GiveUp from error
        self.first = first
        self.tiles.first = minimum // TILE_WIDTH * TILE_WIDTH

    def _minimum(self) -> int:
        try:
            text = _bounded(self.folder / "min_index").strip()
        except FileNotFoundError:
            return 0
        if not (text.isascii() and text.isdigit() and len(text) < 17):
            self.findings.add("purge_mismatch", "min_index", minimum=0)
            raise _GiveUp
        return int(text)

    def _first_of(self, day: Day) -> int:
        try:
            for raw in Lines(day.path).each():
                return cast(int, open_line(raw).skeleton["i"])
        except (DamagedDay, BadLine):
            pass  # it is read once more, and then named
        return -1

    def _read_day(self, day: Day, *, is_last: bool) -> None:
        file = f"day/{day.path.name}"
        self._starts.append((self.tree.size, file))
        self._compare_twin(day, file)
        reading = _DayCheck(self, day, file)
        try:
            reading.run()
        except DamagedDay as error:
            self.findings.add(f"day_{error.code}", file, reading.number + 1, self.tree.size)
            raise _GiveUp from error
        if reading.is_cut and (day.closed or not is_last):
            self.findings.add("line_cut", file, reading.number + 1, self.tree.size)
        if day.closed:
            self._check_closing(day, file)

    def _compare_twin(self, day: Day, file: str) -> None:
        """A crash while a day was being closed leaves both of its files; they must say the same."""
        twin = day.path.with_suffix("")
        if day.closed and twin.exists():
            try:
                same = agree(twin, day.path)
            except DamagedDay:
                same = closed_path(twin).exists() and not twin.exists()
            if not same:
                self.findings.add("day_twins", file, other=f"day/{twin.name}")

    def _check_closing(self, day: Day, file: str) -> None:
        name = f"checkpoints/{day.name}.ckpt"
        size = self._closing.get(day.name)
        if size is None and (self.folder / name).exists():
            return  # there, but its signature does not hold: said already
        if size is None:
            self.findings.add("closing_missing", name, day=day.name)
        elif size != self.tree.size:
            self.findings.add("closing_size", file, signed=size, found=self.tree.size, other=name)

    def grow(self, leaves: list[bytes]) -> None:
        """Add leaves, comparing roots at every size that was signed."""
        at = 0
        while self._targets and self._targets[0].checkpoint.size <= self.tree.size + len(leaves) - at:
            size = self._targets[0].checkpoint.size
            step = max(0, size - self.tree.size)
            self.tree.extend(leaves[at : at + step])
            at += step
            self._compare_root(self._targets.pop(0))
        self.tree.extend(leaves[at:])
        self.tiles.compare(self.tree)
        if self.progress:
            self.progress(self.tree.size, max(self.signed, self.tree.size))

    def _compare_root(self, signed: _Signed) -> None:
        size = signed.checkpoint.size
        if size < self.tree.size:  # older than what was purged: its root cannot be computed any more
            if signed.file == "against":
                self.findings.add("against_purged", signed.file, signed=size, first=self.first)
        elif self.tree.root() == signed.checkpoint.root:
            self._agreed = max(self._agreed, size)
        else:
            self.findings.add("root", signed.file, signed=size, agreed=self._agreed)

    def note_special(self, opened: Opened) -> None:
        """Records that say something about the log itself."""
        skeleton = opened.skeleton
        if skeleton["k"] == "purge" and type(below := skeleton.get("below")) is int:
            self._purged_below = max(self._purged_below, below)

    def check_genesis(self, opened: Opened, file: str) -> None:
        """The first record must be what a log begins with, and name the key that checks it."""
        if opened.skeleton["k"] != "genesis":
            self.findings.add("genesis", file, 1, 0)
        for part in opened.parts:
            if type(part) is dict and part.get("vkey", self._vkey) != self._vkey and self._vkey:
                self.findings.add("key_differs", "log.vkey")

    def hash_from_tile(self, index: int) -> bytes | None:
        """The hash that a tile keeps for a line that cannot be read, so that the rest can be checked."""
        return self.tiles.leaf(index)

    # The end

    def _finish(self, newest: Checkpoint | None, days: list[Day]) -> None:
        self.grow([])
        for signed in self._targets:
            self.findings.add("missing", signed.file, signed=signed.checkpoint.size, found=self.tree.size)
        if self.first and self._purged_below < self.first:
            self.findings.add("purge_undeclared", "min_index", first=self.first)
        if not days and not newest:
            self.findings.add("empty", "day")
        self.parts.finish()
        self.tiles.compare_edges(self.tree)
        self.tiles.check_presence(newest.size if newest else 0, self.tree.size)

    def _settle_doubts(self) -> None:
        """Where line and tile disagree: if the signed root holds for the lines, the tile is wrong."""
        for index, tile in sorted(self.tiles.doubts):
            first, file = max((start for start in self._starts if start[0] <= index), default=(0, ""))
            if index < self._agreed or index >= self.signed or not file:
                self.findings.add("tile", tile, index=index)
            else:
                self.findings.add("leaf", file, index - first + 1, index)


class _DayCheck:
    """The lines of one day."""

    def __init__(self, check: _Check, day: Day, file: str) -> None:
        self.check = check
        self.day = day
        self.file = file
        self.number = 0  # lines read
        self.is_cut = False  # whether something stands after the last whole line

    def run(self) -> None:
        lines = Lines(self.day.path)
        for batch in lines:
            self.check.grow(self._leaves(batch))
        self.is_cut = bool(lines.rest)

    def _leaves(self, batch: list[bytes]) -> list[bytes]:
        """The leaf hashes of some lines. What comes before a line that ends the check is kept."""
        leaves: list[bytes] = []
        expected = self.check.tree.size
        try:
            for raw in batch:
                self.number += 1
                leaves.append(self._leaf(raw, expected + len(leaves)))
        except _GiveUp:
            self.check.grow(leaves)
            raise
        return leaves

    def _leaf(self, raw: bytes, index: int) -> bytes:
        try:
            opened = open_line(raw)
        except BadLine as error:
            return self._without(index, f"line_{error.code}")
        skeleton = opened.skeleton
        if skeleton["i"] != index:
            self.check.findings.add("sequence", self.file, self.number, index, found=skeleton["i"])
            raise _GiveUp
        if not self._is_in_time(cast(str, skeleton["t"])):
            self.check.findings.add("time", self.file, self.number, index)
        if index == 0:
            self.check.check_genesis(opened, self.file)
        if skeleton["k"] in ERASERS:
            self.check.note_special(opened)
            self.check.parts.may_erase(index, skeleton)
        if opened.parts:
            self.check.parts.compare(opened, self.file, self.number)
        return opened.leaf

    def _without(self, index: int, code: str) -> bytes:
        """Go on past a line that cannot be read, if a tile knows its hash."""
        findings = self.check.findings
        findings.add(code, self.file, self.number, index)
        leaf = None if findings.too_many else self.check.hash_from_tile(index)
        if leaf is None:
            raise _GiveUp
        return leaf

    def _is_in_time(self, text: str) -> bool:
        """A record may be older than its day, when a clock was set back, never younger."""
        return text[:10] <= self.day.name and is_time(text)


def _bounded(path: Path) -> str:
    """A small text file; what is no text or too long for a note is read as something that cannot hold."""
    with path.open("rb") as file:
        return file.read(MAX_NOTE_BYTES + 1).decode("utf-8", "replace")


def _relative(folder: Path, name: object) -> str:
    path = Path(str(name)) if name else folder
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
