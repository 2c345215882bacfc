"""Checks a log as an outsider would: it trusts nothing that the writer says about itself.

Checked are (C2SP tlog-tiles, tlog-checkpoint, tlog-cosignature, signed-note; RFC 6962; RFC 8785):
- every line's spelling, place and time;
- every shown part against its commitment, every erased part against the record that erased it;
- purged records against the record that declared the purge;
- the root of all leaves against every signed checkpoint: the newest, each day's and one that somebody kept;
- the signatures against `log.vkey`, and that key against the first record;
- cosignatures against the keys of `witnesses` (those of other keys are ignored), time stamps against what they stamp;
- every tile against the leaves.

Rules kept here:
- Any bytes give a report, never an exception; memory stays bounded.
- A log may be written meanwhile: the order of reading (tiles, then checkpoint, then lines) makes records beyond the
  checkpoint "not signed yet" and not a problem.
- If a line and a tile disagree, the signed root decides which of the two is wrong.

Files alone cannot show everything, such as records that were left out from the start.
"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import cast

from moderation.values.errors import Broken
from moderation.values.events import Json
from storage.journal.clock_order import is_late, start_of
from storage.journal.days import Day, list_days
from storage.journal.line_format import DecodedLine
from storage.journal.merkle import Tree, split_hashes
from storage.journal.reader import Log
from storage.journal.recover import was_sealed
from storage.journal.report import Findings, Progress, VerifyReport
from storage.journal.retention.find import parts_in
from storage.journal.retention.legal_holds import HoldsInForce
from storage.journal.retention.purge import read_min_index
from storage.journal.retention.ranges import Ranges
from storage.journal.transparency.checkpoint import Checkpoint
from storage.journal.transparency.cosignature import Cosigner
from storage.journal.transparency.tiles import NoTile, Tiles

from .against import Against
from .days import DayBegins, DayEnds, first_of, read_days, size_of, twin_differs
from .lines import Batch, Checked
from .parts import PartCheck
from .pool import check_all
from .purge import PurgeCheck, check_order
from .signed import KeptCheckpoint, Signatures, Signed
from .tiles import TileCheck


def verify(
    folder: Path,
    *,
    against: str | KeptCheckpoint | None = None,
    progress: Progress | None = None,
    witnesses: Sequence[Cosigner] = (),
    processes: int | None = None,
) -> VerifyReport:
    """Check the log in `folder`, and that it continues the log of the checkpoint `against`, which may be a joint one.

    A large log is checked by as many processes as there are processors, and `processes` at most; an exception from
    `progress` ends them.
    """
    against = KeptCheckpoint(against) if isinstance(against, str) else against
    before = _minimum(folder)
    report = _verify(folder, against, progress, witnesses, processes)
    passing = any(problem.code == "foreign" for problem in report.problems)  # a bot that is starting signs at once
    if passing or (report.problems and _minimum(folder) != before):  # a purge removed what was being read
        report = _verify(folder, against, progress, witnesses, processes)
    return report


def _verify(
    folder: Path,
    against: KeptCheckpoint | None,
    progress: Progress | None,
    witnesses: Sequence[Cosigner],
    processes: int | None,
) -> VerifyReport:
    check = _Check(folder, progress, witnesses, processes)
    try:
        check.run(against)
    except OSError as error:
        check.findings.add("disk", _relative(folder, error.filename), error=error.strerror or str(error))
    return check.report()


_LATEST_MS = 253_402_300_799_999  # the end of the year 9999


class _GiveUp(Exception):
    """Raised if the rest of the log cannot be checked; the reason has been reported."""


class _Check:
    """One run over one log."""

    def __init__(
        self, folder: Path, progress: Progress | None, witnesses: Sequence[Cosigner], processes: int | None
    ) -> None:
        self.folder = folder
        self.progress = progress
        self._processes = processes
        self.findings = Findings()
        self.tree = Tree()
        self.first = 0
        self.signed = 0
        self.signatures = Signatures(folder, self.findings, witnesses)
        self.tiles = TileCheck(folder, self.findings)
        self.parts = PartCheck(self.findings)
        self.purges = PurgeCheck(folder, self.findings)
        self._targets: list[Signed] = []  # to be compared, smallest first
        self._agreed = 0  # size of the largest checkpoint whose root was right
        self._starts: list[tuple[int, str]] = []  # first index and file of each day
        self._previous = ""  # time of the record before
        self._against = Against(self.findings)
        self._ahead = Ranges()  # records dated after their day, without a note so far
        self._late: set[int] = set()  # records much older than the one before, without a note so far

    def run(self, against: KeptCheckpoint | None) -> None:
        """Check everything, in the order that keeps a log in use from looking broken."""
        self.tiles.look()
        newest = self.signatures.read_newest()
        self.signed = newest.size if newest else 0
        days = list_days(self.folder / "day")
        self.signatures.read_closing()
        if against is not None:
            self.signatures.take_kept(against)
        self._targets = self.signatures.in_order()
        try:
            self._begin(days)
            self._read(days)
            self._finish(newest, days)
        except _GiveUp:
            self.parts.finish(self._where, self.tree.size)
        self.tiles.compare_edges(self.tree)
        self._settle_doubts()
        self._against.settle(self.tree.size)

    def report(self) -> VerifyReport:
        """Return the findings so far."""
        problems = self.findings.in_order()
        size = self.tree.size
        return VerifyReport(size - self.first, self.first, self.signed, self.tree.root(), problems, self.findings.more)

    # The days

    def _begin(self, days: list[Day]) -> None:
        """Find where the log begins: at 0, or after a purge at the first record kept."""
        tree = self.purges.tree_before(first_of(days))
        if tree is None:
            raise _GiveUp
        self.tree = tree
        self.first = tree.size
        self.tiles.purged_below(self.purges.minimum)

    def _read(self, days: list[Day]) -> None:
        with closing(check_all(read_days(days, self.first), size_of(days), self._processes)) as items:
            for item, checked in items:
                match item:
                    case DayBegins():
                        self._begin_day(item)
                    case Batch():
                        self._absorb(item, cast(Checked, checked))
                    case DayEnds():
                        self._end_day(item, is_last=item.day is days[-1])

    def _begin_day(self, begins: DayBegins) -> None:
        self._starts.append((self.tree.size, begins.file))
        self._previous = start_of(begins.day.name)
        if twin_differs(begins.day):
            self.findings.add("day_twins", begins.file, other=f"day/{begins.day.path.with_suffix('').name}")

    def _absorb(self, batch: Batch, checked: Checked) -> None:
        """Take the findings in some lines, and their leaves."""
        leaves = split_hashes(bytes(checked.leaves))
        usable = self._fill_holes(batch, checked, leaves)
        for fault in checked.faults:
            if fault.at <= usable:
                index = batch.first + fault.at
                self.findings.add(fault.code, *self._where(index), index, **fault.fields)
        for opened in checked.told:
            self._take_told(opened)
        self.parts.absorb(checked)
        self._follow_times(checked)
        self._grow(leaves[:usable])
        if checked.is_ended or usable < len(leaves):
            raise _GiveUp

    def _fill_holes(self, batch: Batch, checked: Checked, leaves: list[bytes]) -> int:
        """Continue past unreadable lines as far as tiles store their hashes. Returns how far that is."""
        for hole in checked.holes:
            index = batch.first + hole.at
            self.findings.add(hole.code, *self._where(index), index)
            leaf = None if self.findings.too_many else self.tiles.leaf(index)
            if leaf is None:
                return hole.at
            leaves[hole.at] = leaf
        return len(leaves)

    def _follow_times(self, checked: Checked) -> None:
        if checked.first:
            index, at = checked.first
            if is_late(at, self._previous):
                self._late.add(index)
            self._previous = checked.last
        self._late.update(checked.late)
        self._ahead |= checked.ahead
        for about in checked.noted:
            self._late = {index for index in self._late if index not in about}
            self._ahead -= Ranges([(about.start, about.stop)])

    def _take_told(self, opened: DecodedLine) -> None:
        """Take a record that concerns the log itself."""
        skeleton = opened.skeleton
        if skeleton["i"] == 0:
            self._check_genesis(opened)
        if skeleton["k"] == "erase":
            self.parts.may_erase(opened, self._where(cast(int, skeleton["i"])))
        if skeleton["k"] == "restore":
            index, size, made = (_number(skeleton.get(name)) for name in ("i", "size", "made"))
            self._against.restored(index, size, made)
        if skeleton["k"] == "purge":
            self.purges.take(skeleton)

    def _check_genesis(self, opened: DecodedLine) -> None:
        """Check that the first record is `genesis` and names the key that checks the log."""
        if opened.skeleton["k"] != "genesis":
            self.findings.add("genesis", *self._where(0), 0)
        vkey = self.signatures.vkey
        for part in opened.parts:
            if type(part) is dict and part.get("vkey", vkey) != vkey and vkey:
                self.findings.add("key_differs", "log.vkey")

    def _end_day(self, ends: DayEnds, *, is_last: bool) -> None:
        line = self.tree.size - self._starts[-1][0] + 1
        if ends.damaged:
            self.findings.add(f"day_{ends.damaged}", ends.file, line, self.tree.size)
            raise _GiveUp
        if ends.is_cut and (ends.day.closed or not is_last):
            self.findings.add("line_cut", ends.file, line, self.tree.size)
        if line == 1 and not ends.is_cut and not (is_last and self._may_be_begun(ends.day)):
            self.findings.add("day_empty", ends.file)
        if ends.day.closed:
            self._check_closing(ends.day, ends.file)

    def _may_be_begun(self, last: Day) -> bool:
        """Tell whether this can be a day that was begun and not written to yet: all days before it are closed."""
        return not last.closed and all(day.closed for day in list_days(self.folder / "day") if day.name < last.name)

    def _check_closing(self, day: Day, file: str) -> None:
        name = f"checkpoints/{day.name}.ckpt"
        size = self.signatures.closing.get(day.name)
        if size is None and (self.folder / name).exists():
            return  # it exists, but its signature does not hold: reported already
        if size is None:
            self.findings.add("closing_missing", name, day=day.name)
        elif size != self.tree.size:
            self.findings.add("closing_size", file, signed=size, found=self.tree.size, other=name)

    # What is signed

    def _grow(self, leaves: list[bytes]) -> None:
        """Add leaves, and compare the roots at every size that was signed."""
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

    def _compare_root(self, signed: Signed) -> None:
        size = signed.checkpoint.size
        root = self.tree.root() if size == self.tree.size else self._root_of_purged(size)
        if root == signed.checkpoint.root:
            self._agreed = max(self._agreed, size)
        elif root is not None and signed.file == "against":
            self._against.differs("root", size, self._agreed)
        elif root is not None:
            self.findings.add("root", signed.file, signed=size, agreed=self._agreed)
        elif signed.file == "against":
            self.findings.add("against_purged", signed.file, signed=size, first=self.first)

    def _root_of_purged(self, size: int) -> bytes | None:
        """Return the root at a size before the first remaining record; None if the necessary tiles were purged."""
        try:
            return Tiles(self.folder / "tile").root(size)
        except NoTile:
            return None

    # The end

    def _finish(self, newest: Checkpoint | None, days: list[Day]) -> None:
        self._grow([])
        for signed in self._targets:
            if signed.file == "against":
                self._against.differs("missing", signed.checkpoint.size, self._agreed)
            else:
                self.findings.add("missing", signed.file, signed=signed.checkpoint.size, found=self.tree.size)
        if not days and not newest:
            self.findings.add("empty", "day")
        self._check_sealed()
        for index in self._ahead:
            self.findings.add("time", *self._where(index), index)
        for index in sorted(self._late):
            self.findings.add("backdated", *self._where(index), index)
        self.purges.finish(self.first, self.signatures.closing, self._where)
        check_order(self.signatures.closing, self.findings)
        self._finish_parts()
        self.tiles.compare_edges(self.tree)
        self.tiles.check_presence(newest.size if newest else 0, self.tree.size)

    def _check_sealed(self) -> None:
        """Report unsigned records after a clean stop: then everything is signed, and what follows is signed at once."""
        count = self.tree.size - self.signed
        if count > 0 and was_sealed(self.folder, self.signed):
            newest = self.signatures.read_again()
            if newest is None or newest.size <= self.signed:
                self.findings.add("foreign", *self._where(self.signed), self.signed, count=count)

    def _finish_parts(self) -> None:
        log = Log(self.folder)
        for by in self.parts.unknown():
            if by >= self.tree.size:  # it may have been written after the end was read
                self._take_newer(log, by)
        self.parts.finish(self._where, signed=self._signed_by_now())
        try:  # parts that seem to be shown are read again, as they may have been erased meanwhile
            shown = parts_in(self.folder, self.parts.not_gone(self.first, self.tree.size), HoldsInForce()).targets
        except Broken:
            return  # that line was reported
        for index in shown.records():
            self.findings.add("erased_not", *self._where(index), index)

    def _take_newer(self, log: Log, index: int) -> None:
        try:
            opened = log.line(index)
        except (LookupError, Broken):
            return
        if opened.skeleton["k"] == "erase":
            self.parts.may_erase(opened, ("day", 0))

    def _signed_by_now(self) -> int | None:
        """Return the number of signed records, as far as erasures need it; None if there is no valid checkpoint."""
        if self.parts.newest() < self.signed:
            return self.signed
        newest = self.signatures.read_again()  # an erasure may have been signed and carried out while the log was read
        return newest.size if newest else None

    def _settle_doubts(self) -> None:
        """Decide between line and tile where they disagree: if the signed root fits the lines, the tile is wrong."""
        for index, tile in sorted(self.tiles.doubts):
            file, line = self._where(index)
            if index < self._agreed or index >= self.signed or not file:
                self.findings.add("tile", tile, index=index)
            else:
                self.findings.add("leaf", file, line, index)

    def _where(self, index: int) -> tuple[str, int]:
        """Return the file and the line of a record."""
        first, file = max((start for start in self._starts if start[0] <= index), default=(index + 1, ""))
        return file, index - first + 1


def _number(value: Json) -> int:
    """Return a number from a record; 0 if it is not an integer in range."""
    return value if type(value) is int and 0 <= value <= _LATEST_MS else 0


def _minimum(folder: Path) -> int | None:
    try:
        return read_min_index(folder)
    except OSError:
        return None


def _relative(folder: Path, name: object) -> str:
    path = Path(str(name)) if name else folder
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
